"""A team with its projects on one GitLab, whose pipelines are the templates'; and where they build and deploy to.

project = team.project(NAME, "all", {**team.files(), **APPLICATION})
team.run(project)                          # the pipeline of its newest commit
team.run(project, SCHEDULE, "merge-ready") # one job
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.contracts.forge_rigs import GitLabRig
from tests.rig.cli import Cli
from tests.rig.container_jobs import in_containers
from tests.rig.git_server import GitServer, run_git
from tests.rig.image import Image
from tests.rig.parts import program
from tests.rig.pipelines import MERGE_REQUEST, SHELL, Project
from tests.rig.registry import RegistryServer

STAGES = "stages: [build, test, update, deploy, verify, promote]\n"
PIPELINE = """\
include:
  - local: ci-templates/pipeline.yml
    inputs: {engine: buildah, part: PART, repo: REPO, previews: true, scan: true}
"""
TESTS = """\
our-tests: {stage: test, script: [test ! -e red]}
plan-production: {artifacts: {paths: [ci-gitops-plan.json, ci-gitops-plan.xml]}}  # to look at: no report is kept here
"""
CONFIG = """\
version: 1
name: shop
environments:
  staging: {write: push, destination: {TO, namespace: SLUG-staging}, createNamespace: true}
  production:
    write: merge-request
    merge: when-green
    destination: {TO, namespace: SLUG-production}
    createNamespace: true
    gates: {healthy: true, approvals: 1}
previews:
  from: staging
  url: "https://{name}.example.com"
  ttl: 7d
  destination: {TO, prune: true}
  createNamespace: true
apps:
  shop:
    path: apps/shop/overlays/{environment}
    policies: {"IMAGE": {kind: semver, range: ">=1"}}
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
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: web, command: [/bin/busybox, sleep, "3600"]}]
"""
#: The pipeline of a merge request from the branch `feature` of the same project.
FEATURE: dict[str, str | None] = {
    **MERGE_REQUEST, "CI_COMMIT_REF_NAME": "feature", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_MERGE_REQUEST_PROJECT_ID": "1",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1",
}  # fmt: skip
NAME = "group/config"  # the project that the fake has
APPLICATION = {"Dockerfile": "FROM scratch\nCOPY page /page\n", "page": "hello"}


@dataclass
class Team:
    """Projects on one GitLab, and the cluster where they deploy: a simulated one, or that of `kubeconfig`."""

    folder: Path
    server: GitServer
    registry: RegistryServer
    rig: GitLabRig
    cli: Cli
    kubeconfig: Path | None = None
    slug: str = "group-config"  # in the names of namespaces and images
    shared: Path | None = None  # where jobs in containers find what is outside of them
    executor: tuple[str, ...] = SHELL
    environ: dict[str, str] = field(default_factory=dict)
    pipelines: int = 100

    @property
    def image(self) -> str:
        return self.registry.image(f"{self.slug}/web")

    @property
    def namespaces(self) -> list[str]:
        return [f"{self.slug}-staging", f"{self.slug}-production", f"preview-{self.slug}-5"]

    def work_in(self, image: Image) -> Path:
        """From now on jobs run in our image, by the name that the templates have; the folder that they share."""
        self.shared = self.folder / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o777)
        self.executor, self.environ = in_containers(image, self.shared, registry=self.registry.host)
        return self.shared

    @property
    def live(self) -> Path:
        """The simulated cluster, where jobs see it."""
        return (self.shared or self.folder) / "live.json"

    def files(self) -> dict[str, str]:
        """The configuration: two environments and a template of previews."""
        overlay = OVERLAY.replace("IMAGE", self.image)
        place = "" if self.kubeconfig else f'to: "simulated:{self.live}", '
        config = CONFIG.replace("TO, ", place).replace("SLUG", self.slug).replace("IMAGE", self.image)
        found = {".ci-gitops.yaml": config}
        for name in ("staging", "production", "preview"):
            found[f"apps/shop/overlays/{name}/kustomization.yaml"] = overlay
            found[f"apps/shop/overlays/{name}/deployment.yaml"] = DEPLOYMENT
        return found

    def project(self, name: str, part: str, files: Mapping[str, str | bytes], repo: str = "") -> Project:
        """A project with its `.gitlab-ci.yml`, pushed."""
        text = STAGES + PIPELINE.replace("PART", part).replace("REPO", f'"{repo}"') + TESTS
        project = Project.make(self.folder / name, self.folder / "home", text, files)
        if not self.server.bare(name).exists():
            self.server.create(name)
        run_git("-C", project.folder, "remote", "set-url", "origin", self.server.url(name))
        run_git("-C", project.folder, "push", "-q", "--force", self.server.bare(name), "main")
        project.executor, project.environ = self.executor, self.environ
        url = self.server.url(name).removesuffix(".git")
        project.variables = {
            "GITLAB_CI": "true", "CI_SERVER_URL": self.server.base, "CI_PROJECT_PATH": name, "CI_PROJECT_URL": url,
            "CI_PROJECT_PATH_SLUG": self.slug, "CI_REGISTRY": self.registry.host,
            "CI_REGISTRY_IMAGE": self.image, "CI_GITOPS_TOKEN": self.server.password, "CI_DEFAULT_BRANCH": "main",
        }  # fmt: skip
        if self.kubeconfig:
            project.variables["KUBECONFIG"] = str(self.kubeconfig)
        return project

    def run(self, project: Project, facts: Mapping[str, str | None] | None = None, *jobs: str, **more: Any) -> str:
        """The next pipeline of a project, on its work tree's commit."""
        return project.run(self._facts(project, facts), *jobs, **more)

    def begin(
        self, project: Project, out: IO[bytes], facts: Mapping[str, str | None], *jobs: str
    ) -> subprocess.Popen[bytes]:
        """The same beside the test."""
        return project.begin(out, self._facts(project, facts), *jobs)

    def _facts(self, project: Project, facts: Mapping[str, str | None] | None) -> dict[str, str | None]:
        self.pipelines += 1
        message = run_git("-C", project.folder, "log", "-1", "--format=%B").strip()
        return {"CI_PIPELINE_ID": str(self.pipelines), "CI_COMMIT_MESSAGE": message, **(facts or {})}

    def pull(self, project: Project, name: str, branch: str = "main") -> None:
        """The work tree at the server's branch, as a new pipeline finds it."""
        run_git("-C", project.folder, "fetch", "-q", self.server.bare(name), branch)
        run_git("-C", project.folder, "checkout", "-q", "-B", branch, "FETCH_HEAD")

    def feature(self, project: Project) -> str:
        """A commit on that branch, pushed and checked out."""
        run_git("-C", project.folder, "checkout", "-q", "-b", "feature")
        commit = project.commit({"page": "new"}, "Say something new")
        run_git("-C", project.folder, "push", "-q", self.server.bare(NAME), "feature")
        return commit

    def overlay(self, environment: str) -> str:
        return self.server.read(NAME, f"apps/shop/overlays/{environment}/kustomization.yaml").decode()

    def running(self, environment: str) -> list[str]:
        """The images that live there, without digests."""
        url, token = self.server.url(NAME), {"CI_GITOPS_TOKEN": self.server.password}
        if self.kubeconfig:
            token["KUBECONFIG"] = str(self.kubeconfig)
        status = self.cli("-o", "json", "status", "--environment", environment, "--repo", url, **token)
        return [image.split("@")[0] for item in status.json["items"] for image in item["images"]]


@pytest.fixture
def team(git_server: GitServer, registry: RegistryServer, cli: Cli, tmp_path: Path) -> Iterator[Team]:
    program("buildah", "install Debian's buildah")
    git_server.user, git_server.password = "oauth2", "glpat-robot"
    with GitLabRig(git_server, NAME) as rig:
        yield Team(tmp_path, git_server, registry, rig, cli)
