"""A GitLab server with one project, over a real bare repository: what its API answers, and when.

gitlab = FakeGitLab(git_server, clock)
gitlab.rules.merge_method = "ff"; gitlab.rules.checking = 2     # as slow and strict as wanted
gitlab.pipeline(sha, "running"); gitlab.finish(sha, "success")
gitlab.approve("alice", 1)
gitlab.faults.add(FAULTS["429 for an hour"], "PUT", "/merge$")
assert gitlab.breaches == []                                     # against GitLab's own description
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.api import Answer, Call, FakeApi, Refused
from tests.fakes.bare_git import BareGit
from tests.fakes.clock import Clock
from tests.fakes.gitlab_merging import Merging
from tests.fakes.gitlab_records import Records
from tests.fakes.gitlab_settings import Settings
from tests.fakes.gitlab_state import Mr, Note, Pipeline, Rules, State, User, Version, iso
from tests.fakes.openapi import load_spec
from tests.fakes.spec_gaps import GITLAB
from tests.rig.git_server import GitServer

Handler = Callable[[Call, User, "re.Match[str]"], Answer]
_QUICK = re.compile(r"(?m)^/(close|merge|approve|label|assign|title|draft)\b")


class FakeGitLab(FakeApi):
    prefix = "/api/v4/"

    def __init__(
        self, git: GitServer, clock: Clock, repository: str = "config", *, held_to_spec: bool = True,
        commits_as: Callable[[], Mapping[str, str]] = dict,
    ) -> None:  # fmt: skip
        """`commits_as` are variables for Git: whose its merges are, and when."""
        super().__init__(git, load_spec("gitlab-openapi.yaml", GITLAB, loose=True) if held_to_spec else None, clock)
        self.state = State(repository=repository)
        self.bare = BareGit(git.bare(repository), commits_as)
        self.merging = Merging(self.state, self.bare, clock)
        self.records = Records(self.state, self.bare, clock)
        self.settings = Settings(self.state)
        for name in ("robot", "alice", "bob", "carol", "owner", "other", "somebody"):
            self.state.user(name)
        project = rf"/projects/(?P<id>{self.state.id}|[^/]*)"
        one = rf"{project}/merge_requests/(?P<iid>\d+)"
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = [
            (method, re.compile(pattern), handler)
            for method, pattern, handler in (
                ("GET", "/user", self._user),
                ("GET", "/users", self._users),
                ("GET", "/job", self._job),
                ("GET", "/metadata", self._metadata),
                ("GET", "/personal_access_tokens/self", self._token),
                ("GET", r"/groups/(?P<group>[^/]+)", self._group),
                ("GET", r"/groups/(?P<group>\d+)/members/all", self._members),
                ("GET", project, self._project),
                ("GET", rf"{project}/events", self._events),
                ("GET", rf"{project}/merge_requests", self._list),
                ("POST", rf"{project}/merge_requests", self._create),
                ("GET", one, self._get),
                ("PUT", one, self._update),
                ("PUT", rf"{one}/merge", self._merge),
                ("PUT", rf"{one}/rebase", self._rebase),
                ("POST", rf"{one}/cancel_merge_when_pipeline_succeeds", self._cancel),
                ("GET", rf"{one}/approvals", self._approvals),
                ("GET", rf"{one}/versions", self._versions),
                ("GET", rf"{one}/notes", self._notes),
                ("POST", rf"{one}/notes", self._note),
                ("PUT", rf"{one}/notes/(?P<note>\d+)", self._edit_note),
                ("DELETE", rf"{one}/notes/(?P<note>\d+)", self._delete_note),
                ("GET", rf"{project}/merge_trains/merge_requests/(?P<iid>\d+)", self._car),
                ("POST", rf"{project}/merge_trains/merge_requests/(?P<iid>\d+)", self._board),
                *((method, project + pattern, handler) for method, pattern, handler in self.records.routes),
                *((method, project + pattern, handler) for method, pattern, handler in self.settings.routes),
            )
        ]

    @property
    def rules(self) -> Rules:
        return self.state.rules

    # What people and machines do

    def pipeline(self, sha: str, status: str = "running", *, source: str = "push", ref: str = "main") -> Pipeline:
        return self.records.pipeline(sha, ref, status, source)

    def finish(self, sha: str, status: str = "success") -> None:
        """The newest pipeline of this commit comes to its end, and what waited for it goes on."""
        pipeline = self.state.newest_pipeline(sha)
        assert pipeline
        pipeline.status = status
        self.merging.go_on()

    def approve(self, username: str, iid: int) -> None:
        mr = self._mr(iid)
        self.clock.advance(1)
        user = self.state.user(username)
        mr.approved[username] = self.clock.now()
        mr.notes.append(Note(self.state.next_id(), user, "approved this merge request", self.clock.now(), system=True))

    def unapprove(self, username: str, iid: int) -> None:
        self._mr(iid).approved.pop(username, None)

    # The way in

    def answer(self, call: Call) -> Answer:
        user = self._who(call)
        path = call.path.removeprefix("/api/v4")
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(path)
            if method == call.method and found:
                self._allowed(call, user, path)
                if "id" in found.groupdict():
                    self._this_project(call, found["id"])
                return handler(call, user, found)
        raise Refused(404, "404 Not Found")

    def _who(self, call: Call) -> User:
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ")
        token = call.headers.get("private-token") or call.headers.get("job-token") or bearer
        user = next((one for one in self.state.users.values() if one.token == token), None)
        if user is None or (user.kind == "job") != ("job-token" in call.headers):
            raise Refused(401, "401 Unauthorized")
        return user

    def _allowed(self, call: Call, user: User, path: str) -> None:
        """https://docs.gitlab.com/ci/jobs/ci_job_token/ : what a job's token may not do is not there for it."""
        reads = call.method == "GET" and re.search(
            r"/merge_requests(/\d+(/notes)?)?$|/repository/(branches|tags)|/repository/commits/[^/]+$|/raw$|^/job$|/registry/repositories",
            path,
        )
        if user.kind == "job" and not reads and not re.search(r"/(deployments|environments)", path):
            raise Refused(*((401, "401 Unauthorized") if path == "/user" else (404, "404 Project Not Found")))
        if call.method != "GET" and "api" not in user.scopes:
            raise Refused(403, "insufficient_scope")

    def _this_project(self, call: Call, given: str) -> None:
        name = urllib.parse.unquote(given)
        if name in (str(self.state.id), self.state.path):
            return
        if name in self.state.old_paths and call.method == "GET":
            here = f"{self.git.base}{call.path.replace(given, str(self.state.id), 1)}"
            raise Refused(301, "moved", {"Location": here})
        raise Refused(404, "404 Project Not Found")

    # People

    def _user(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        return Answer(200, {"id": user.id, "username": user.username, "name": user.username.title()})

    def _users(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        wanted = call.asked("username").lower()
        return Answer(200, [one.json() for one in self.state.users.values() if one.username.lower() == wanted])

    def _job(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        if user.kind != "job":
            raise Refused(404, "404 Not found")
        return Answer(200, {"id": 1, "name": "deploy", "user": {"id": user.id, "username": user.username}})

    def _metadata(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        return Answer(200, {"version": self.rules.version, "revision": "0"})

    def _token(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        return Answer(
            200, {"id": 1, "name": "ci", "scopes": list(user.scopes), "active": True, "expires_at": "2027-09-30"}
        )

    def _group(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        name = urllib.parse.unquote(found["group"])
        if name not in self.state.groups:
            raise Refused(404, "404 Group Not Found")
        return Answer(200, {"id": 500 + [*self.state.groups].index(name), "full_path": name})

    def _members(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        names = [*self.state.groups.values()][int(found["group"]) - 500]
        return Answer(200, [{**self.state.user(name).json(), "access_level": 30} for name in names])

    # Merge requests

    def _project(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        rules = self.rules
        return Answer(200, {
            "id": self.state.id, "path_with_namespace": self.state.path, "default_branch": "main",
            "merge_method": rules.merge_method, "squash_option": rules.squash_option,
            "remove_source_branch_after_merge": rules.remove_source_branch, "jobs_enabled": rules.jobs_enabled,
            "builds_access_level": "enabled" if rules.jobs_enabled else "disabled", "ci_config_path": None,
            "merge_trains_enabled": rules.trains, "merge_pipelines_enabled": False,
            "only_allow_merge_if_pipeline_succeeds": rules.pipelines_must_succeed,
            "container_registry_access_level": rules.registry, "merge_requests_access_level": rules.merge_requests,
            "archived": False, "auto_devops_enabled": False,
            "permissions": {"project_access": {"access_level": user.role}, "group_access": None},
            "web_url": f"{self.git.base}/{self.state.path}",
        })  # fmt: skip

    def _mr(self, iid: int | str) -> Mr:
        mr = next((one for one in self.state.requests if one.iid == int(iid)), None)
        if mr is None:
            raise Refused(404, "404 Not found")
        self.merging.follow(mr)
        return mr

    def _list(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        listed = [self._mr(one.iid) for one in self.state.requests]
        state = call.asked("state", "all")
        fits = [
            one
            for one in listed
            if state in ("all", one.state)
            and call.asked("source_branch", one.source) == one.source
            and call.asked("target_branch", one.target) == one.target
        ]
        fits.sort(key=lambda one: one.iid, reverse=call.asked("sort", "desc") == "desc")
        page, size = int(call.asked("page", "1")), int(call.asked("per_page", "20"))
        return Answer(200, [self._json(one) for one in fits[(page - 1) * size : page * size]])

    def _events(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        assert call.asked("action") == "pushed"
        for one in self.state.requests:
            self._mr(one.iid)
        page, size, day = int(call.asked("page", "1")), int(call.asked("per_page", "20")), call.asked("after")
        since = [one for one in self.state.pushes() if one["created_at"][:10] > day]
        return Answer(200, since[(page - 1) * size : page * size])

    def _get(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        mr = self._mr(found["iid"])
        answer = Answer(200, self._json(mr, full=True))
        # Looking is what makes the server compute.
        mr.checking, mr.locked, mr.late_sha = (max(0, n - 1) for n in (mr.checking, mr.locked, mr.late_sha))
        return answer

    def _create(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        body = call.body
        source, target = body["source_branch"], body["target_branch"]
        head = self.bare.head(source)
        if not head or not self.bare.head(target):
            raise Refused(400, {"base": ["Source or target branch does not exist"]})
        if _QUICK.search(body.get("description", "")):
            raise Refused(403, "403 Forbidden")
        here = [one for one in self.state.requests if one.source_project == self.state.id]
        twin = [one for one in here if (one.source, one.target) == (source, target)]
        if not self.rules.unguarded and any(self._mr(one.iid).state == "opened" for one in twin):
            raise Refused(409, [f"Another open merge request already exists for this source branch: !{twin[-1].iid}"])
        self.clock.advance(1)
        now = self.clock.now()
        mr = Mr(
            len(self.state.requests) + 1, source, target, body["title"], user, now, body.get("description", ""),
            squash=body.get("squash", self.rules.squash_option in ("always", "default_on")),
            remove_source=body.get("remove_source_branch", False), updated=now, checking=self.rules.checking, head=head,
            versions=[Version(head, now)],
        )  # fmt: skip
        self._apply(mr, {**body, "add_labels": body.get("labels", [])})
        self.state.requests.append(mr)
        return Answer(201, self._json(mr, full=True))

    def _update(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        mr = self._mr(found["iid"])
        self._apply(mr, call.body)
        event = call.body.get("state_event")
        if event == "close" and mr.state == "opened":
            mr.state, mr.closed, mr.armed = "closed", self.clock.now(), None
        return Answer(200, self._json(mr, full=True))

    def _apply(self, mr: Mr, body: Mapping[str, Any]) -> None:
        self.clock.advance(1)
        mr.title, mr.description = body.get("title", mr.title), body.get("description", mr.description)
        if "labels" in body and "add_labels" not in body:
            mr.labels = list(body["labels"])
        mr.labels += [one for one in body.get("add_labels", []) if one not in mr.labels]
        mr.labels = sorted(one for one in mr.labels if one not in body.get("remove_labels", []))
        mr.reviewers = list(body.get("reviewer_ids", mr.reviewers))
        mr.assignees = list(body.get("assignee_ids", mr.assignees))
        mr.updated = self.clock.now()

    def _merge(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        mr = self._mr(found["iid"])
        if mr.state != "opened":
            raise Refused(405, "405 Method Not Allowed")
        self.merging.accept(mr, user, call.body or {})
        return Answer(200, self._json(mr, full=True))

    def _rebase(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        mr = self._mr(found["iid"])
        target = self.bare.head(mr.target)
        if self.merging.status(mr) == "need_rebase":
            self.bare.move(mr.source, self.bare.rebased(target, mr.head), mr.head)
        return Answer(202, {"rebase_in_progress": True})

    def _cancel(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        mr = self._mr(found["iid"])
        if mr.armed is None:
            raise Refused(406, "406 Not Acceptable")
        mr.armed = None
        return Answer(201, {"status": "success"})

    def _approvals(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        mr = self._mr(found["iid"])
        given = [
            {"user": self.state.user(name).json(), **({"approved_at": iso(at)} if self.rules.dated_approvals else {})}
            for name, at in mr.approved.items()
        ]
        return Answer(200, {
            "user_has_approved": False, "user_can_approve": True, "approved": len(given) >= self.rules.approvals,
            "approved_by": given,
        })  # fmt: skip

    def _versions(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        versions = [*enumerate(self._mr(found["iid"]).versions)]
        return Answer(200, [
            {"id": number, "head_commit_sha": one.head, "created_at": iso(one.at)} for number, one in reversed(versions)
        ])  # fmt: skip

    def _notes(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        page, size = int(call.asked("page", "1")), int(call.asked("per_page", "20"))
        notes = self._mr(found["iid"]).notes[(page - 1) * size : page * size]
        return Answer(200, [_note(one) for one in notes])

    def _note(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        mr = self._mr(found["iid"])
        self.clock.advance(1)
        mr.notes.append(Note(self.state.next_id(), user, call.body["body"], self.clock.now()))
        return Answer(201, _note(mr.notes[-1]))

    def _edit_note(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        note = self._own_note(user, found)
        note.body = call.body["body"]
        return Answer(200, _note(note))

    def _delete_note(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        note = self._own_note(user, found)
        self._mr(found["iid"]).notes.remove(note)
        return Answer(204)

    def _own_note(self, user: User, found: re.Match[str]) -> Note:
        note = next((one for one in self._mr(found["iid"]).notes if one.id == int(found["note"])), None)
        if note is None:
            raise Refused(404, "404 Note Not Found")
        if note.user is not user and user.role < 40:
            raise Refused(403, "403 Forbidden")
        return note

    # Merge trains

    def _car(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        if not self.rules.trains:
            raise Refused(403, "403 Forbidden")
        mr = self._mr(found["iid"])
        if not mr.train:
            raise Refused(404, "404 Not found")
        return Answer(200, {"id": mr.iid, "status": "fresh", "target_branch": mr.target})

    def _board(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        if not self.rules.trains:
            raise Refused(403, "403 Forbidden")
        mr = self._mr(found["iid"])
        if call.body.get("sha") not in (None, mr.head):
            raise Refused(409, "SHA does not match HEAD of source branch")
        if mr.train or self.merging.status(mr) not in ("mergeable", "ci_still_running"):
            raise Refused(400, "Failed to merge")
        mr.train = True
        return Answer(201, [{"id": mr.iid, "status": "fresh", "target_branch": mr.target}])

    def _json(self, mr: Mr, *, full: bool = False) -> dict[str, Any]:
        status = self.merging.status(mr)
        merged = mr.state == "merged"
        named = merged and not mr.late_sha
        state = "locked" if merged and mr.locked else mr.state
        said: dict[str, Any] = {
            "id": 1000 + mr.iid, "iid": mr.iid, "project_id": self.state.id, "title": mr.title, "draft": mr.draft,
            "description": mr.description, "state": state, "created_at": iso(mr.at), "updated_at": iso(mr.updated),
            "merged_at": iso(mr.merged), "closed_at": iso(mr.closed), "target_branch": mr.target,
            "source_branch": mr.source, "author": mr.author.json(), "labels": mr.labels,
            "assignees": self.state.names(mr.assignees), "reviewers": self.state.names(mr.reviewers),
            "source_project_id": mr.source_project, "target_project_id": self.state.id,
            "merge_when_pipeline_succeeds": mr.armed is not None, "sha": mr.head,
            "merge_status": "can_be_merged" if status == "mergeable" else "cannot_be_merged",
            "detailed_merge_status": status, "merge_commit_sha": mr.merge_commit if named else None,
            "squash_commit_sha": mr.squash_commit if named else None, "squash": mr.squash,
            "squash_on_merge": mr.squash or self.rules.squash_option == "always",
            "force_remove_source_branch": mr.remove_source, "has_conflicts": status == "conflict",
            "prepared_at": iso(mr.at), "web_url": f"{self.git.base}/{self.state.path}/-/merge_requests/{mr.iid}",
        }  # fmt: skip
        if full:
            pipeline = self.state.newest_pipeline(mr.head)
            said |= {"merge_error": None, "head_pipeline": self.records.json(pipeline) if pipeline else None}
        return said


def _note(note: Note) -> dict[str, Any]:
    return {
        "id": note.id, "body": note.body, "author": note.user.json(), "system": note.system,
        "created_at": iso(note.at), "updated_at": iso(note.at),
    }  # fmt: skip
