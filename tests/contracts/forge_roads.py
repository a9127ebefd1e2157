"""`update`, `merge`, `diff` and `deploy` on each forge: one rig with the command line as a job of that forge runs it.

Calls are made in this process, where a test does not need several at once.
"""

from __future__ import annotations

import contextlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ci_gitops import cli as edge
from ci_gitops.adapters.forges.base import CommitStatus, MergeCall
from ci_gitops.core.mergerequests import MergeRequest
from tests.contracts.forge_rigs import ForgeRig, GitHubRig, GitLabRig, LocalHttpRig
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer

BRANCH = "ci-gitops/production/shop"
OVERLAY = b"images:\n- name: web\n  newTag: '1'\n"
FILES = {
    f"apps/{app}/{name}/kustomization.yaml": OVERLAY for app in ("shop", "cart") for name in ("production", "staging")
}


def config(production: str = "gates: {approvals: 1}", staging: str = "") -> bytes:
    return (
        'version: 1\nname: acme\napps:\n  shop: {path: "apps/shop/{environment}"}\n'
        '  cart: {path: "apps/cart/{environment}"}\nenvironments:\n'
        f"  production: {{write: merge-request, {production}}}\n  staging: {{write: merge-request, {staging}}}\n"
    ).encode()


class Road(ABC):
    """A config repository on one forge, a job that works on it, and people."""

    kind: str
    variables: Mapping[str, str] = {}

    def __init__(self, rig: Any, cli: Cli, folder: Path) -> None:
        self.rig: ForgeRig = rig
        self.server, self.name = rig.server, rig.name
        self.cli, self.folder = cli, folder
        self.people = rig.forge("bob")
        self.configure()

    def configure(self, production: str = "gates: {approvals: 1}", staging: str = "", **files: bytes) -> None:
        self.push({".ci-gitops.yaml": config(production, staging), **FILES})

    def push(self, files: Mapping[str, bytes], branch: str = "main", message: str = "By hand") -> str:
        """Somebody's push."""
        return self.rig.branch(branch, files, message)

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    @property
    def env(self) -> dict[str, str]:
        return {"CI_GITOPS_TOKEN": self.server.password, "CI_GITOPS_FORGE": self.kind, **self.variables}

    def __call__(self, *words: object, cwd: Path | None = None, **more: str) -> Ran:
        """One command in this process."""
        given = {**self.cli.env, **self.env, **more}
        out, err = io.StringIO(), io.StringIO()
        before = Path.cwd()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            for name in os.environ:
                patch.delenv(name)
            for name, value in given.items():
                patch.setenv(name, value)
            patch.chdir(cwd or self.folder)
            code = edge.call(["-o", "json", *map(str, words)])
        os.chdir(before)
        return Ran(code, out.getvalue(), err.getvalue())

    def update(self, tag: str, *more: object, environment: str = "production", app: str = "shop", **env: str) -> Ran:
        return self(
            "update", f"web:{tag}", "--environment", environment, "--app", app, "--repo", self.url, *more, **env
        )

    def merge(self, *more: object, environment: str = "production") -> Ran:
        return self("merge", "--environment", environment, "--repo", self.url, *more)

    def by_pipeline(self, tag: str, number: int) -> Ran:
        """An update of a pipeline of the application's project."""
        job = {"GITLAB_CI": "true", "CI_SERVER_URL": "https://elsewhere.example.com", "CI_PROJECT_PATH": "group/shop",
               "CI_PIPELINE_ID": str(number), "CI_COMMIT_SHA": f"{number:040x}"}  # fmt: skip
        return self.update(tag, **job)

    def tag(self, branch: str = "main", app: str = "shop", environment: str = "production") -> str:
        text = self.server.read(self.name, f"apps/{app}/{environment}/kustomization.yaml", branch).decode()
        return text.split("newTag:")[1].split()[0].strip("'\"")

    @property
    def open(self) -> tuple[MergeRequest, ...]:
        return self.people.find()

    def head(self, branch: str = BRANCH) -> str:
        return self.server.head(self.name, branch) or ""

    def squash(self, iid: int = 1) -> None:
        """As a person does it, in their own words."""
        call = MergeCall(self.people.get(iid).head_sha, "squash", "Ship it")
        assert self.people.merge(iid, call).state == "merged"

    def before_merge(self, callback: Callable[[], object]) -> None:
        """Called once, after the gates were judged and before the merge takes place."""
        self.rig.before_merge(callback)

    @abstractmethod
    def with_ci(self) -> None:
        """From now on the project has CI."""

    @abstractmethod
    def ran(self, state: Any) -> None:
        """CI did that for the head of the merge request."""

    def close(self) -> None:
        self.rig.__exit__(None, None, None)


class LocalRoad(Road):
    kind = "local"

    def __init__(self, server: GitServer, cli: Cli, folder: Path) -> None:
        super().__init__(LocalHttpRig(server), cli, folder)

    def before_merge(self, callback: Callable[[], object]) -> None:
        self.server.before_push = lambda: callback() and None

    def with_ci(self) -> None:
        """A folder has none."""

    def ran(self, state: Any) -> None:
        """There is no CI; somebody posts what ran elsewhere."""
        self.people.set_status(self.head(), CommitStatus("scan", state))


class GitLabRoad(Road):
    kind = "gitlab"

    def __init__(self, server: GitServer, cli: Cli, folder: Path) -> None:
        server.user, server.password = "oauth2", "glpat-robot"
        rig = GitLabRig(server, "group/config")
        super().__init__(rig, cli, folder)
        self.gitlab = rig.gitlab

    def with_ci(self) -> None:
        self.push({".gitlab-ci.yml": b"test: {script: [make]}\n"})

    def ran(self, state: Any) -> None:
        self.gitlab.pipeline(self.head(), state)


class GitHubRoad(Road):
    kind = "github"

    def __init__(self, server: GitServer, cli: Cli, folder: Path) -> None:
        server.user, server.password = "x-access-token", "ghp_robot"
        rig = GitHubRig(server, "octo/config")
        super().__init__(rig, cli, folder)
        self.github = rig.fake
        rig.fake.token("robot")

    def with_ci(self) -> None:
        self.push({".github/workflows/test.yaml": b"on: push\n"})

    def ran(self, state: Any) -> None:
        conclusions = {"success": "success", "failed": "failure"}
        self.github.check_run(self.head(), "test", conclusions.get(state))


ROADS: dict[str, Callable[[GitServer, Cli, Path], Any]] = {
    "local": LocalRoad,
    "gitlab": GitLabRoad,
    "github": GitHubRoad,
}
