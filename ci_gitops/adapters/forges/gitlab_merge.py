"""Merging on GitLab: ask, and after every answer that is no plain yes look at what is true now.

`PUT …/merge` answers 405 for a draft, a pipeline, a conflict or a mergeability that is still being computed; 422
and 409 may mean that the merge was done by somebody else; a lost answer may mean anything; and 200 does not mean
merged. So the answer is only a reason to read the merge request again, and its state decides.
https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ci_gitops.adapters.forges import gitlab_records as records
from ci_gitops.adapters.forges.base import MergeCall, MergeOutcome, outgoing
from ci_gitops.adapters.forges.gitlab_api import GitLabApi, Reply
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.errors import RefusedError

Json = Mapping[str, Any]
Move = Literal["ask", "poll", "wait", "stop", "done"]
_LOOKS = 8  # how often an answer that is still being computed is asked for
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_ON_THE_WAY = ("idle", "fresh", "stale", "merging")
_LATE = 4  # looks after which no merge commit is expected any more
_ASKS = 4  # how often the merge itself is asked for
_TURNED_AWAY = (400, 405, 406, 409, 422)

#: https://docs.gitlab.com/api/merge_requests/#merge-status ; what is not here waits: new values appear.
_STATUS: Mapping[str, tuple[Move, str]] = {
    "mergeable": ("ask", ""),
    "unchecked": ("poll", "GitLab has not looked yet whether it can be merged"),
    "checking": ("poll", "GitLab is looking whether it can be merged"),
    "preparing": ("poll", "GitLab is preparing it"),
    "approvals_syncing": ("poll", "GitLab is counting its approvals"),
    "ci_still_running": ("wait", "its pipeline still runs"),
    "ci_must_pass": ("wait", "GitLab demands a pipeline that has passed"),
    "not_approved": ("wait", "GitLab demands approvals that are not there"),
    "requested_changes": ("wait", "a reviewer has requested changes"),
    "discussions_not_resolved": ("wait", "GitLab demands that its threads are resolved"),
    "status_checks_must_pass": ("wait", "GitLab demands status checks that have passed"),
    "security_policy_violations": ("wait", "a security policy of GitLab holds it back"),
    "merge_request_blocked": ("wait", "another merge request blocks it"),
    "jira_association_missing": ("wait", "GitLab demands that it names a Jira issue"),
    "locked_paths": ("wait", "files that it changes are locked"),
    "locked_lfs_files": ("wait", "files that it changes are locked"),
    "merge_time": ("wait", "it is not to be merged before its time"),
    "title_regex": ("wait", "GitLab demands another form of its title"),
    "draft_status": ("stop", "it is a draft"),
    "need_rebase": ("stop", "its branch needs a rebase"),
    "conflict": ("stop", "it conflicts"),
    "not_open": ("stop", "it is not open"),
    "commits_status": ("stop", "its branch does not exist, or has no commits of its own"),
}


@dataclass(frozen=True, slots=True)
class GitLabMerge:
    """One merge request that is to be merged at one head."""

    api: GitLabApi
    iid: int
    call: MergeCall
    head_of: Callable[[str], str]  # a branch's own head
    conflicts: Callable[[Json], tuple[str, ...]]

    def merge(self) -> MergeOutcome:
        """Merge it now, or say why not."""
        for _ in range(_ASKS):
            data = self._settled()
            if said := self._decided(data):
                return said
            reply = self._asked(f"{self._path}/merge", self._body())
            if reply and reply.ok and self.api.record(reply.data, "merge request", "state")["state"] == "merged":
                return self._landed(self._read())
        data = self._settled()
        return self._decided(data) or self._outcome("waiting", data, "GitLab calls it mergeable and does not merge it")

    def arm(self) -> MergeOutcome:
        """Let GitLab merge it when its pipeline has passed, or at once where it has.

        Where there is no pipeline GitLab arms nothing (405). That is no leave to merge: one may be about to begin.
        """
        data = self._settled()
        stopped = self._decided(data, armed=True)
        if stopped and stopped.state in ("merged", "armed", "blocked"):
            return stopped
        self._asked(f"{self._path}/merge", {**self._body(), **self._auto()})
        data = self._settled()
        decided = self._decided(data, armed=True)
        return decided or self._outcome("waiting", data, "GitLab sees nothing that it could wait for")

    def join_train(self) -> MergeOutcome:
        """Put it on the merge train of its target branch."""
        if not self.api.project.get("merge_trains_enabled"):
            raise RefusedError(
                f"{self.api.site.project} has no merge trains.", hint="Merge directly: `ci-gitops merge`."
            )
        data = self._settled()
        stopped = self._decided(data, armed=True)
        if stopped and stopped.state in ("merged", "armed", "blocked"):
            return stopped
        path = self.api.at(f"/merge_trains/merge_requests/{self.iid}")
        self.api.lists.add(path)
        if self._car(path):
            return self._outcome("armed", data, f"it is on the merge train of {data['target_branch']}")
        body: dict[str, Any] = {"sha": self.call.head_sha}
        if stopped:  # it still waits: on to the train when its checks have passed
            body["auto_merge"] = True
        if self.call.method == "squash":
            body["squash"] = True
        reply = self.api.once(lambda: self.api.post(path, body, accept=(403, *_TURNED_AWAY)), lambda: self._car(path))
        data = self._settled()
        if data["state"] == "merged":
            return self._landed(data)
        if reply.ok:
            return self._outcome("armed", data, f"it is on the merge train of {data['target_branch']}")
        return self._outcome("waiting", data, f"the merge train does not take it yet ({reply.said or reply.status})")

    # What is true

    def _settled(self) -> Json:
        """The merge request, when GitLab has made up its mind about it, or after a while as it is."""
        pause = _FIRST_PAUSE
        data = self._read()
        for _ in range(_LOOKS):
            behind = data.get("sha") != self.call.head_sha and self.head_of(data["source_branch"]) == self.call.head_sha
            polled = data["state"] == "locked" or _move(data)[0] == "poll" or behind
            if data["state"] not in ("opened", "locked") or not polled:
                return data
            self.api.site.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            data = self._read()
        return data

    def _decided(self, data: Json, *, armed: bool = False) -> MergeOutcome | None:
        """What follows from the merge request as it is; None: it may be merged."""
        if data["state"] == "merged":
            return self._landed(data)
        request = self._request(data)
        if data["state"] == "closed":
            return MergeOutcome("blocked", request, "it is closed")
        if not request.head_sha:
            again = self._read()
            if again["state"] not in ("opened", "locked"):  # merged meanwhile, and its branch deleted with that
                return self._decided(again)
            return MergeOutcome("blocked", request, f"its branch {request.source!r} does not exist any more")
        if request.head_sha != self.call.head_sha:
            moved = f"its branch has moved from {self.call.head_sha[:12]} to {request.head_sha[:12]}"
            return MergeOutcome("blocked", request, moved)
        if request.draft and not armed:
            return MergeOutcome("blocked", request, "it is a draft")
        if armed and request.armed_sha:
            return MergeOutcome("armed", request, "GitLab merges it when its pipeline has passed")
        if data.get("sha") != self.call.head_sha:
            return MergeOutcome("waiting", request, "GitLab has not seen the last push to its branch yet")
        move, reason = _move(data)
        if move == "ask":
            return None
        if move == "stop":
            return self._stopped(data, request, reason)
        error = f" ({data['merge_error']})" if data.get("merge_error") else ""
        return MergeOutcome("waiting", request, f"{reason}{outgoing(error)}")

    def _stopped(self, data: Json, request: MergeRequest, reason: str) -> MergeOutcome:
        if data.get("detailed_merge_status") == "need_rebase":
            why = f"{request.target} has moved on: {reason} (GitLab merges no other)"
            return MergeOutcome("blocked", request, why, behind=True)
        if data.get("has_conflicts") or data.get("detailed_merge_status") == "conflict":
            paths = self.conflicts(data)
            where = f" in {', '.join(paths)}" if paths else ""
            return MergeOutcome("blocked", request, f"it conflicts with {request.target}{where}", paths)
        return MergeOutcome("blocked", request, reason)

    def _landed(self, data: Json) -> MergeOutcome:
        """Merged, as the commit that is proved to be on the target branch: what GitLab says of it comes in pieces."""
        pause = _FIRST_PAUSE
        for look in range(_LOOKS):
            # A merge commit is named a little later; who pushed the branch to its target by hand has made none.
            named = data.get("merge_commit_sha") or self.api.project.get("merge_method") == "ff" or look >= _LATE
            for sha in records.landed(data) if named else ():
                if self._is_on(data["target_branch"], sha):
                    request = self._request({**data, "merge_commit_sha": sha})
                    return MergeOutcome("merged", request, "")
            self.api.site.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            data = self._read()
        bare = {**data, "merge_commit_sha": None, "squash_commit_sha": None, "sha": None}
        return self._outcome("merged", bare, f"no commit of it is on {data['target_branch']} yet")

    def _is_on(self, branch: str, sha: str) -> bool:
        """https://docs.gitlab.com/api/repositories/#merge-base : of a commit and its descendant it is the commit."""
        found = self.api.get(self.api.at("/repository/merge_base"), {"refs[]": [sha, branch]}, accept=(400, 404))
        return found.ok and self.api.record(found.data, "merge base").get("id") == sha

    # What is asked

    def _asked(self, path: str, body: Json) -> Reply | None:
        """One request to merge; None where it was turned away or its answer lost: what is true decides then."""
        from ci_gitops.adapters.forges.transport import LostAnswerError

        try:
            reply = self.api.put(path, body, accept=(401, 403, *_TURNED_AWAY))
        except LostAnswerError:
            self.api.site.wait(_FIRST_PAUSE)
            return None
        if reply.status in (401, 403) and self._read()["state"] != "merged":
            raise RefusedError(
                f"{self.api.name} does not let the token from {self.api.site.source} merge !{self.iid}"
                f"{f' ({reply.said})' if reply.said else ''}.",
                hint="In the project: Settings > Repository > Protected branches > Allowed to merge, and a token with "
                "the scope api. A CI job token never merges.",
            )
        return reply if reply.ok else None

    def _body(self) -> dict[str, Any]:
        call = self.call
        body: dict[str, Any] = {"sha": call.head_sha}
        if call.method == "squash":
            body["squash"] = True
        if call.message:  # an empty one is refused
            body["merge_commit_message"] = outgoing(call.message)
            body["squash_commit_message"] = outgoing(call.message)
        if call.remove_source_branch is not None:
            body["should_remove_source_branch"] = call.remove_source_branch
        return body

    def _auto(self) -> Json:
        """The name of auto-merge: it changed in 17.11."""
        told = self.api.get("/metadata", accept=(401, 403, 404))
        version = str(self.api.record(told.data, "metadata").get("version", "")) if told.ok else ""
        numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2] if part.isdigit())
        return {"merge_when_pipeline_succeeds": True} if numbers and numbers < (17, 11) else {"auto_merge": True}

    def _car(self, path: str) -> Reply | None:
        """Its place on the train, where it has one: a train that has come to its end stays listed."""
        found = self.api.get(path, accept=(403, 404))
        waits = found.ok and self.api.record(found.data, "merge train").get("status") in _ON_THE_WAY
        return found if waits else None

    @property
    def _path(self) -> str:
        return self.api.at(f"/merge_requests/{self.iid}")

    def _read(self) -> Json:
        return self.api.record(self.api.get(self._path).data, "merge request", "iid", "state", "source_branch", "title")

    def _request(self, data: Json) -> MergeRequest:
        head = self.head_of(data["source_branch"]) if data["state"] in ("opened", "locked") else ""
        return records.to_request(data, head)

    def _outcome(self, state: Literal["merged", "armed", "waiting"], data: Json, reason: str) -> MergeOutcome:
        return MergeOutcome(state, self._request(data), reason)


def _move(data: Json) -> tuple[Move, str]:
    """What `detailed_merge_status` asks for; older servers say less."""
    status = data.get("detailed_merge_status")
    if status is None:
        plain = {"can_be_merged": "mergeable", "cannot_be_merged": "conflict", "checking": "checking"}
        status = plain.get(str(data.get("merge_status")), "unchecked")
    return _STATUS.get(str(status), ("wait", f"GitLab says that it is {outgoing(str(status)).replace('_', ' ')}"))
