"""What the local forge keeps of a merge request: the record as JSON, and the changes that are made to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ci_gitops.adapters.forges.base import (
    Approval,
    Comment,
    CommitStatus,
    Deployment,
    MergeCall,
    NewMergeRequest,
    Project,
)
from ci_gitops.core.mergerequests import MergeRequest

_HEADS = "refs/heads/"
Data = Mapping[str, Any]


def new_record(iid: int, new: NewMergeRequest, head_sha: str, author: str, now: int) -> dict[str, Any]:
    return {
        "apiVersion": "ci-gitops/v1",
        "iid": iid,
        "source": new.source,
        "target": new.target,
        "title": new.title,
        "description": new.description,
        "state": "open",
        "author": author,
        "labels": list(dict.fromkeys(new.labels)),
        "reviewers": list(dict.fromkeys(new.reviewers)),
        "assignees": list(dict.fromkeys(new.assignees)),
        "draft": new.draft,
        "squash": new.squash,
        "removeSourceBranch": new.remove_source_branch,
        "headSha": head_sha,
        "armed": None,
        "mergeSha": "",
        "supersededBy": None,
        "comments": [],
        "approvals": [],
        "createdAt": now,
        "updatedAt": now,
        "mergedAt": 0,
    }


def to_request(data: Data, refs: Mapping[str, str], url: str) -> MergeRequest:
    """The record as a merge request; while it is open, its head is the source branch itself."""
    is_open = data["state"] == "open"
    head = refs.get(_HEADS + data["source"], "") if is_open else data["headSha"]
    return MergeRequest(
        iid=data["iid"],
        source=data["source"],
        target=data["target"],
        title=data["title"],
        description=data["description"],
        state=data["state"],
        head_sha=head,
        url=f"{url}!{data['iid']}",
        author=data["author"],
        labels=tuple(data["labels"]),
        reviewers=tuple(data["reviewers"]),
        assignees=tuple(data["assignees"]),
        draft=data["draft"],
        armed_sha=head if head and data["armed"] == head else "",
        merge_sha=data["mergeSha"],
        superseded_by=data["supersededBy"],
        created_at=data["createdAt"],
        updated_at=data["updatedAt"],
        merged_at=data["mergedAt"],
    )


def to_project(data: Data, default_branch: str) -> Project:
    return Project(
        default_branch,
        merge_method=data.get("mergeMethod", "merge"),
        squash=data.get("squash", False),
        remove_source_branch=data.get("removeSourceBranch", True),
    )


def why_not(request: MergeRequest, head_sha: str, *, draft_matters: bool = True) -> str:
    """Why it cannot be merged at this head; "" where nothing of the record speaks against it."""
    if request.state != "open":
        return f"it is {request.state}"
    if not request.head_sha:
        return f"its branch {request.source!r} does not exist any more"
    if request.head_sha != head_sha:
        return f"its branch has moved from {head_sha[:12]} to {request.head_sha[:12]}"
    if request.draft and draft_matters:
        return "it is a draft"
    return ""


def with_own_settings(call: MergeCall, data: Data) -> MergeCall:
    """Where the call is silent, what the merge request was opened with."""
    squash, remove = data["squash"], data["removeSourceBranch"]
    return replace(
        call,
        method=call.method or (None if squash is None else "squash" if squash else "merge"),
        remove_source_branch=remove if call.remove_source_branch is None else call.remove_source_branch,
    )


def with_comment(data: Data, comment: Comment) -> Data:
    """Our one comment of a key: replaced where its text differs; people's (key "") are only added."""
    there = [one for one in data["comments"] if comment.key and one["key"] == comment.key]
    if there and there[-1]["text"] == comment.text:
        return data
    if there:
        comments = [asdict(comment) if one is there[-1] else one for one in data["comments"]]
    else:
        comments = [*data["comments"], asdict(comment)]
    return {**data, "comments": comments}


def with_approval(data: Data, approval: Approval) -> Data:
    """One approval of each person; giving it again for the same head changes nothing."""
    if any(one["user"] == approval.user and one["sha"] == approval.sha for one in data["approvals"]):
        return data
    others = [one for one in data["approvals"] if one["user"] != approval.user]
    return {**data, "approvals": [*others, asdict(approval)]}


def with_status(data: Data, status: CommitStatus, now: int) -> Data:
    """The newest status of each name; the same again changes nothing."""
    there = data.get("statuses", {})
    made = {**asdict(status), "at": there.get(status.name, {}).get("at", now)}
    if there.get(status.name) == made:
        return data
    return {**data, "statuses": {**there, status.name: {**made, "at": now}}}


def with_deployment(items: Sequence[Data], made: Deployment) -> list[Data]:
    """A new record at the end, or the next state of the one that has its number."""
    for at, item in enumerate(items):
        if item["number"] == made.number:
            changed = {**item, "state": made.state, "finished_at": made.finished_at, "url": made.url or item["url"]}
            if item["state"] == made.state:
                changed["finished_at"] = item["finished_at"]
            return [*items[:at], changed, *items[at + 1 :]]
    return [*items, asdict(made)]


def ref_name(text: str) -> str:
    """`text` as one part of a ref's name, different for different texts."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
