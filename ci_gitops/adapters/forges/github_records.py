"""GitHub's JSON as our records, and our records in GitHub's words.

https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from ci_gitops.adapters.forges.base import (
    Approval,
    CheckState,
    Comment,
    CommitStatus,
    Deployment,
    DeploymentState,
    Project,
    outgoing,
)
from ci_gitops.core.mergerequests import BRANCH_PREFIX, MergeMethod, MergeRequest, State
from ci_gitops.errors import ForgeError

Data = Mapping[str, Any]
Method = Literal["merge", "squash", "rebase"]
#: GitHub has no fast-forward; the nearest is a rebase, which keeps history straight and makes new commits.
METHODS: Mapping[MergeMethod, Method] = {"merge": "merge", "squash": "squash", "fast-forward": "rebase"}
_OURS: Mapping[str, MergeMethod] = {"merge": "merge", "squash": "squash", "rebase": "fast-forward"}
_HEADS = "refs/heads/"
_WISHES = re.compile(r"\n*<!-- ci-gitops:wishes (\{.*?\}) -->\s*\Z")
ARMED_FOR = "Ci-Gitops-Head"  # in the message of an armed merge: the head that it was armed for
_ARMED = re.compile(rf"(?m)^{ARMED_FOR}: ([0-9a-f]{{40,64}})$")
_CONCLUSIONS: Mapping[str, CheckState] = {
    "success": "success", "neutral": "success", "skipped": "skipped", "cancelled": "canceled",
    "failure": "failed", "timed_out": "failed", "action_required": "failed", "startup_failure": "failed",
    "stale": "canceled",
}  # fmt: skip
_STATUSES: Mapping[str, CheckState] = {
    "success": "success", "pending": "pending", "failure": "failed", "error": "failed",
}  # fmt: skip
_TO_STATUS: Mapping[CheckState, str] = {
    "pending": "pending", "running": "pending", "success": "success", "skipped": "success", "failed": "failure",
    "canceled": "error",
}  # fmt: skip
TO_DEPLOYMENT: Mapping[DeploymentState, str] = {
    "running": "in_progress", "success": "success", "failed": "failure", "canceled": "error",
}  # fmt: skip
_DEPLOYMENTS: Mapping[str, DeploymentState] = {
    "queued": "running", "pending": "running", "in_progress": "running", "success": "success", "failure": "failed",
    "error": "canceled",
}  # fmt: skip
TEXT_LIMIT = 65_536  # characters of a description or comment
_DESCRIPTION = 140  # characters of a status


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a merge request was opened with and GitHub has no field for; kept unseen at the end of its text."""

    squash: bool | None = None
    remove_source_branch: bool | None = None

    def put(self, description: str) -> str:
        given = {"squash": self.squash, "removeSourceBranch": self.remove_source_branch}
        told = {name: value for name, value in given.items() if value is not None}
        return f"{description}\n\n<!-- ci-gitops:wishes {json.dumps(told)} -->" if told else description

    @classmethod
    def taken(cls, body: str) -> tuple[str, Wishes]:
        """A pull request's text without them, and them."""
        found = _WISHES.search(body)
        if not found:
            return body, cls()
        try:
            data = json.loads(found[1])
        except ValueError:
            return body, cls()
        return body[: found.start()], cls(_flag(data.get("squash")), _flag(data.get("removeSourceBranch")))


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as it was read, and what of it only the merge looks at."""

    request: MergeRequest
    wishes: Wishes
    node: str  # its name in GraphQL
    mergeable: bool | None = None  # None: GitHub is still finding out
    mergeable_state: str = ""  # undocumented: clean, unstable, has_hooks, blocked, behind, draft, dirty, unknown
    armed: bool = False  # GitHub merges it by itself


def to_pull(data: Data, branches: Mapping[str, str]) -> Pull:
    """`branches` are the heads of the repository's branches now, by ref."""
    try:
        return _pull(data, branches)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ForgeError(f"GitHub described a pull request in a way that we do not understand: {error!r}.") from error


def _pull(data: Data, branches: Mapping[str, str]) -> Pull:
    state: State = "merged" if data.get("merged_at") else "open" if data["state"] == "open" else "closed"
    source = _source(data)
    seen = str(data["head"]["sha"])
    own = source == data["head"]["ref"]
    # A merged one's branch is usually gone; what was merged stays its head.
    head = branches.get(_HEADS + source, "") if own and state != "merged" else seen
    description, wishes = Wishes.taken((data.get("body") or "").replace("\r\n", "\n"))
    armed = _ARMED.search((data.get("auto_merge") or {}).get("commit_message") or "")
    request = MergeRequest(
        iid=int(data["number"]),
        source=source,
        target=data["base"]["ref"],
        title=data["title"],
        description=description,
        state=state,
        head_sha=head,
        url=data.get("html_url") or "",
        author=_login(data.get("user")),
        labels=tuple(label["name"] for label in data.get("labels") or ()),
        reviewers=_reviewers(data),
        assignees=tuple(_login(one) for one in data.get("assignees") or ()),
        draft=bool(data.get("draft")),
        armed_sha=head if armed and armed[1] == head else "",
        merge_sha=(data.get("merge_commit_sha") or "") if state == "merged" else "",
        created_at=seconds(data.get("created_at")),
        updated_at=seconds(data.get("updated_at")),
        merged_at=seconds(data.get("merged_at")),
    )
    state_at_github = data.get("mergeable_state") or ""
    armed_at_all = data.get("auto_merge") is not None
    return Pull(request, wishes, data.get("node_id") or "", data.get("mergeable"), state_at_github, armed_at_all)


def _source(data: Data) -> str:
    """The branch; for a fork's `owner:branch`, so that no stranger's branch can pass for one of ours."""
    head, base = data["head"], data["base"]
    theirs, ours = ((part.get("repo") or {}).get("id") for part in (head, base))
    return str(head["ref"]) if theirs is not None and theirs == ours else str(head.get("label") or f"?:{head['ref']}")


def _reviewers(data: Data) -> tuple[str, ...]:
    """People by login, teams as `organisation/team`."""
    owner = data["base"]["repo"]["owner"]["login"]
    teams = (f"{owner}/{team['slug']}" for team in data.get("requested_teams") or ())
    return (*(_login(one) for one in data.get("requested_reviewers") or ()), *teams)


def _login(user: Data | None) -> str:
    return str(user["login"]) if user else ""


def seconds(text: str | None) -> int:
    """Seconds since the epoch of GitHub's `2026-11-21T16:40:00Z`; 0 where there is none."""
    return int(datetime.fromisoformat(text).timestamp()) if text else 0


def with_successor(request: MergeRequest, comments: Iterable[Comment], key: str) -> MergeRequest:
    """A closed one with the number that our comment of `key` names."""
    found = next((re.search(r"#(\d+)", one.text) for one in comments if one.key == key), None)
    return replace(request, superseded_by=int(found[1])) if found else request


def to_project(data: Data, *, queue: bool) -> Project:
    """A field that this account may not see counts as GitHub's default."""
    allowed = [
        method for method, name in (("merge", "allow_merge_commit"), ("squash", "allow_squash_merge"),
                                    ("rebase", "allow_rebase_merge"))
        if data.get(name, True)
    ]  # fmt: skip
    method = _OURS[allowed[0]] if allowed else "merge"
    return Project(
        default_branch=data["default_branch"],
        merge_method=method,
        squash=method == "squash",
        remove_source_branch=bool(data.get("delete_branch_on_merge", False)),
        auto_merge=bool(data.get("allow_auto_merge", False)),
        trains=queue,
    )


def opinions(reviews: Iterable[Data]) -> tuple[Approval, ...]:
    """The approvals that stand: of each person the latest review that says yes or no, where it says yes.

    A comment takes nothing back; a dismissed review is none. The review of a bot is nobody's consent.
    """
    latest: dict[str, Data] = {}
    for review in sorted(reviews, key=lambda one: seconds(one.get("submitted_at"))):
        user = review.get("user") or {}
        if review.get("state") in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED") and user.get("type") != "Bot":
            latest[_login(user)] = review
    return tuple(
        Approval(user, review.get("commit_id") or "", seconds(review.get("submitted_at")))
        for user, review in latest.items()
        if review["state"] == "APPROVED" and user
    )


def from_status(data: Data) -> CommitStatus:
    return CommitStatus(
        name=data["context"],
        state=_STATUSES.get(data["state"], "pending"),
        description=data.get("description") or "",
        url=data.get("target_url") or "",
        at=seconds(data.get("updated_at")),
    )


def from_check_run(data: Data) -> CommitStatus:
    """https://docs.github.com/en/rest/checks/runs: what is not completed has no conclusion yet."""
    running: CheckState = "running" if data["status"] == "in_progress" else "pending"
    done = data["status"] == "completed"
    return CommitStatus(
        name=data["name"],
        state=_CONCLUSIONS.get(data.get("conclusion") or "", "pending") if done else running,
        description=(data.get("output") or {}).get("title") or "",
        url=data.get("details_url") or data.get("html_url") or "",
        at=seconds(data.get("completed_at") or data.get("started_at")),
    )


def to_status(status: CommitStatus) -> dict[str, object]:
    told = clipped(outgoing(status.description))
    body: dict[str, object] = {"state": _TO_STATUS[status.state], "context": status.name, "description": told}
    return {**body, "target_url": outgoing(status.url)} if status.url else body


def clipped(text: str, limit: int = _DESCRIPTION) -> str:
    """One line, not longer than GitHub takes."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def to_deployment(data: Data, statuses: Sequence[Data]) -> Deployment:
    """`statuses` are newest first. `inactive` says only that another one came later: what was before it counts."""
    told = [one for one in statuses if one["state"] in _DEPLOYMENTS]
    state: DeploymentState = _DEPLOYMENTS[told[0]["state"]] if told else "running"
    payload = payload_of(data)
    return Deployment(
        number=int(data["id"]),
        environment=data["environment"],
        sha=data["sha"],
        ref=payload.get("ref") or data["ref"],
        state=state,
        url=next((one["environment_url"] for one in statuses if one.get("environment_url")), ""),
        created_at=seconds(data.get("created_at")),
        finished_at=0 if state == "running" else seconds(told[0].get("created_at")),
    )


def payload_of(deployment: Data) -> Data:
    """An object, which older servers give as text."""
    payload = deployment.get("payload")
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except ValueError:
            return {}
    return payload if isinstance(payload, dict) else {}


def is_ours(branch: str) -> bool:
    return branch.startswith(BRANCH_PREFIX)
