"""GitLab's JSON as our records; it goes no further than this.

What GitLab has no field for is kept in texts of ours, in HTML comments that nobody sees: which comment is kept
current (its key), and which merge request superseded a closed one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ci_gitops.adapters.forges.base import Approval, CheckState, Comment, CommitStatus, Deployment, Project, Push
from ci_gitops.core.comment_keys import unmarked
from ci_gitops.core.mergerequests import MergeMethod, MergeRequest, State

Json = Mapping[str, Any]
_STATES: Mapping[str, State] = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}
_METHODS: Mapping[str, MergeMethod] = {"merge": "merge", "rebase_merge": "merge", "ff": "fast-forward"}
#: https://docs.gitlab.com/api/pipelines/ ; what is not here has not begun, or waits for a person.
_CHECKS: Mapping[str, CheckState] = {
    "running": "running", "canceling": "running", "success": "success", "failed": "failed", "canceled": "canceled",
    "skipped": "skipped",
}  # fmt: skip
_DRAFT = re.compile(r"^(?:\s*(?:\[draft\]|\(draft\)|draft:))+\s*", re.IGNORECASE)
_SUPERSEDED = re.compile(r"\n*<!-- ci-gitops:superseded-by (?P<iid>\d+) -->\s*$")
_DEPLOYED: Mapping[str, Any] = {"success": "success", "failed": "failed", "canceled": "canceled", "skipped": "canceled"}


def to_request(data: Json, head: str) -> MergeRequest:
    """`head` is the source branch's own while it is open: what GitLab says of it lags behind pushes."""
    state = _STATES.get(data["state"], "open")
    sha = data.get("sha") or ""
    description = data.get("description") or ""
    superseded = _SUPERSEDED.search(description)
    armed = bool(data.get("merge_when_pipeline_succeeds")) and state == "open" and sha == head
    return MergeRequest(
        iid=data["iid"],
        source=data["source_branch"],
        target=data["target_branch"],
        title=_DRAFT.sub("", data["title"]) if data.get("draft") else data["title"],
        description=_SUPERSEDED.sub("", description),
        state=state,
        head_sha=head if state == "open" else sha,
        url=data.get("web_url") or "",
        author=(data.get("author") or {}).get("username", ""),
        labels=tuple(data.get("labels") or ()),
        reviewers=usernames(data.get("reviewers")),
        assignees=usernames(data.get("assignees")),
        draft=bool(data.get("draft")),
        armed_sha=head if armed else "",
        merge_sha=(landed(data) or ("",))[0] if state == "merged" else "",
        superseded_by=int(superseded["iid"]) if superseded and state == "closed" else None,
        created_at=seconds(data.get("created_at")),
        updated_at=seconds(data.get("updated_at")),
        merged_at=seconds(data.get("merged_at")),
    )


def landed(data: Json) -> tuple[str, ...]:
    """The commits that may be what landed, the likeliest first: which of them are there depends on the project."""
    return tuple(sha for sha in (data.get("merge_commit_sha"), data.get("squash_commit_sha"), data.get("sha")) if sha)


def to_project(data: Json) -> Project:
    return Project(
        data["default_branch"] or "",
        merge_method=_METHODS.get(data.get("merge_method", "merge"), "merge"),
        squash=data.get("squash_option") in ("always", "default_on"),
        remove_source_branch=bool(data.get("remove_source_branch_after_merge", True)),
        trains=bool(data.get("merge_trains_enabled")),
    )


def draft_title(title: str, draft: bool) -> str:
    return f"Draft: {title}" if draft else title


def superseded(description: str, iid: int) -> str:
    return f"{_SUPERSEDED.sub('', description)}\n\n<!-- ci-gitops:superseded-by {iid} -->"


def to_comment(data: Json) -> Comment:
    key, text = unmarked(data.get("body") or "")
    author = (data.get("author") or {}).get("username", "")
    return Comment(key, author, text, seconds(data.get("created_at")))


def to_approvals(given: Sequence[Json], noted: Mapping[str, int], versions: Sequence[Json]) -> tuple[Approval, ...]:
    """Each approval with the head that was there when it was given; `noted` is when, where GitLab does not say.

    GitLab keeps approvals over new commits where the project does not reset them, and does not say what was approved.
    """
    heads = sorted((moment(one.get("created_at")), str(one.get("head_commit_sha"))) for one in versions)
    found = []
    for one in given:
        user = (one.get("user") or {}).get("username", "")
        at = moment(one.get("approved_at")) or float(noted.get(user, 0))
        before = [sha for created, sha in heads if created <= at]
        found.append(Approval(user, before[-1] if before else "", int(at)))
    return tuple(found)


def to_pushes(events: Sequence[Json], branch: str) -> tuple[Push, ...]:
    """Those of one branch. A push of many branches at once is one event that names none of them."""
    found = []
    for one in events:
        told = one.get("push_data") or {}
        if (told.get("ref_type"), told.get("ref")) == ("branch", branch) and told.get("commit_to"):
            user = one.get("author_username") or (one.get("author") or {}).get("username", "")
            found.append(Push(user, told.get("commit_from") or "", told["commit_to"]))
    return tuple(push for push in found if push.user)


def to_status(data: Json) -> CommitStatus:
    state = check_state(data.get("status"))
    return CommitStatus(
        data.get("name") or "",
        state,
        data.get("description") or "",
        data.get("target_url") or "",
        blocking=not data.get("allow_failure"),
        at=seconds(data.get("finished_at") or data.get("started_at") or data.get("created_at")),
    )


def check_state(text: Any) -> CheckState:
    return _CHECKS.get(str(text), "pending")


def to_deployment(data: Json) -> Deployment:
    environment = data.get("environment") or {}
    state = _DEPLOYED.get(str(data.get("status")), "running")
    finished = (data.get("deployable") or {}).get("finished_at") or data.get("updated_at")
    return Deployment(
        data["id"],
        environment.get("name") or "",
        data.get("sha") or "",
        data.get("ref") or "",
        state,
        environment.get("external_url") or "",
        seconds(data.get("created_at")),
        0 if state == "running" else seconds(finished),
    )


def usernames(people: Any) -> tuple[str, ...]:
    return tuple(one["username"] for one in people or () if one.get("username"))


def seconds(text: Any) -> int:
    return int(moment(text))


def moment(text: Any) -> float:
    """Seconds since the epoch of `2027-01-15T08:00:00.123Z`; 0 where there is none."""
    if not isinstance(text, str) or not text:
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
