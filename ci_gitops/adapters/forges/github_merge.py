"""Merging at GitHub: what is asked, what its refusals mean, and what is true afterwards.

One rule runs through it: an answer is a hint, and what counts is what the pull request and the branches are when they
are read again. Merges are guarded by the head; what landed is proved by Git's history.

GitHub's auto-merge looks at what the branch's rules require and at nothing else, and it stays armed when somebody
pushes. So it is armed only where the rules require our own status: that is posted for one head, when all gates hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from ci_gitops.adapters.forges.base import MergeCall, MergeOutcome, Project, outgoing
from ci_gitops.adapters.forges.github_api import AnswerError, GitHubApi, GraphQLError
from ci_gitops.adapters.forges.github_records import ARMED_FOR, METHODS, Pull, is_ours
from ci_gitops.adapters.forges.transport import Line, LostAnswerError
from ci_gitops.adapters.git import Person, RefUpdate, Repository
from ci_gitops.core.gates import OWN_STATUS
from ci_gitops.core.mergerequests import MergeMethod, MergeRequest
from ci_gitops.errors import CiGitopsError, GitError, RefusedError

GATES_STATUS = f"{OWN_STATUS}/gates"
_PATIENCE = 60.0  # seconds that GitHub is given to find out, and others to finish their merges
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_NOBODY = Person("ci-gitops", "ci-gitops@localhost")
_QUEUE = """query Queue($owner: String!, $name: String!, $branch: String!) {
  repository(owner: $owner, name: $name) { mergeQueue(branch: $branch) { id } }
}"""
_ENABLE = """mutation Arm($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { pullRequest { number } }
}"""
_ENQUEUE = """mutation Queue($input: EnqueuePullRequestInput!) {
  enqueuePullRequest(input: $input) { mergeQueueEntry { position } }
}"""

_DEQUEUE = "mutation Leave($input: DequeuePullRequestInput!) { dequeuePullRequest(input: $input) { clientMutationId } }"
Meaning = Literal["again", "held", "never", "queue"]
#: Parts of GitHub's words, as they come with 405, 409 and 422; what fits none is `held`.
_MEANINGS: tuple[tuple[Meaning, tuple[str, ...]], ...] = (
    ("queue", ("merge queue",)),
    ("again", ("base branch was modified", "head branch was modified", "already in progress", "try the merge again")),
    ("never", ("are not allowed on this repository", "not allowed for this repository", "is disabled")),
)


def meaning(refusal: AnswerError) -> Meaning:
    """What a refused merge calls for: to be tried again, to be waited for, or that somebody changes a setting."""
    said = refusal.words.lower()
    told = next((kind for kind, parts in _MEANINGS if any(part in said for part in parts)), None)
    return told or ("again" if refusal.status == 409 else "held")


@dataclass(frozen=True, slots=True)
class GitHubMerge:
    """The merges of one repository at GitHub. `read` is one pull request as it is now."""

    api: GitHubApi
    repository: Repository
    path: str  # /repos/octo/config
    read: Callable[[int], Pull]
    project: Callable[[], Project]

    def merge(self, iid: int, call: MergeCall) -> MergeOutcome:
        turns = _Turns(self.api.line)
        while True:
            pull = self.read(iid)
            if outcome := self._settled(pull, call, turns):
                return outcome
            if pull.mergeable is None and turns.more():
                continue
            refusal = self._asked(pull, call)
            pull = self.read(iid)
            if outcome := self._settled(pull, call, turns):
                return outcome
            kind = meaning(refusal) if refusal and pull.mergeable is not None else "again"
            if kind == "again" and pull.mergeable_state != "behind" and turns.more():
                continue
            # The queue has a method of its own, so a method that is not allowed may only mean that there is one.
            if kind == "queue" or (kind == "never" and self.has_queue(pull.request.target)):
                return self.join_queue(iid, call)
            return _refused(pull, kind, refusal.words if refusal else "")

    def _settled(self, pull: Pull, call: MergeCall, turns: _Turns) -> MergeOutcome | None:
        """What is decided without asking for a merge; None where it may be asked for."""
        request = pull.request
        if request.state == "merged":
            return self._landed(pull, call, turns)
        if blocked := why_not(pull, call.head_sha):
            return MergeOutcome("blocked", request, blocked)
        if pull.mergeable is False:
            conflicts = self._conflicts(request)
            where = f" in {', '.join(conflicts)}" if conflicts else ""
            return MergeOutcome("blocked", request, f"it conflicts with {request.target}{where}", conflicts)
        return None

    def _asked(self, pull: Pull, call: MergeCall) -> AnswerError | None:
        """GitHub's refusal; None where it says that it is merged, or where nobody knows."""
        title, text = _message(call)
        body: dict[str, object] = {"sha": call.head_sha, "merge_method": METHODS[self._method(pull, call)]}
        if title:
            body |= {"commit_title": title, "commit_message": text}
        try:
            self.api.sent("PUT", f"{self.path}/pulls/{pull.request.iid}/merge", body)
        except LostAnswerError:
            return None
        except AnswerError as error:
            if error.status not in (405, 406, 409, 422):
                raise
            return error
        return None

    def _method(self, pull: Pull, call: MergeCall) -> MergeMethod:
        """The call's, else what it was opened with, else the project's."""
        if call.method:
            return call.method
        if pull.wishes.squash is None:
            return self.project().merge_method
        return "squash" if pull.wishes.squash else "merge"

    def _conflicts(self, request: MergeRequest) -> tuple[str, ...]:
        """The paths, by Git's own merge: GitHub does not name them."""
        try:
            base, head = self.repository.fetch(request.target), self.repository.fetch(request.source)
            return self.repository.merge(base, head, "", author=_NOBODY, committer=_NOBODY).conflicts
        except GitError:  # a branch has just gone; the next look says so
            return ()

    # What landed

    def _landed(self, pull: Pull, call: MergeCall, turns: _Turns) -> MergeOutcome:
        proved = self.proved(pull.request)
        while not proved.merge_sha and turns.more():  # the pull request knows of it before Git does
            proved = self.proved(pull.request)
        self._remove_branch(pull, call)
        reason = "" if proved.merge_sha else f"which commit brought it to {proved.target} is not known"
        return MergeOutcome("merged", proved, reason)

    def proved(self, request: MergeRequest) -> MergeRequest:
        """A merged one with the commit that brought it: GitHub's word, else its head, if the target holds that."""
        target = self.repository.fetch(request.target)
        for sha in dict.fromkeys((request.merge_sha, request.head_sha)):
            with contextlib.suppress(GitError):  # nobody hands out a commit that no branch holds
                if sha and self.repository.is_ancestor(sha, target) is not False:
                    return replace(request, merge_sha=sha)
        return replace(request, merge_sha="")

    def _remove_branch(self, pull: Pull, call: MergeCall) -> None:
        """Delete a branch of ours that is still where it was merged; that it cannot be is no failure of the merge."""
        request = pull.request
        wished = pull.wishes.remove_source_branch if call.remove_source_branch is None else call.remove_source_branch
        if not is_ours(request.source) or not (self.project().remove_source_branch if wished is None else wished):
            return
        ref = f"refs/heads/{request.source}"
        try:
            if self.repository.remote_refs(ref).get(ref) == request.head_sha:
                self.repository.push([RefUpdate(ref, "", request.head_sha)])
        except CiGitopsError as error:
            self.api.line.tell(f"The branch {request.source} is merged and stays: {error.message}")

    # What GitHub merges by itself

    def arm(self, iid: int, call: MergeCall) -> MergeOutcome:
        pull = self.read(iid)
        request = pull.request
        if request.state == "merged":
            return self._landed(pull, call, _Turns(self.api.line))
        if blocked := why_not(pull, call.head_sha, draft_matters=False):
            return MergeOutcome("blocked", request, blocked)
        later = "the next `ci-gitops merge` merges it when its gates are green"
        if GATES_STATUS not in self._required(request.target):
            reason = f"{later}; GitHub would not wait for them, since {request.target} does not require {GATES_STATUS}"
            return MergeOutcome("waiting", request, reason)
        words = self._armed(pull, call)
        pull = self.read(iid)
        if blocked := why_not(pull, call.head_sha, draft_matters=False):
            return MergeOutcome("blocked", pull.request, blocked)
        if pull.armed:
            return MergeOutcome("armed", replace(pull.request, armed_sha=call.head_sha), "GitHub merges it when green")
        return MergeOutcome("waiting", pull.request, f"{later}; GitHub did not arm it: {words}")

    def _armed(self, pull: Pull, call: MergeCall) -> str:
        """GitHub's words where it does not."""
        title, text = _message(call)
        asked: dict[str, object] = {
            "pullRequestId": pull.node,
            "expectedHeadOid": call.head_sha,
            "mergeMethod": METHODS[self._method(pull, call)].upper(),
            "commitBody": f"{text}\n\n{ARMED_FOR}: {call.head_sha}".strip(),
        }
        try:
            self.api.graphql(_ENABLE, input={**asked, "commitHeadline": title} if title else asked)
        except LostAnswerError as error:
            return error.message
        except GraphQLError as error:
            return error.words
        return ""

    def _required(self, branch: str) -> frozenset[str]:
        """The statuses and checks that a branch's rules demand: rulesets, and the older branch protection."""
        name = quote(branch, safe="")
        rules = self.api.pages(f"{self.path}/rules/branches/{name}")
        protection = self.api.get(f"{self.path}/branches/{name}").get("protection") or {}
        older = (protection.get("required_status_checks") or {}).get("contexts") or ()
        return frozenset([*older, *_contexts(rules)])

    def join_queue(self, iid: int, call: MergeCall) -> MergeOutcome:
        pull = self.read(iid)
        request = pull.request
        if request.state == "merged":
            return self._landed(pull, call, _Turns(self.api.line))
        if blocked := why_not(pull, call.head_sha):
            return MergeOutcome("blocked", request, blocked)
        if not self.has_queue(request.target):
            raise RefusedError(
                f"{request.target} has no merge queue, which is what GitHub has for merge trains.",
                hint="Merge directly: `ci-gitops merge`.",
            )
        try:
            self.api.graphql(_ENQUEUE, input={"pullRequestId": pull.node, "expectedHeadOid": call.head_sha})
        except GraphQLError as error:
            if "already" not in error.words.lower():
                return MergeOutcome("waiting", request, f"the merge queue does not take it yet: {error.words}")
        except LostAnswerError as error:
            return MergeOutcome("waiting", request, error.message)
        return MergeOutcome("armed", replace(request, armed_sha=call.head_sha), "it is in the merge queue")

    def leave_queue(self, pull: Pull) -> None:
        with contextlib.suppress(GraphQLError):  # it is in no queue
            self.api.until_known(lambda: self.api.graphql(_DEQUEUE, input={"id": pull.node}))

    def has_queue(self, branch: str) -> bool:
        owner, _, name = self.path.removeprefix("/repos/").partition("/")
        answer = self.api.until_known(lambda: self.api.graphql(_QUEUE, owner=owner, name=name, branch=branch))
        return bool((answer.get("repository") or {}).get("mergeQueue"))


def why_not(pull: Pull, head_sha: str, *, draft_matters: bool = True) -> str:
    """Why it cannot be merged at this head; "" where nothing of the pull request speaks against it."""
    request = pull.request
    if not request.head_sha:  # GitHub closes it then
        return f"its branch {request.source!r} does not exist any more"
    if request.state != "open":
        return f"it is {request.state}"
    if request.head_sha != head_sha:
        return f"its branch has moved from {head_sha[:12]} to {request.head_sha[:12]}"
    return "it is a draft" if request.draft and draft_matters else ""


def _refused(pull: Pull, kind: Meaning, words: str) -> MergeOutcome:
    request = pull.request
    if pull.mergeable_state == "behind":
        reason = f"{request.target} has moved on, and its rules want the branch up to date: it needs a rebase"
        return MergeOutcome("blocked", request, reason, behind=True)
    said = words or "it does not say why"
    return MergeOutcome("blocked" if kind == "never" else "waiting", request, f"GitHub does not merge it: {said}")


def _message(call: MergeCall) -> tuple[str, str]:
    title, _, text = outgoing(call.message).partition("\n")
    return title.strip(), text.strip()


def _contexts(rules: list[Any]) -> Iterator[str]:
    for rule in rules:
        if isinstance(rule, dict) and rule.get("type") == "required_status_checks":
            for one in (rule.get("parameters") or {}).get("required_status_checks") or ():
                yield str(one.get("context"))


@dataclass(slots=True)
class _Turns:
    """Looking again, after growing pauses, as long as patience lasts."""

    line: Line
    pause: float = _FIRST_PAUSE
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = self.line.clock() + _PATIENCE

    def more(self) -> bool:
        """Wait a little; False where it has been long enough."""
        if self.line.clock() + self.pause > self.deadline:
            return False
        self.line.wait(self.pause)
        self.pause = min(self.pause * 2, _LONGEST_PAUSE)
        return True
