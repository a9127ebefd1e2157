"""`pipeline generate`: one job for each target that changed, judged on real commits and records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rig.cli import Cli
from tests.rig.git_server import run_git
from tests.rig.pipelines import Project, said

CONFIG = """\
version: 1
name: many
apps:
  web: {{path: "apps/web/{{environment}}", after: [api]}}
  api: {{path: "apps/api/{{environment}}", after: [db]}}
  db: {{path: "apps/db/{{environment}}"}}
environments:
  staging: {{destination: {{to: "simulated:{live}", namespace: shop}}, createNamespace: true}}
"""
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {app}}}\ndata: {{value: '{value}'}}\n"
TARGETS = """\
stages: [deploy]
include: [{local: ci-templates/targets.yml, inputs: {environment: staging}}]
"""
WITHOUT_FORGE = {"CI_GITOPS_FORGE": "local"}


class Many:
    """A checkout of three apps in one environment."""

    def __init__(self, cli: Cli, folder: Path) -> None:
        self.cli, self.folder = cli, folder
        run_git("init", "-q", "-b", "main", folder)
        run_git("-C", folder, "config", "user.name", "Ada")
        run_git("-C", folder, "config", "user.email", "ada@example.com")
        files = {f"apps/{app}/staging/map.yaml": MAP.format(app=app, value=1) for app in ("web", "api", "db")}
        self.first = self.commit({".ci-gitops.yaml": CONFIG.format(live=folder.parent / "live.json"), **files})

    def commit(self, files: dict[str, str | None]) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        run_git("-C", self.folder, "add", "-A")
        run_git("-C", self.folder, "commit", "-q", "-m", "Change")
        return run_git("-C", self.folder, "rev-parse", "HEAD").strip()

    def change(self, app: str, value: int) -> str:
        return self.commit({f"apps/{app}/staging/map.yaml": MAP.format(app=app, value=value)})

    def generated(self, *words: str, **variables: str) -> dict[str, Any]:
        ran = self.cli("pipeline", "generate", "--environment", "staging", *words, cwd=self.folder,
                       **WITHOUT_FORGE, **variables)  # fmt: skip
        assert ran.code == 0, ran.err
        found = yaml.safe_load(ran.out)
        assert isinstance(found, dict)
        return {name: job for name, job in found.items() if name != "stages"}


@pytest.fixture
def many(cli: Cli, tmp_path: Path) -> Many:
    return Many(cli, tmp_path / "config")


def test_since_a_revision(many: Many) -> None:
    """Only what is rendered differently counts: a comment is no change."""
    many.change("web", 2)
    many.commit({"apps/api/staging/map.yaml": "# said\n" + MAP.format(app="api", value=1)})
    head = many.change("db", 2)
    jobs = many.generated("--since", many.first, "--runner-tag", "big", CI_JOB_IMAGE="cli:1")
    assert {name: job["needs"] for name, job in jobs.items()} == {
        "deploy-app-web": ["deploy-app-db"], "deploy-app-db": []
    }  # fmt: skip
    for app in ("web", "db"):
        job = jobs[f"deploy-app-{app}"]
        assert job["variables"]["CI_GITOPS_DEPLOY_APP"] == app
        assert job["variables"]["CI_GITOPS_COMMIT"] == head
        assert (job["image"], job["tags"]) == ("cli:1", ["big"])
    assert set(many.generated("--since", head)) == {"nothing-changed"}


def test_what_does_not_render_has_its_job_and_what_left_git_the_last_one(many: Many) -> None:
    many.commit({"apps/web/staging/map.yaml": "kind: [", "apps/db/staging/map.yaml": None})
    assert set(many.generated("--since", many.first)) == {"deploy-app-web", "deploy-staging"}


def test_since_the_last_deployment_the_jobs_do_it_and_a_file_holds_the_pipeline(many: Many, tmp_path: Path) -> None:
    """The template's child pipeline runs for real, and after it nothing is left to do."""
    assert set(many.generated()) == {"deploy-app-web", "deploy-app-api", "deploy-app-db"}
    ran = many.cli("deploy", "--environment", "staging", cwd=many.folder, **WITHOUT_FORGE)
    assert ran.code == 0, ran.err
    assert set(many.generated()) == {"nothing-changed"}
    many.change("api", 2)
    file = tmp_path / "child.yml"
    ran = many.cli("-o", "json", "pipeline", "generate", "--environment", "staging", "--output-file", file,
                   cwd=many.folder, **WITHOUT_FORGE)  # fmt: skip
    assert [target["app"] for target in ran.json["targets"]] == ["api"]
    assert ran.json["pipeline"] == yaml.safe_load(file.read_text())
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(file)]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout

    project = Project.make(many.folder, tmp_path / "home", TARGETS)
    project.variables = WITHOUT_FORGE
    out = project.run()
    assert "(1 updated; healthy)" in said(out, "deploy-app-api")
    assert "deploy-app-web" not in out
    assert set(many.generated()) == {"nothing-changed"}


def test_a_revision_that_is_not_there_is_named(many: Many) -> None:
    ran = many.cli("pipeline", "generate", "--environment", "staging", "--since", "nowhere", cwd=many.folder)
    assert ran.code in (1, 2)
    assert "nowhere" in ran.err
