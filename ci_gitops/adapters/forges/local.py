"""The local forge: a bare repository whose merge requests are refs with their record beside them.

    refs/ci-gitops/merge-requests/3/record   a commit whose tree holds record.json; its parents are its history
    refs/ci-gitops/merge-requests/3/head     the source branch as it was last seen, kept after that is deleted
    refs/ci-gitops/statuses/<commit>         statuses of a commit
    refs/ci-gitops/deployments/<environment> deployment records
    refs/ci-gitops/project                   the project's settings, where they differ from the defaults

There is no server and no lock: everything is an atomic push with compare and swap, so it works for a path, file://
and any Git server, for many processes at once. A number is given by creating its ref, after all smaller ones have
been read; so a merge request from one branch to another is never opened twice. There are no accounts: `approve`
stands for a person, whoever runs it. There are no pipelines and no merge trains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ci_gitops.adapters.forges import local_records as records
from ci_gitops.adapters.forges.base import (
    Account,
    Approval,
    Checks,
    Comment,
    CommitStatus,
    Deployment,
    DeploymentState,
    MergeCall,
    MergeOutcome,
    NewMergeRequest,
    Project,
    Push,
    outgoing,
)
from ci_gitops.adapters.forges.documents import Document, Documents
from ci_gitops.adapters.forges.local_merge import Landing, land
from ci_gitops.adapters.git import RefUpdate, Repository
from ci_gitops.core.forge_settings import Needs, Setting
from ci_gitops.core.mergerequest_text import DESCRIPTION_LIMIT
from ci_gitops.core.mergerequests import BRANCH_PREFIX, MergeRequest, State
from ci_gitops.errors import ForgeError, RefusedError

_HEADS = "refs/heads/"
_REQUESTS = "refs/ci-gitops/merge-requests/"
_PROJECT = "refs/ci-gitops/project"
_KEPT_DEPLOYMENTS = 100
Edit = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One merge request's record and the branches, all from one listing."""

    document: Document
    refs: Mapping[str, str]
    url: str

    @property
    def request(self) -> MergeRequest:
        try:
            return records.to_request(self.document.data, self.refs, self.url)
        except (KeyError, TypeError) as error:
            raise ForgeError(f"{self.document.ref} does not hold a merge request: {error} is missing.") from error


class LocalForge:
    kind = "local"
    description_limit = DESCRIPTION_LIMIT
    keeps_gates = True
    has_accounts = False

    def __init__(self, repository: Repository, documents: Documents, *, now: Callable[[], float] = time.time) -> None:
        self._repository = repository
        self._url = repository.url.clean
        self._documents = documents
        self._now = now

    def whoami(self) -> Account:
        return Account(self._documents.person.name, self._documents.person.name)

    def project(self) -> Project:
        return self._settings(self._repository.remote_refs(_PROJECT), self._repository.default_branch())

    def may_push(self, branch: str) -> bool | None:
        return None

    def settings(self, needs: Needs) -> tuple[Setting, ...]:
        return ()

    def find(
        self, *, source: str | None = None, target: str | None = None, state: State = "open"
    ) -> tuple[MergeRequest, ...]:
        requests = [seen.request for seen in self._all(self._refs())]
        return tuple(
            one
            for one in requests
            if one.state == state and source in (None, one.source) and target in (None, one.target)
        )

    def get(self, iid: int) -> MergeRequest:
        return self._seen(iid).request

    def push_options(self, new: NewMergeRequest) -> tuple[str, ...]:
        return ()

    def open(self, new: NewMergeRequest) -> MergeRequest:
        new = replace(new, title=outgoing(new.title), description=outgoing(new.description))
        return self._documents.until_landed(lambda: self._open(new), f"The list of merge requests of {new.target}")

    def _open(self, new: NewMergeRequest) -> MergeRequest | None:
        refs = self._refs()
        there = self._all(refs)
        for seen in there:
            one = seen.request
            if one.state == "open" and (one.source, one.target) == (new.source, new.target):
                return one
        head = refs.get(_HEADS + new.source)
        if not head or _HEADS + new.target not in refs:
            missing = new.target if head else new.source
            raise ForgeError(
                f"There is no branch {missing!r} in {self._url}: push it first.",
                hint="Somebody may have deleted it just now: run it again.",
            )
        iid = max((seen.request.iid for seen in there), default=0) + 1
        data = records.new_record(iid, new, head, self.whoami().login, self._time())
        update = self._documents.moved(Document(_ref(iid, "record")), data, f"Open !{iid}: {new.title}")
        # The head's ref is pushed with the record, so that one never stands without the other.
        if not self._documents.push([update, RefUpdate(_ref(iid, "head"), head, "")]):
            return None
        return records.to_request(data, refs, self._url)

    def update(
        self,
        iid: int,
        *,
        title: str | None = None,
        description: str | None = None,
        add_labels: Sequence[str] = (),
        remove_labels: Sequence[str] = (),
        reviewers: Sequence[str] = (),
        assignees: Sequence[str] = (),
        draft: bool | None = None,
    ) -> MergeRequest:
        def edit(data: Mapping[str, Any]) -> Mapping[str, Any]:
            labels = [*data["labels"], *(label for label in add_labels if label not in data["labels"])]
            return {
                **data,
                "title": data["title"] if title is None else outgoing(title),
                "description": data["description"] if description is None else outgoing(description),
                "labels": [label for label in labels if label not in remove_labels],
                "reviewers": [*dict.fromkeys([*data["reviewers"], *reviewers])],
                "assignees": [*dict.fromkeys([*data["assignees"], *assignees])],
                "draft": data["draft"] if draft is None else draft,
            }

        return self._change(iid, edit, f"Update !{iid}")

    def comment(self, iid: int, key: str, text: str) -> None:
        mine = self.whoami().login
        text = outgoing(text)
        self._change(iid, lambda data: records.with_comment(data, Comment(key, mine, text, self._time())), "Comment")

    def comments(self, iid: int) -> tuple[Comment, ...]:
        return tuple(Comment(**comment) for comment in self._seen(iid).document.data["comments"])

    def approvals(self, iid: int) -> tuple[Approval, ...]:
        return tuple(Approval(**approval) for approval in self._seen(iid).document.data["approvals"])

    def pushes(self, request: MergeRequest) -> tuple[Push, ...]:
        return ()  # Git itself does not know

    def approve(self, iid: int, head_sha: str) -> None:
        seen = self._seen(iid).request
        if seen.state != "open":
            raise RefusedError(f"!{iid} is {seen.state}: there is nothing to approve.")
        if seen.head_sha != head_sha:
            raise RefusedError(
                f"!{iid} is at {seen.head_sha[:12]}, no longer at {head_sha[:12]}: look at what is new, then approve."
            )
        approval = Approval(self.whoami().login, head_sha, self._time())
        self._change(iid, lambda data: records.with_approval(data, approval), f"Approve !{iid} at {head_sha[:12]}")

    def merge(self, iid: int, call: MergeCall) -> MergeOutcome:
        return self._documents.until_landed(lambda: self._merge(iid, call), f"!{iid}")

    def _merge(self, iid: int, call: MergeCall) -> MergeOutcome | None:
        seen = self._seen(iid)
        project = self._settings(seen.refs)
        call = records.with_own_settings(call, seen.document.data)
        request = seen.request
        if request.state == "merged":
            return MergeOutcome("merged", request, "it is merged already")
        if blocked := records.why_not(request, call.head_sha):
            return MergeOutcome("blocked", request, blocked)
        base = seen.refs.get(_HEADS + request.target, "")
        if not base:
            return MergeOutcome("blocked", request, f"its target branch {request.target!r} does not exist")
        landing = land(self._repository, request, base, call, project, self._documents.person)
        if landing is None:
            return None
        if not landing.sha:
            return MergeOutcome("blocked", request, landing.reason, landing.conflicts, landing.behind)
        return self._landed(seen, landing, call, project)

    def _landed(self, seen: _Seen, landing: Landing, call: MergeCall, project: Project) -> MergeOutcome | None:
        request, refs = seen.request, seen.refs
        when = self._time()
        data = {**seen.document.data, "state": "merged", "armed": None, "headSha": call.head_sha,
                "mergeSha": landing.sha, "mergedAt": when, "updatedAt": when}  # fmt: skip
        updates = [
            self._documents.moved(seen.document, data, f"Merge !{request.iid} at {call.head_sha[:12]}"),
            RefUpdate(_ref(request.iid, "head"), call.head_sha, refs.get(_ref(request.iid, "head"), "")),
        ]
        if landing.sha != landing.base:
            updates.append(RefUpdate(_HEADS + request.target, landing.sha, landing.base))
        remove = call.remove_source_branch
        if request.source.startswith(BRANCH_PREFIX) and (project.remove_source_branch if remove is None else remove):
            updates.append(RefUpdate(_HEADS + request.source, "", call.head_sha))
        if not self._documents.push(updates):
            return None
        return MergeOutcome("merged", records.to_request(data, refs, self._url))

    def arm(self, iid: int, call: MergeCall) -> MergeOutcome:
        request = self._seen(iid).request
        if request.state == "merged":
            return MergeOutcome("merged", request, "it is merged already")
        if blocked := records.why_not(request, call.head_sha, draft_matters=False):
            return MergeOutcome("blocked", request, blocked)
        request = self._change(iid, lambda data: {**data, "armed": call.head_sha}, f"Merge !{iid} when green")
        return MergeOutcome("armed", request, "the next `ci-gitops merge` merges it when its gates are green")

    def disarm(self, iid: int) -> MergeRequest:
        return self._change(iid, lambda data: {**data, "armed": None}, f"Do not merge !{iid} by itself")

    def join_train(self, iid: int, call: MergeCall) -> MergeOutcome:
        raise RefusedError("The local forge has no merge trains.", hint="Merge directly: `ci-gitops merge`.")

    def close(self, iid: int, *, superseded_by: int | None = None) -> MergeRequest:
        def edit(data: Mapping[str, Any]) -> Mapping[str, Any]:
            if data["state"] != "open":
                return data
            closed = {**data, "state": "closed", "armed": None}
            if superseded_by is None:
                return closed
            told = Comment("superseded", self.whoami().login, f"Superseded by !{superseded_by}.", self._time())
            return records.with_comment({**closed, "supersededBy": superseded_by}, told)

        return self._change(iid, edit, f"Close !{iid}")

    def checks(self, sha: str) -> Checks:
        statuses = self._documents.get(_status_ref(sha)).data.get("statuses", {})
        return Checks(sha, None, tuple(CommitStatus(**status) for _, status in sorted(statuses.items())))

    def set_status(self, sha: str, status: CommitStatus, *, ref: str = "") -> None:
        self._documents.change(
            _status_ref(sha),
            lambda data: records.with_status(data, status, self._time()),
            f"{outgoing(status.name)}: {status.state}",
        )

    def record_deployment(
        self, environment: str, sha: str, ref: str, state: DeploymentState, *, number: int | None = None, url: str = ""
    ) -> Deployment:
        name = _deployment_ref(environment)
        when = self._time()
        given = number

        def edit(data: Mapping[str, Any]) -> Mapping[str, Any]:
            nonlocal number
            items = data.get("items", [])
            number = given or max((item["number"] for item in items), default=0) + 1
            made = Deployment(number, environment, sha, ref, state, url, when, 0 if state == "running" else when)
            return {"items": records.with_deployment(items, made)[-_KEPT_DEPLOYMENTS:]}

        items = self._documents.change(name, edit, f"Deployment to {environment}: {state}").data["items"]
        return next(Deployment(**item) for item in items if item["number"] == number)

    def deployments(self, environment: str) -> tuple[Deployment, ...]:
        items = self._documents.get(_deployment_ref(environment)).data.get("items", [])
        return tuple(Deployment(**item) for item in reversed(items))

    def people(self, name: str) -> tuple[str, ...]:
        return (name,)  # there are no accounts, so nobody knows of groups

    def freezes(self) -> None:
        return None

    def _change(self, iid: int, edit: Edit, message: str) -> MergeRequest:
        """Change one record, and let its head ref follow the branch."""

        def attempt() -> MergeRequest | None:
            seen = self._seen(iid)
            data = edit(seen.document.data)
            if data == seen.document.data:
                return seen.request
            data = {**data, "updatedAt": self._time(), "headSha": seen.request.head_sha}
            updates = [self._documents.moved(seen.document, data, message)]
            kept, head = seen.refs.get(_ref(iid, "head"), ""), seen.request.head_sha
            if head and head != kept:
                updates.append(RefUpdate(_ref(iid, "head"), head, kept))
            return records.to_request(data, seen.refs, self._url) if self._documents.push(updates) else None

        return self._documents.until_landed(attempt, f"!{iid}")

    def _refs(self) -> dict[str, str]:
        return self._repository.remote_refs(f"{_HEADS}*", f"{_REQUESTS}*", _PROJECT)

    def _settings(self, refs: Mapping[str, str], default_branch: str = "") -> Project:
        settings = self._documents.load({_PROJECT: refs[_PROJECT]})[_PROJECT].data if _PROJECT in refs else {}
        return records.to_project(settings, default_branch)

    def _all(self, refs: Mapping[str, str]) -> list[_Seen]:
        wanted = {ref: sha for ref, sha in refs.items() if ref.startswith(_REQUESTS) and ref.endswith("/record")}
        loaded = self._documents.load(wanted)
        return sorted((_Seen(one, refs, self._url) for one in loaded.values()), key=lambda seen: seen.request.iid)

    def _seen(self, iid: int) -> _Seen:
        refs = self._refs()
        ref = _ref(iid, "record")
        if ref not in refs:
            raise ForgeError(f"There is no merge request !{iid} in {self._url}.", hint="Is --repo right?")
        return _Seen(self._documents.load({ref: refs[ref]})[ref], refs, self._url)

    def _time(self) -> int:
        return int(self._now())


def _ref(iid: int, part: str) -> str:
    return f"{_REQUESTS}{iid}/{part}"


def _status_ref(sha: str) -> str:
    return f"refs/ci-gitops/statuses/{sha}"


def _deployment_ref(environment: str) -> str:
    return f"refs/ci-gitops/deployments/{records.ref_name(environment)}"
