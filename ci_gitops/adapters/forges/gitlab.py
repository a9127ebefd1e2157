"""GitLab: its merge requests, statuses and deployments, by its REST API.

What a merge request says of its branch lags behind pushes, so every head is asked of the repository. What it
computes later (whether it can be merged, which commit landed) is asked for until it is there: see `gitlab_merge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ci_gitops.adapters.forges import gitlab_records as records
from ci_gitops.adapters.forges.base import (
    Account,
    Approval,
    Checks,
    Comment,
    CommitStatus,
    Deployment,
    DeploymentState,
    Freeze,
    MergeCall,
    MergeOutcome,
    NewMergeRequest,
    Project,
    Push,
    Site,
    outgoing,
)
from ci_gitops.adapters.forges.gitlab_api import GitLabApi, quoted
from ci_gitops.adapters.forges.gitlab_checks import checks_of, post_status
from ci_gitops.adapters.forges.gitlab_deployments import deployments_of, record_deployment
from ci_gitops.adapters.forges.gitlab_merge import GitLabMerge
from ci_gitops.adapters.forges.gitlab_people import People
from ci_gitops.adapters.forges.gitlab_settings import GitLabSettings
from ci_gitops.adapters.git import Person, Repository
from ci_gitops.core.comment_keys import marked
from ci_gitops.core.forge_settings import Needs, Setting
from ci_gitops.core.mergerequest_text import DESCRIPTION_LIMIT, clipped
from ci_gitops.core.mergerequests import MergeRequest, State
from ci_gitops.errors import ForgeError, RefusedError

Json = Mapping[str, Any]
_HEADS = "refs/heads/"
_STATES: Mapping[State, str] = {"open": "opened", "merged": "merged", "closed": "closed"}
_FEW = 3  # branches that are asked for one by one
_MOST_ENDED = 500  # merged or closed ones that are looked at, newest first


class GitLabForge:
    kind = "gitlab"
    description_limit = DESCRIPTION_LIMIT
    keeps_gates = False
    has_accounts = True

    def __init__(self, repository: Repository, person: Person, site: Site) -> None:
        self._repository = repository
        self._person = person
        self._api = GitLabApi(site)
        self._people = People(self._api)

    def whoami(self) -> Account:
        return self._people.me()

    def project(self) -> Project:
        return records.to_project(self._api.project)

    def may_push(self, branch: str) -> bool | None:
        """https://docs.gitlab.com/api/branches/ : `can_push` speaks of the account that asks."""
        found = self._api.get(self._api.at(f"/repository/branches/{quoted(branch)}"), accept=(401, 403, 404))
        return found.data.get("can_push") if found.ok else None

    def settings(self, needs: Needs) -> tuple[Setting, ...]:
        return tuple(GitLabSettings(self._api, needs).judged())

    def find(
        self, *, source: str | None = None, target: str | None = None, state: State = "open"
    ) -> tuple[MergeRequest, ...]:
        query: dict[str, Any] = {"state": _STATES[state], "order_by": "created_at", "sort": "desc"}
        if source:
            query["source_branch"] = source
        if target:
            query["target_branch"] = target
        most = 10_000 if state == "open" else _MOST_ENDED
        found = [one for one in self._api.all(self._path(), query, most=most) if self._is_here(one)]
        heads = self._heads({one["source_branch"] for one in found}) if state == "open" else {}
        requests = [records.to_request(one, heads.get(one["source_branch"], "")) for one in found]
        return tuple(sorted(requests, key=lambda one: one.iid))

    def get(self, iid: int) -> MergeRequest:
        request = self._request(self._read(iid))
        # A branch that is gone may have gone with a merge, between the two questions.
        return request if request.head_sha else self._request(self._read(iid))

    def push_options(self, new: NewMergeRequest) -> tuple[str, ...]:
        return ()

    def open(self, new: NewMergeRequest) -> MergeRequest:
        there = self._open_one(new)
        if there:
            return there
        heads = self._heads({new.source, new.target})
        for branch in (new.source, new.target):
            if branch not in heads:
                raise ForgeError(
                    f"There is no branch {branch!r} in {self._repository.url.clean}: push it first.",
                    hint="Somebody may have deleted it just now: run it again.",
                )
        reviewers = self._people.chosen(new.reviewers, "reviewer")
        assignees = self._people.chosen(new.assignees, "assignee")
        body: dict[str, Any] = {
            "source_branch": new.source, "target_branch": new.target, "description": outgoing(new.description),
            "title": records.draft_title(clipped(outgoing(new.title)), new.draft), "labels": list(new.labels),
            "reviewer_ids": list(reviewers.ids), "assignee_ids": list(assignees.ids),
        }  # fmt: skip
        # GitLab's form fills these in from the project's settings; its API does not.
        project = self.project()
        body["squash"] = project.squash if new.squash is None else new.squash
        removed = new.remove_source_branch
        body["remove_source_branch"] = project.remove_source_branch if removed is None else removed
        opened = self._api.once(lambda: self._created(body, new), lambda: self._open_one(new))
        self._mention(opened.iid, (*reviewers.groups, *assignees.groups))
        return self._the_first(opened, new)

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
        data = self._read(iid)
        now = self._request(data)
        wanted_title = records.draft_title(
            now.title if title is None else clipped(outgoing(title)), now.draft if draft is None else draft
        )
        body: dict[str, Any] = {"title": wanted_title} if wanted_title != data["title"] else {}
        if description is not None and outgoing(description) != now.description:
            body["description"] = outgoing(description)
        if missing := [label for label in add_labels if label not in now.labels]:
            body["add_labels"] = missing
        if gone := [label for label in remove_labels if label in now.labels]:
            body["remove_labels"] = gone
        large: tuple[str, ...] = ()
        for field, names, there in (("reviewer", reviewers, "reviewers"), ("assignee", assignees, "assignees")):
            chosen = self._people.chosen(names, field)
            known = [one["id"] for one in data.get(there) or ()]
            if fresh := [one for one in chosen.ids if one not in known]:
                body[f"{field}_ids"] = [*known, *fresh]
            large += chosen.groups
        self._mention(iid, large)
        return self._put(iid, body) if body else now

    def comment(self, iid: int, key: str, text: str) -> None:
        text = marked(key, outgoing(text)) if key else outgoing(text)
        path = self._path(f"/{iid}/notes")

        def ours() -> list[Json]:
            """Our notes of this key: those of this account first, then the oldest first."""
            marked = [one for one in self._notes(iid) if key and records.to_comment(one).key == key]
            me = self.whoami().login if len(marked) > 1 else ""
            return sorted(marked, key=lambda one: (records.to_comment(one).author != me, one["id"]))

        for note in ours():
            if note["body"] == text:
                return
            if self._changed(f"{path}/{note['id']}", note, text):
                return
        # Nothing of ours is there, or only what another account wrote and may alone change.
        self._api.once(
            lambda: self._api.post(path, {"body": text}).data,
            lambda: next((note for note in ours() if note["body"] == text), None),
        )
        self._only_one(path, [note for note in ours() if note["body"] == text])

    def comments(self, iid: int) -> tuple[Comment, ...]:
        return tuple(records.to_comment(one) for one in self._notes(iid))

    def approvals(self, iid: int) -> tuple[Approval, ...]:
        told = self._api.record(self._api.get(self._path(f"/{iid}/approvals")).data, "approvals")
        given = told.get("approved_by") or ()
        if not given:
            return ()
        undated = any(not one.get("approved_at") for one in given)
        versions = self._api.all(self._path(f"/{iid}/versions"), {})
        return records.to_approvals(given, self._noted(iid) if undated else {}, versions)

    def pushes(self, request: MergeRequest) -> tuple[Push, ...]:
        return records.to_pushes(self._people.pushed(request.created_at), request.source)

    def approve(self, iid: int, head_sha: str) -> None:
        raise RefusedError(
            f"Merge requests on {self._api.name} are approved by people, in GitLab itself.",
            hint=f"{self.get(iid).url}: Approve. `--approve` is for the local forge, which has no accounts.",
        )

    def merge(self, iid: int, call: MergeCall) -> MergeOutcome:
        merger = self._merger(iid, call)
        return merger.join_train() if self.project().trains else merger.merge()

    def arm(self, iid: int, call: MergeCall) -> MergeOutcome:
        return self._merger(iid, call).arm()

    def disarm(self, iid: int) -> MergeRequest:
        path = self._path(f"/{iid}/cancel_merge_when_pipeline_succeeds")
        self._api.once(lambda: self._api.post(path, {}, accept=(405, 406)), lambda: None)
        return self.get(iid)

    def join_train(self, iid: int, call: MergeCall) -> MergeOutcome:
        return self._merger(iid, call).join_train()

    def close(self, iid: int, *, superseded_by: int | None = None) -> MergeRequest:
        data = self._read(iid)
        if data["state"] not in ("opened", "locked"):
            return self._request(data)
        body: dict[str, Any] = {"state_event": "close"}
        if superseded_by is not None:
            self.comment(iid, "superseded", f"Superseded by !{superseded_by}.")
            body["description"] = records.superseded(data.get("description") or "", superseded_by)
        return self._put(iid, body)

    def checks(self, sha: str) -> Checks:
        return checks_of(self._api, sha)

    def set_status(self, sha: str, status: CommitStatus, *, ref: str = "") -> None:
        post_status(self._api, sha, status, ref)

    def record_deployment(
        self, environment: str, sha: str, ref: str, state: DeploymentState, *, number: int | None = None, url: str = ""
    ) -> Deployment:
        return record_deployment(self._api, environment, sha, ref, state, number, url)

    def deployments(self, environment: str) -> tuple[Deployment, ...]:
        return deployments_of(self._api, environment)

    def people(self, name: str) -> tuple[str, ...]:
        return records.usernames(self._people.of(name))

    def freezes(self) -> tuple[Freeze, ...]:
        listed = self._api.all(self._api.at("/freeze_periods"), {})
        return tuple(
            Freeze(one["freeze_start"], one["freeze_end"], one.get("cron_timezone") or "UTC") for one in listed
        )

    # One merge request

    def _path(self, more: str = "") -> str:
        return self._api.at(f"/merge_requests{more}")

    def _read(self, iid: int) -> Json:
        reply = self._api.get(self._path(f"/{iid}"), accept=(404,))
        if not reply.ok:
            raise ForgeError(
                f"There is no merge request !{iid} in {self._api.site.project} on {self._api.name}.",
                hint=f"Those that are there: {self._api.site.server}/{self._api.site.project}/-/merge_requests",
            )
        data = self._api.record(reply.data, "merge request", "iid", "state", "title", "source_branch", "target_branch")
        if not self._is_here(data):
            raise RefusedError(
                f"!{iid} comes from another project (a fork): ours are branches of {self._api.site.project} itself.",
                hint="People merge that one, in GitLab itself.",
            )
        return data

    def _put(self, iid: int, body: Json) -> MergeRequest:
        """A change that may be made twice: it says what is to be, not what is to be added."""
        self._api.once(lambda: self._api.put(self._path(f"/{iid}"), body), lambda: None)
        return self.get(iid)

    def _is_here(self, data: Json) -> bool:
        return data.get("source_project_id") == data.get("target_project_id")

    def _request(self, data: Json) -> MergeRequest:
        is_open = data["state"] in ("opened", "locked")
        return records.to_request(data, self._head(data["source_branch"]) if is_open else "")

    def _head(self, branch: str) -> str:
        """The branch's own head; "" where it is gone. Branches are read from the repository, unlike merge requests."""
        found = self._api.get(self._api.at(f"/repository/branches/{quoted(branch)}"), accept=(404,))
        return str(self._api.record(found.data, "branch", "commit")["commit"]["id"]) if found.ok else ""

    def _heads(self, branches: set[str]) -> Mapping[str, str]:
        """The heads of those that are there, by one question to Git where there are many."""
        if len(branches) <= _FEW:
            heads = {name: self._head(name) for name in branches}
            return {name: sha for name, sha in heads.items() if sha}
        refs = self._repository.remote_refs(*(f"{_HEADS}{name}" for name in sorted(branches)))
        return {ref.removeprefix(_HEADS): sha for ref, sha in refs.items()}

    def _open_one(self, new: NewMergeRequest) -> MergeRequest | None:
        return next(iter(self.find(source=new.source, target=new.target)), None)

    def _created(self, body: Json, new: NewMergeRequest) -> MergeRequest:
        reply = self._api.post(self._path(), body, accept=(409,))
        if reply.ok:
            return self.get(self._api.record(reply.data, "merge request", "iid")["iid"])
        there = self._open_one(new)  # another run has just opened it
        if there is None:
            raise ForgeError(
                f"{self._api.name} says that a merge request from {new.source} is open in {self._api.site.project}"
                f" ({reply.said}), and lists none.",
                hint="It may come from a fork, or have been closed just now: run it again.",
            )
        return there

    def _the_first(self, opened: MergeRequest, new: NewMergeRequest) -> MergeRequest:
        """GitLab looks for another one before it writes, not while it does: of two at once the earlier stays."""
        first = self._open_one(new)
        if first is None or first.iid >= opened.iid:
            return opened
        self.close(opened.iid, superseded_by=first.iid)
        return first

    def _merger(self, iid: int, call: MergeCall) -> GitLabMerge:
        self._read(iid)
        return GitLabMerge(self._api, iid, call, self._head, self._conflicts)

    def _conflicts(self, data: Json) -> tuple[str, ...]:
        """Their paths, by Git: GitLab's API does not tell them."""
        repository, person = self._repository, self._person
        target, source = (repository.fetch(data[name]) for name in ("target_branch", "source_branch"))
        return repository.merge(target, source, "", author=person, committer=person).conflicts

    # Notes

    def _notes(self, iid: int) -> Sequence[Json]:
        """What was written on it, oldest first, without what GitLab itself notes."""
        listed = self._api.all(self._path(f"/{iid}/notes"), {"sort": "asc", "order_by": "created_at"})
        return [one for one in listed if not one.get("system")]

    def _noted(self, iid: int) -> Mapping[str, int]:
        """When people approved, by GitLab's own notes: what servers before 18 do not say otherwise."""
        listed = self._api.all(self._path(f"/{iid}/notes"), {"sort": "asc", "order_by": "created_at"})
        approved = [one for one in listed if one.get("system") and one.get("body") == "approved this merge request"]
        return {records.to_comment(one).author: records.to_comment(one).at for one in approved}

    def _changed(self, path: str, note: Json, text: str) -> bool:
        """Whether this account may change that note, and did; what is refused of its own note is an error."""
        told = self._api.once(lambda: self._api.put(path, {"body": text}, accept=(401, 403, 404)), lambda: None)
        if not told.ok and told.status != 404 and records.to_comment(note).author == self.whoami().login:
            self._api.once(lambda: self._api.put(path, {"body": text}), lambda: None)
            return True
        return told.ok

    def _only_one(self, path: str, notes: Sequence[Json]) -> None:
        """Where two runs have written the same comment at once, the later one goes."""
        me = self.whoami().login if len(notes) > 1 else ""
        for note in sorted(notes, key=lambda one: int(one["id"]))[1:]:
            if records.to_comment(note).author == me:
                self._api.delete(f"{path}/{note['id']}", accept=(403, 404))

    def _mention(self, iid: int, groups: Sequence[str]) -> None:
        if groups:
            self.comment(iid, "people", "For " + ", ".join(f"@{name}" for name in dict.fromkeys(groups)) + ".")
