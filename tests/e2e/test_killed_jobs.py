"""Jobs whose runner dies: killed as they write to Git, to GitLab or to the cluster, and tried again as GitLab would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.rig.git_server import run_git
from tests.rig.pipelines import SCHEDULE, Project
from tests.rig.team import APPLICATION, FEATURE, NAME, Team

MOST = 25  # attempts of one job
PIPELINE = {"CI_PIPELINE_ID": "77"}
MOMENT = 0.003  # seconds; how often the cluster is looked at


class Killer:
    """Every attempt of a job dies at a write that killed none before it; the server carries the write out all the same.

    What a later attempt finds is thus each state that a dying runner can leave behind.
    """

    def __init__(self, team: Team, project: Project) -> None:
        self.team, self.project = team, project
        self.killed: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._victim: subprocess.Popen[bytes] | None = None
        assert team.server.api
        self._answer = team.server.api
        team.server.api = self._asked

    def run(self, job: str, **facts: str | None) -> None:
        """As often as it is killed, and once more."""
        self._seen.clear()
        for attempt in range(MOST):
            log = self.team.folder / "killed.log"
            if self._attempt(job, attempt, facts, log) >= 0:
                self.team.run(self.project, {**PIPELINE, **facts}, job)  # a person's click on "Retry"
                return
            self.killed[job] += 1
        raise AssertionError(f"{job} does not end: {log.read_text()}")

    def _attempt(self, job: str, attempt: int, facts: dict[str, str | None], log: Path) -> int:
        begun, changes, allowed = self._cluster(), 0, 2 * attempt
        with log.open("wb") as out:
            running = self._victim = self.team.begin(self.project, out, {**PIPELINE, **facts}, job)
            while True:
                try:
                    code = running.wait(MOMENT)
                    break
                except subprocess.TimeoutExpired:
                    now = self._cluster()
                    changes += now != begun
                    begun = now
                    if changes > allowed:
                        self._strike()
        self._victim = None
        assert code in (0, -signal.SIGKILL), log.read_text()
        return code

    def _asked(self, handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        what = f"{handler.command} {handler.path}"
        if handler.command != "GET" and not what.endswith("/git-upload-pack") and what not in self._seen:
            self._seen.add(what)
            self._strike()
        return self._answer(handler, body)

    def _strike(self) -> None:
        victim, self._victim = self._victim, None
        if victim:
            os.killpg(victim.pid, signal.SIGKILL)

    def _cluster(self) -> object:
        try:
            known = self.team.live.stat()
        except FileNotFoundError:
            return None
        return known.st_ino, known.st_mtime_ns


def outcomes(team: Team, environment: str) -> Counter[str]:
    url, token = team.server.url(NAME), {"CI_GITOPS_TOKEN": team.server.password}
    history = team.cli("-o", "json", "history", "--environment", environment, "--repo", url, **token)
    return Counter(item["outcome"] for item in history.json["items"])


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_road_whose_jobs_are_killed_leaves_nothing_double(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what is killed tidies nothing up
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    team.run(project, PIPELINE, "build-image")
    killer, gitlab = Killer(team, project), team.rig.gitlab
    started = len(team.server.messages(NAME))
    for job in ("update-config", "deploy-staging", "deploy-production", "verify-staging", "promote"):
        killer.run(job)
    assert len(team.server.messages(NAME)) == started + 1
    (request,) = gitlab.state.requests

    team.rig.approve("alice", request.iid, request.head)
    gitlab.pipeline(request.head, "success")
    team.pull(project, NAME)
    killer.run("merge-ready", **SCHEDULE)
    assert request.state == "merged"
    assert run_git(
        "--git-dir", team.server.bare(NAME), "for-each-ref", "--format=%(refname)", "refs/heads"
    ).split() == ["refs/heads/main"]
    team.pull(project, NAME)
    killer.run("deploy-production")
    killer.run("rollback-production")

    for job in (
        "update-config",
        "deploy-staging",
        "promote",
        "merge-ready",
        "deploy-production",
        "rollback-production",
    ):
        assert killer.killed[job], f"{job} was never killed"
    promotion, back = gitlab.state.requests
    assert (promotion.state, back.state) == ("merged", "opened")
    for each in gitlab.state.requests:
        said = Counter(note.body for note in each.notes if not note.system)
        assert not said or max(said.values()) == 1, said
    made = Counter((one.environment, one.sha) for one in gitlab.state.deployments)
    assert not made or max(made.values()) == 1, made
    assert outcomes(team, "staging")["succeeded"] == 1
    assert outcomes(team, "production")["succeeded"] == 2
    for environment in ("staging", "production"):
        assert "running" not in outcomes(team, environment)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_previews_and_scans_that_are_killed_leave_nothing_double(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    team.feature(project)
    team.run(project, FEATURE, "build-image")
    killer = Killer(team, project)
    before = team.server.messages(NAME)
    killer.run("preview-create", **FEATURE)
    assert len(team.server.messages(NAME)) == len(before) + 1
    killer.run("preview-deploy", **FEATURE)
    killer.run("preview-stop", **FEATURE)
    assert len(team.server.messages(NAME)) == len(before) + 2
    assert "Deployment" not in [each["kind"] for each in json.loads(team.live.read_text())["objects"]]

    team.registry.push(f"{team.slug}/web", "2")
    team.pull(project, NAME)
    killer.run("scan-registries", **SCHEDULE)
    assert len(team.server.messages(NAME)) == len(before) + 3
    assert "newTag: '2'" in team.overlay("staging")
    for job in ("preview-create", "preview-deploy", "preview-stop", "scan-registries"):
        assert killer.killed[job], f"{job} was never killed"


def test_an_update_that_is_killed_as_it_pushes_is_not_written_twice(team: Team) -> None:
    project = team.project(NAME, "all", team.files())
    started = len(team.server.messages(NAME))
    killer = Killer(team, project)
    killer.run("update-config", CI_GITOPS_IMAGE_REF=f"{team.image}:2")
    assert killer.killed["update-config"] == 1
    assert "newTag: '2'" in team.overlay("staging") or 'newTag: "2"' in team.overlay("staging")
    assert len(team.server.messages(NAME)) == started + 1
