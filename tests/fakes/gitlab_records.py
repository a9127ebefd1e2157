"""The rest of the fake's API: commits and branches, pipelines and statuses, deployments and environments."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from tests.fakes.api import Answer, Call, Refused
from tests.fakes.bare_git import BareGit
from tests.fakes.clock import Clock
from tests.fakes.gitlab_state import Deployed, Environment, Pipeline, State, Status, User, iso

Handler = Callable[[Call, User, "re.Match[str]"], Answer]
_MOVES = {  # states that follow each other; the same again is none
    "pending": ("running", "success", "failed", "canceled", "skipped"),
    "running": ("success", "failed", "canceled", "pending", "skipped"),
    "success": ("failed", "canceled", "running", "pending"),
    "failed": ("success", "running", "pending"),
    "canceled": ("success", "running", "pending", "failed"),
    "skipped": ("success", "running", "pending", "failed"),
}


class Records:
    def __init__(self, state: State, git: BareGit, clock: Clock) -> None:
        self.state, self.git, self.clock = state, git, clock
        self.busy = 0  # so many posts of a status find another one under way
        self.routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", r"/repository/merge_base", self._merge_base),
            ("GET", r"/repository/branches/(?P<branch>[^/]+)", self._branch),
            ("GET", r"/repository/commits/(?P<sha>[^/]+)", self._commit),
            ("GET", r"/repository/commits/(?P<sha>[^/]+)/statuses", self._statuses),
            ("GET", r"/repository/commits/(?P<sha>[^/]+)/merge_requests", self._requests_of),
            ("GET", r"/repository/files/(?P<file>[^/]+)", self._file),
            ("POST", r"/statuses/(?P<sha>[0-9a-f]+)", self._post_status),
            ("GET", r"/pipelines", self._pipelines),
            ("GET", r"/deployments", self._deployments),
            ("POST", r"/deployments", self._deploy),
            ("GET", r"/deployments/(?P<number>\d+)", self._deployment),
            ("PUT", r"/deployments/(?P<number>\d+)", self._redeploy),
            ("GET", r"/environments", self._environments),
            ("POST", r"/environments", self._new_environment),
            ("PUT", r"/environments/(?P<number>\d+)", self._change_environment),
            ("GET", r"/freeze_periods", self._freezes),
            ("GET", r"/registry/repositories", self._images),
            ("GET", r"/registry/repositories/(?P<number>\d+)/tags/(?P<tag>[^/]+)", self._tag),
        )

    def pipeline(self, sha: str, ref: str, status: str, source: str) -> Pipeline:
        made = Pipeline(self.state.next_id(), sha, ref, status, source, self.clock.now())
        self.state.pipelines.append(made)
        return made

    def json(self, one: Pipeline) -> dict[str, Any]:
        return {
            "id": one.id, "iid": one.id, "project_id": self.state.id, "sha": one.sha, "ref": one.ref,
            "status": one.status, "source": one.source, "created_at": iso(one.at), "updated_at": iso(one.at),
        }  # fmt: skip

    # The registry

    def _images(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        return Answer(200, [
            {"id": number, "name": path.rpartition("/")[2], "path": path, "project_id": self.state.id,
             "location": f"registry.example.com/{path}", "created_at": iso(0)}
            for number, path in enumerate(self.state.tags, 1)
        ])  # fmt: skip

    def _tag(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        path = [*self.state.tags][int(found["number"]) - 1]
        name = urllib.parse.unquote(found["tag"])
        if name not in self.state.tags[path]:
            raise Refused(404, "404 Tag Not Found")
        digest, created = self.state.tags[path][name]
        place = {"name": name, "path": f"{path}:{name}", "location": f"registry.example.com/{path}:{name}"}
        return Answer(200, {**place, "digest": digest, "created_at": created, "total_size": 1})

    # The repository

    def _merge_base(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        refs = [*call.query.get("refs[]", ())]
        base = self.git.run("merge-base", *(self.git.head(ref) or ref for ref in refs))
        return Answer(200, self._said_of(base))

    def _branch(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        name = urllib.parse.unquote(found["branch"])
        head = self.git.head(name)
        if not head:
            raise Refused(404, "404 Branch Not Found")
        allowed = user.role >= self.state.rules.push_role
        return Answer(200, {"name": name, "commit": self._said_of(head), "can_push": allowed})

    def _commit(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        sha = self._known(found["sha"])
        return Answer(200, self._said_of(sha))

    def _known(self, name: str) -> str:
        name = urllib.parse.unquote(name)
        sha = self.git.head(name) or (name if re.fullmatch("[0-9a-f]{40}", name) and self.git.has(name) else "")
        if not sha:
            raise Refused(404, "404 Commit Not Found")
        return sha

    def _said_of(self, sha: str) -> dict[str, Any]:
        date, title = self.git.run("log", "-1", "--format=%cI%n%s", sha).split("\n", 1)
        return {"id": sha, "short_id": sha[:8], "committed_date": date, "created_at": date, "title": title}

    def _file(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        sha, path = self._known(call.asked("ref")), urllib.parse.unquote(found["file"])
        if path not in self.git.run("ls-tree", "-r", "--name-only", sha).splitlines():
            raise Refused(404, "404 File Not Found")
        return Answer(200, {"file_path": path, "ref": sha})

    def _requests_of(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        return Answer(
            200, [{"iid": one.iid, "state": one.state} for one in self.state.requests if one.head == found["sha"]]
        )

    # What ran

    def _pipelines(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        if not self.state.rules.jobs_enabled:
            raise Refused(403, "403 Forbidden")
        wanted = call.asked("sha")
        if wanted and self.state.rules.begins and not self.state.newest_pipeline(wanted):
            self.state.rules.begins -= 1
            if not self.state.rules.begins:
                self.pipeline(wanted, "main", "running", "push")
        fits = [one for one in self.state.pipelines if wanted in ("", one.sha)]
        fits.sort(key=lambda one: one.id, reverse=call.asked("sort", "desc") == "desc")
        size, page = int(call.asked("per_page", "20")), int(call.asked("page", "1"))
        return Answer(200, [self.json(one) for one in fits[(page - 1) * size : page * size]])

    def _statuses(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        sha = self._known(found["sha"])
        return Answer(200, [self._status(one) for one in self.state.statuses if one.sha == sha])

    def _status(self, one: Status) -> dict[str, Any]:
        return {
            "id": one.id, "sha": one.sha, "ref": one.pipeline.ref, "status": one.state, "name": one.name,
            "target_url": one.url, "description": one.description, "created_at": iso(one.at),
            "allow_failure": one.allow_failure, "pipeline_id": one.pipeline.id,
        }  # fmt: skip

    def job(self, pipeline: Pipeline, name: str, state: str, *, allow_failure: bool = False) -> None:
        """A job of a pipeline: it is a status of its commit, too."""
        made = Status(self.state.next_id(), pipeline.sha, name, state, pipeline, allow_failure=allow_failure)
        self.state.statuses.append(made)

    def _post_status(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        if self.busy:
            self.busy -= 1
            raise Refused(409, "Another update to this commit status is in progress")
        sha, body = self._known(found["sha"]), call.body
        name = body.get("name") or body.get("context") or "default"
        there = next((one for one in self.state.statuses if (one.sha, one.name) == (sha, name)), None)
        if there and body["state"] not in _MOVES[there.state]:
            raise Refused(400, f"Cannot transition status via :{body['state']} from :{there.state}")
        self.clock.advance(1)
        if there is None:
            ref = body.get("ref", "main")
            pipeline = self.state.newest_pipeline(sha, external=True) or self.pipeline(sha, ref, "running", "external")
            there = Status(self.state.next_id(), sha, name, body["state"], pipeline)
            self.state.statuses.append(there)
        there.state, there.at = body["state"], self.clock.now()
        there.description, there.url = body.get("description", ""), body.get("target_url")
        if there.pipeline.source == "external":
            there.pipeline.status = there.state
        return Answer(201, self._status(there))

    # Deployments

    def _deployments(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        fits = [one for one in self.state.deployments if one.environment == call.asked("environment")]
        fits.sort(key=lambda one: one.id, reverse=call.asked("sort", "asc") == "desc")
        return Answer(200, [self._deployed(one) for one in fits[: int(call.asked("per_page", "20"))]])

    def _deploy(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        body = call.body
        self._environment(body["environment"])
        self.clock.advance(1)
        now = self.clock.now()
        made = Deployed(self.state.next_id(), body["environment"], body["sha"], body["ref"], body["status"], now, now)
        self.state.deployments.append(made)
        return Answer(201, self._deployed(made))

    def _deployment(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        return Answer(200, self._deployed(self._numbered(found)))

    def _redeploy(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        one = self._numbered(found)
        if one.status == call.body["status"]:
            raise Refused(400, f"Status cannot transition via :{one.status}")
        self.clock.advance(1)
        one.status, one.updated = call.body["status"], self.clock.now()
        return Answer(200, self._deployed(one))

    def _numbered(self, found: re.Match[str]) -> Deployed:
        one = next((one for one in self.state.deployments if one.id == int(found["number"])), None)
        if one is None:
            raise Refused(404, "404 Not found")
        return one

    def _deployed(self, one: Deployed) -> dict[str, Any]:
        environment = self._environment(one.environment)
        return {
            "id": one.id, "iid": one.id, "ref": one.ref, "sha": one.sha, "status": one.status,
            "created_at": iso(one.at), "updated_at": iso(one.updated), "deployable": None,
            "environment": {"id": environment.id, "name": environment.name, "external_url": environment.url},
        }  # fmt: skip

    def _environment(self, name: str) -> Environment:
        there = next((one for one in self.state.environments if one.name == name), None)
        if there is None:
            there = Environment(self.state.next_id(), name)
            self.state.environments.append(there)
        return there

    def _environments(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        wanted = call.asked("name")
        return Answer(200, [_shown(one) for one in self.state.environments if one.name == wanted])

    def _new_environment(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        if any(one.name == call.body["name"] for one in self.state.environments):
            raise Refused(400, {"name": ["has already been taken"]})
        made = self._environment(call.body["name"])
        made.url = call.body.get("external_url")
        return Answer(201, _shown(made))

    def _change_environment(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        one = next(one for one in self.state.environments if one.id == int(found["number"]))
        one.url = call.body.get("external_url", one.url)
        return Answer(200, _shown(one))

    def _freezes(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        return Answer(200, self.state.freezes)


def _shown(one: Environment) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "external_url": one.url, "state": "available"}
