"""The few queries and changes of GitHub's GraphQL that we use; no description of it is checked here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.fakes.api import Answer
from tests.fakes.github_state import Person, Pull, stamp

if TYPE_CHECKING:
    from tests.fakes.github import FakeGitHub


class _Unfit(Exception):
    """An error as GraphQL tells it: with 200."""


def answer_graphql(fake: FakeGitHub, person: Person, body: Mapping[str, Any]) -> Answer:
    name = re.match(r"\s*(?:query|mutation) (\w+)", body["query"])
    change = re.search(r"{\s*(\w+)\(input: \$input\)", body["query"])
    variables = body["variables"]
    try:
        if change:
            return Answer(200, {"data": {change[1]: CHANGES[change[1]](fake, person, variables["input"])}})
        assert name
        return Answer(200, {"data": QUERIES[name[1]](fake, person, variables)})
    except _Unfit as unfit:
        return Answer(200, {"data": None, "errors": [{"type": "UNPROCESSABLE", "message": str(unfit)}]})


def _pull(fake: FakeGitHub, asked: Mapping[str, Any]) -> Pull:
    pull = next((one for one in fake.pulls if one.node == asked["pullRequestId"]), None)
    if pull is None:
        raise _Unfit(f"Could not resolve to a node with the global id of '{asked['pullRequestId']}'")
    if pull.state != "open":
        raise _Unfit("Pull request is closed")
    if asked.get("expectedHeadOid", pull.head_sha) != pull.head_sha:
        raise _Unfit("Head sha didn't match expected value")
    return pull


def _arm(fake: FakeGitHub, person: Person, asked: Mapping[str, Any]) -> Any:
    pull = _pull(fake, asked)
    if not fake.settings["allow_auto_merge"]:
        raise _Unfit("Pull request Auto merge is not allowed for this repository")
    if not fake.rules.contexts and not fake.rules.approvals:
        raise _Unfit("Pull request Protected branch rules not configured for this branch")
    if not fake.held(pull):
        raise _Unfit("Pull request Pull request is in clean status")
    pull.armed = {
        "enabled_by": person.json, "merge_method": asked["mergeMethod"].lower(),
        "commit_title": asked.get("commitHeadline", ""), "commit_message": asked.get("commitBody", ""),
    }  # fmt: skip
    return {"pullRequest": {"number": pull.number}}


def _disarm(fake: FakeGitHub, person: Person, asked: Mapping[str, Any]) -> Any:
    pull = _pull(fake, asked)
    if not pull.armed:
        raise _Unfit("Can't disable auto-merge for this pull request")
    pull.armed = None
    return {"clientMutationId": None}


def _queue(fake: FakeGitHub, person: Person, asked: Mapping[str, Any]) -> Any:
    pull = _pull(fake, asked)
    if pull.queued:
        raise _Unfit("Pull request is already in the queue")
    if held := fake.held(pull):
        raise _Unfit(held)
    pull.queued = pull.head_sha
    return {"mergeQueueEntry": {"position": 1}}


def _dequeue(fake: FakeGitHub, person: Person, asked: Mapping[str, Any]) -> Any:
    pull = next(one for one in fake.pulls if one.node == asked["id"])
    if not pull.queued:
        raise _Unfit("Pull request is not in the merge queue")
    pull.queued = ""
    return {"clientMutationId": None}


def _draft(draft: bool) -> Any:
    def change(fake: FakeGitHub, person: Person, asked: Mapping[str, Any]) -> Any:
        _pull(fake, asked).draft = draft
        return {"clientMutationId": None}

    return change


def _has_queue(fake: FakeGitHub, person: Person, asked: Mapping[str, Any]) -> Any:
    return {"repository": {"mergeQueue": {"id": "MQ_1"} if fake.rules.queue else None}}


def _signs(fake: FakeGitHub, person: Person, asked: Mapping[str, Any]) -> Any:
    git, sha = fake.repository, asked["sha"]
    files = git.run("ls-tree", "--name-only", sha, ".github/workflows/").split()
    nodes = []
    for commit in git.run("rev-list", f"--max-count={asked['last']}", sha).split():
        contexts = [{"context": one["context"]} for one in fake.statuses if one["sha"] == commit]
        names = [{"name": one["name"]} for one in fake.check_runs if one["head_sha"] == commit]
        found = [*contexts, *names]
        nodes.append({"statusCheckRollup": {"contexts": {"nodes": found}} if found else None})
    when = stamp(int(git.run("log", "-1", "--format=%ct", sha)))
    workflows = {"entries": [{"name": file.rsplit("/", 1)[-1]} for file in files]} if files else None
    return {"repository": {"workflows": workflows, "commit": {"committedDate": when, "history": {"nodes": nodes}}}}


QUERIES: Mapping[str, Any] = {
    "Viewer": lambda fake, person, asked: {"viewer": {"login": person.login}},
    "Queue": _has_queue,
    "Signs": _signs,
}
CHANGES: Mapping[str, Any] = {
    "enablePullRequestAutoMerge": _arm,
    "disablePullRequestAutoMerge": _disarm,
    "enqueuePullRequest": _queue,
    "dequeuePullRequest": _dequeue,
    "convertPullRequestToDraft": _draft(True),
    "markPullRequestReadyForReview": _draft(False),
}
