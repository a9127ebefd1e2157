"""The pipeline template run as GitLab runs it: job by job in shells, on real Git, a registry, buildah and a simulated
cluster, with GitLab's API as its fake has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.forge_rigs import GitLabRig
from tests.rig.cli import Cli
from tests.rig.git_server import GitServer, run_git
from tests.rig.parts import program
from tests.rig.pipelines import MERGE_REQUEST, SCHEDULE, Project, said
from tests.rig.registry import RegistryServer

STAGES = "stages: [build, test, update, deploy, verify, promote]\n"
PIPELINE = """\
include:
  - local: ci-templates/pipeline.yml
    inputs: {engine: buildah, part: PART, repo: REPO, previews: true}
"""
TESTS = "our-tests: {stage: test, script: [test ! -e red]}\n"
CONFIG = """\
version: 1
name: shop
environments:
  staging: {write: push, destination: {to: "simulated:LIVE", namespace: staging}, createNamespace: true}
  production:
    write: merge-request
    merge: when-green
    destination: {to: "simulated:LIVE", namespace: production}
    createNamespace: true
    gates: {healthy: true, approvals: 1}
previews:
  from: staging
  url: "https://{name}.example.com"
  ttl: 7d
  destination: {to: "simulated:LIVE", prune: true}
  createNamespace: true
"""
OVERLAY = "resources: [deployment.yaml]\nimages:\n- name: web\n  newName: IMAGE\n  newTag: '1'\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web}]
"""
NAME = "group/config"  # the project that the fake has


@dataclass
class Team:
    """Projects on one GitLab, and the cluster where they deploy."""

    folder: Path
    server: GitServer
    registry: RegistryServer
    rig: GitLabRig
    cli: Cli
    pipelines: int = 100

    @property
    def image(self) -> str:
        return self.registry.image("pipelines/web")

    def files(self) -> dict[str, str]:
        """The configuration: two environments and a template of previews."""
        overlay = OVERLAY.replace("IMAGE", self.image)
        found = {".ci-gitops.yaml": CONFIG.replace("LIVE", str(self.folder / "live.json"))}
        for name in ("staging", "production", "preview"):
            found[f"apps/shop/overlays/{name}/kustomization.yaml"] = overlay
            found[f"apps/shop/overlays/{name}/deployment.yaml"] = DEPLOYMENT
        return found

    def project(self, name: str, part: str, files: dict[str, str], repo: str = "") -> Project:
        """A project with its `.gitlab-ci.yml`, pushed."""
        text = STAGES + PIPELINE.replace("PART", part).replace("REPO", f'"{repo}"') + TESTS
        project = Project.make(self.folder / name, self.folder / "home", text, files)
        if not self.server.bare(name).exists():
            self.server.create(name)
        run_git("-C", project.folder, "remote", "set-url", "origin", self.server.url(name))
        run_git("-C", project.folder, "push", "-q", "--force", self.server.bare(name), "main")
        url = self.server.url(name).removesuffix(".git")
        project.variables = {
            "GITLAB_CI": "true", "CI_SERVER_URL": self.server.base, "CI_PROJECT_PATH": name, "CI_PROJECT_URL": url,
            "CI_PROJECT_PATH_SLUG": name.replace("/", "-"), "CI_REGISTRY": self.registry.host,
            "CI_REGISTRY_IMAGE": self.image, "CI_GITOPS_TOKEN": self.server.password, "CI_DEFAULT_BRANCH": "main",
        }  # fmt: skip
        return project

    def run(self, project: Project, facts: dict[str, str | None] | None = None, *jobs: str, **more: Any) -> str:
        """The next pipeline of a project, on its work tree's commit."""
        self.pipelines += 1
        message = run_git("-C", project.folder, "log", "-1", "--format=%B").strip()
        known = {"CI_PIPELINE_ID": str(self.pipelines), "CI_COMMIT_MESSAGE": message}
        return project.run({**known, **(facts or {})}, *jobs, **more)

    def pull(self, project: Project, name: str, branch: str = "main") -> None:
        """The work tree at the server's branch, as a new pipeline finds it."""
        run_git("-C", project.folder, "fetch", "-q", self.server.bare(name), branch)
        run_git("-C", project.folder, "checkout", "-q", "-B", branch, "FETCH_HEAD")

    def overlay(self, environment: str) -> str:
        return self.server.read(NAME, f"apps/shop/overlays/{environment}/kustomization.yaml").decode()

    def running(self, environment: str) -> list[str]:
        """The images that live there, without digests."""
        url, token = self.server.url(NAME), {"CI_GITOPS_TOKEN": self.server.password}
        status = self.cli("-o", "json", "status", "--environment", environment, "--repo", url, **token)
        return [image.split("@")[0] for item in status.json["items"] for image in item["images"]]


@pytest.fixture
def team(git_server: GitServer, registry: RegistryServer, cli: Cli, tmp_path: Path) -> Iterator[Team]:
    program("buildah", "install Debian's buildah")
    git_server.user, git_server.password = "oauth2", "glpat-robot"
    with GitLabRig(git_server, NAME) as rig:
        yield Team(tmp_path, git_server, registry, rig, cli)


APPLICATION = {"Dockerfile": "FROM scratch\nCOPY page /page\n", "page": "hello"}


def test_one_repository_from_a_push_to_a_promotion_with_its_plan(team: Team) -> None:
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    commit = run_git("-C", project.folder, "rev-parse", "HEAD").strip()
    out = team.run(project)
    assert f"newTag: '{commit}'" in team.overlay("staging")
    written = team.server.head(NAME)
    assert written
    assert written[:12] in said(out, "deploy-staging"), "it deploys the commit of its own pipeline's update"
    assert team.running("staging") == [f"{team.image}:{commit}"]
    assert team.running("production") == [f"{team.image}:1"]
    (request,) = team.rig.forge("bob").find()
    assert request.source == "ci-gitops/production/shop"

    team.pull(project, NAME, request.source)
    asked = {**MERGE_REQUEST, "CI_MERGE_REQUEST_IID": str(request.iid), "CI_COMMIT_REF_NAME": request.source,
             "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": request.source, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
             "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1"}  # fmt: skip
    out = team.run(project, asked)
    assert "build-image" not in out, "a promotion builds nothing, not even for a preview"
    left = project.left("plan-production")
    summary = json.loads((left / "ci-gitops-plan.json").read_text())
    assert summary == {"create": 0, "update": 1, "delete": 0}
    assert "testsuite" in (left / "ci-gitops-plan.xml").read_text()
    notes = [note for call in team.rig.gitlab.asked("POST", "/notes") for note in [call.body["body"]]]
    assert any("production" in note and commit in note for note in notes)


def test_red_tests_write_nothing(team: Team) -> None:
    project = team.project(NAME, "all", {**team.files(), **APPLICATION, "red": ""})
    before = team.server.head(NAME)
    out = team.run(project, ok=False)
    assert "Built" in said(out, "build-image")
    assert team.server.head(NAME) == before
    assert not (team.folder / "live.json").exists()


@pytest.mark.full
def test_one_repository_goes_the_whole_road_and_back(team: Team) -> None:
    """Schedules merge and deploy, the merge builds nothing, drift is a warning, a rollback is a click."""
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    commit = run_git("-C", project.folder, "rev-parse", "HEAD").strip()
    team.run(project)
    (request,) = team.rig.forge("bob").find()
    team.rig.approve("alice", request.iid, request.head_sha)
    team.rig.gitlab.pipeline(request.head_sha, "success")
    team.pull(project, NAME)
    out = team.run(project, SCHEDULE)
    assert "Merged" in said(out, "merge-ready")
    assert f"newTag: '{commit}'" in team.overlay("production")

    team.pull(project, NAME)
    out = team.run(project)
    assert "build-image" not in out
    assert "update-config" not in out
    assert team.running("production") == [f"{team.image}:{commit}"]

    out = team.run(project, SCHEDULE, "drift-production")
    assert "PASS" in out
    project.commit(
        {"apps/shop/overlays/production/deployment.yaml": DEPLOYMENT.replace("spec:\n", "spec:\n  replicas: 2\n", 1)}
    )
    out = team.run(project, SCHEDULE, "drift-production")
    assert "WARN" in out
    assert "replicas" in said(out, "drift-production")

    team.pull(project, NAME)
    team.run(project, {}, "rollback-production")
    (back,) = team.rig.forge("bob").find()
    assert back.source == "ci-gitops/production/shop"


@pytest.mark.full
def test_two_repositories(team: Team) -> None:
    config = team.project(NAME, "configuration", team.files())
    application = team.project("group/shop", "application", APPLICATION, repo=team.server.url(NAME))
    commit = run_git("-C", application.folder, "rev-parse", "HEAD").strip()
    out = team.run(application)
    assert "deploy-staging" not in out
    assert f"newTag: '{commit}'" in team.overlay("staging")
    team.pull(config, NAME)
    team.run(config)
    assert team.running("staging") == [f"{team.image}:{commit}"]
    assert [each.source for each in team.rig.forge("bob").find()] == ["ci-gitops/production/shop"]


@pytest.mark.full
def test_a_preview_comes_and_goes_with_its_merge_request(team: Team) -> None:
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    run_git("-C", project.folder, "checkout", "-q", "-b", "feature")
    commit = project.commit({"page": "new"}, "Say something new")
    run_git("-C", project.folder, "push", "-q", team.server.bare(NAME), "feature")
    asked = {**MERGE_REQUEST, "CI_COMMIT_REF_NAME": "feature", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
             "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_MERGE_REQUEST_PROJECT_ID": "1",
             "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1"}  # fmt: skip
    jobs = ("build-image", "preview-create", "preview-deploy")
    team.run(project, asked, *jobs)
    environment = "preview-group-config-5"
    assert team.running(environment) == [f"{team.image}:{commit}"]
    team.run(project, asked, *jobs)
    before = len(team.server.messages(NAME))
    team.run(project, asked, "preview-stop")
    assert len(team.server.messages(NAME)) == before + 1
    assert f"{environment}.yaml" not in run_git(
        "--git-dir", team.server.bare(NAME), "ls-tree", "-r", "--name-only", "main"
    )
    out = team.run(project, SCHEDULE, "preview-prune")
    assert "PASS" in out


@pytest.mark.full
def test_a_pipeline_that_is_tried_again_at_each_job_leaves_nothing_double(team: Team) -> None:
    """Each job runs, and runs again as GitLab's retry would, before the next one begins."""
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    started = len(team.server.messages(NAME))
    for job in ("build-image", "update-config", "deploy-staging", "deploy-production", "verify-staging", "promote"):
        for _ in range(2):
            project.run({"CI_PIPELINE_ID": "77", "CI_COMMIT_MESSAGE": "Start"}, job)
    assert len(team.server.messages(NAME)) == started + 1
    assert len(team.rig.forge("bob").find()) == 1
    for environment in ("staging", "production"):
        history = team.cli("-o", "json", "history", "--environment", environment, "--repo", team.server.url(NAME),
                           CI_GITOPS_TOKEN=team.server.password)  # fmt: skip
        assert [item["outcome"] for item in history.json["items"]] == ["succeeded"]
