"""`update` against a real Git server over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci_gitops.core.trailers import parse_trailers
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer

OVERLAY = b"""\
# who changes this? ci-gitops does
resources:
- ../../base
images:
- name: registry.example.com/shop/web  # the shop's front
  newTag: "1.1"
- name: registry.example.com/shop/api
  newTag: v7
"""
BASE = b"""\
resources:
- deployment.yaml
"""
DEPLOYMENT = b"""\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - {name: web, image: registry.example.com/shop/web}
      - {name: api, image: registry.example.com/shop/api}
      - {name: side, image: "registry.example.com/shop/side:3"}
"""
LAYOUT = {
    "README.md": b"config\n",
    "apps/shop/base/kustomization.yaml": BASE,
    "apps/shop/base/deployment.yaml": DEPLOYMENT,
    "apps/shop/overlays/staging/kustomization.yaml": OVERLAY,
    "apps/shop/overlays/production/kustomization.yaml": OVERLAY,
}
STAGING = "apps/shop/overlays/staging/kustomization.yaml"
PRODUCTION = "apps/shop/overlays/production/kustomization.yaml"
WEB = "registry.example.com/shop/web"
DIGEST = "sha256:" + "0123456789abcdef" * 4
PIPELINE = {
    "GITLAB_CI": "true",
    "CI_PROJECT_PATH": "shop/web",
    "CI_PROJECT_URL": "https://gitlab.example.com/shop/web",
    "CI_COMMIT_SHA": "c" * 40,
    "CI_COMMIT_TIMESTAMP": "2026-11-21T10:00:00+00:00",
    "CI_PIPELINE_ID": "812",
    "GITLAB_USER_LOGIN": "alice",
    "GITLAB_USER_NAME": "Alice Example",
    "GITLAB_USER_EMAIL": "alice@example.com",
}


class Config:
    """A config repository on the server, and `update` on it."""

    def __init__(self, cli: Cli, server: GitServer, files: dict[str, bytes] = LAYOUT, name: str = "config") -> None:
        self.cli, self.server, self.name = cli, server, name
        self.url = server.create(name, files)

    def update(self, *arguments: object, env: dict[str, str] | None = None, **options: object) -> Ran:
        repo = options.get("repo", self.url)
        given = {"CI_GITOPS_TOKEN": self.server.password, **(env or {})}
        return self.cli("-o", options.get("output", "json"), "update", "--repo", repo, *arguments, env=given)

    def head(self, branch: str = "main") -> str:
        head = self.server.head(self.name, branch)
        assert head
        return head

    def read(self, path: str = STAGING, branch: str = "main") -> str:
        return self.server.read(self.name, path, branch).decode()

    def commits(self, branch: str = "main") -> list[str]:
        return self.server.messages(self.name, branch)


@pytest.fixture
def config(cli: Cli, git_server: GitServer) -> Config:
    return Config(cli, git_server)


def test_one_line_changes_in_one_commit(config: Config) -> None:
    before = config.head()
    ran = config.update(f"{WEB}:1.2@{DIGEST}", "--environment", "staging", env=PIPELINE)
    assert ran.code == 0, ran.err
    assert config.read() == OVERLAY.decode().replace('newTag: "1.1"', f'newTag: "1.2"\n  digest: {DIGEST}')
    assert config.read(PRODUCTION) == OVERLAY.decode()
    assert len(config.commits()) == 2
    assert ran.json["kind"] == "UpdateResult"
    assert ran.json["commit"] == config.head() != before
    assert ran.json["attempts"] == 1
    assert [edit["path"] for edit in ran.json["edits"]] == [STAGING]
    message = config.commits()[0]
    assert message.startswith("deploy(staging): web 1.1 -> 1.2\n")
    trailers = parse_trailers(message)
    assert trailers.actor == "alice"
    assert trailers.source
    assert (trailers.source.project, trailers.source.pipeline) == ("shop/web", 812)
    assert [(move.target, move.name) for move in trailers.images] == [("staging/shop", WEB)]


def test_the_same_call_again_has_nothing_to_do(config: Config, tmp_path: Path) -> None:
    config.update(f"{WEB}:1.2", "--environment", "staging")
    head = config.head()
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--dotenv", tmp_path / "update.env")
    assert ran.code == 0
    assert ran.json["outcome"] == "unchanged"
    assert ran.json["commit"] is None
    assert config.head() == head
    assert (tmp_path / "update.env").read_text() == f"CI_GITOPS_COMMIT={head}\n"


def test_an_image_that_only_the_base_names_gets_an_entry(config: Config) -> None:
    ran = config.update("registry.example.com/shop/side:4", "--environment", "staging")
    assert ran.code == 0, ran.err
    assert config.read() == OVERLAY.decode() + '- name: registry.example.com/shop/side\n  newTag: "4"\n'
    assert ran.json["images"][0]["old"] == "registry.example.com/shop/side:3"


def test_two_environments_on_one_branch_are_one_commit(config: Config) -> None:
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--environment", "production")
    assert ran.code == 0, ran.err
    assert len(config.commits()) == 2
    assert "1.2" in config.read(STAGING)
    assert "1.2" in config.read(PRODUCTION)


def test_what_build_left_is_the_default(config: Config) -> None:
    ran = config.update("--environment", "staging", env={"CI_GITOPS_IMAGE_REF": f"{WEB}:1.3@{DIGEST}"})
    assert ran.code == 0, ran.err
    assert f"digest: {DIGEST}" in config.read()


def test_results_of_several_builds_are_one_commit(config: Config, tmp_path: Path) -> None:
    for name in ("web", "api"):
        (tmp_path / name).write_text(json.dumps({"kind": "BuildResult", "ref": f"registry.example.com/shop/{name}:9"}))
    ran = config.update("--from", tmp_path / "web", "--from", tmp_path / "api", "--environment", "staging")
    assert ran.code == 0, ran.err
    assert config.commits()[0].startswith("deploy(staging): 2 images in 1 app")


def test_a_dry_run_shows_the_diff_and_touches_nothing(config: Config) -> None:
    head = config.head()
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--dry-run", output="text")
    assert ran.code == 0
    assert '-  newTag: "1.1"\n+  newTag: "1.2"\n' in ran.out
    assert "nothing was touched" in ran.out
    assert config.head() == head


def test_a_push_that_was_beaten_is_applied_again(config: Config) -> None:
    other = {PRODUCTION: b"resources: []\n", STAGING: OVERLAY.replace(b"v7", b"v8")}
    config.server.before_push = lambda: config.server.commit(config.name, other)
    ran = config.update(f"{WEB}:1.2", "--environment", "staging")
    assert ran.code == 0, ran.err
    assert ran.json["attempts"] == 2
    assert config.read() == OVERLAY.decode().replace("v7", "v8").replace("1.1", "1.2")
    assert len(config.commits()) == 3


def test_the_servers_no_is_not_tried_again(config: Config) -> None:
    config.server.reject(config.name, "GitLab: You are not allowed to push code to protected branches\x1b[31m")
    ran = config.update(f"{WEB}:1.2", "--environment", "staging")
    assert ran.code == 5
    assert "You are not allowed to push code to protected branches" in ran.json["error"]["message"]
    assert "\x1b" not in ran.out
    assert len(config.commits()) == 1


def test_an_older_pipeline_does_not_overwrite_a_newer_one(config: Config) -> None:
    config.update(f"{WEB}:1.3", "--environment", "staging", env=PIPELINE)
    for number in range(3):  # other people's commits on top: the evidence is not in the head
        config.server.commit(config.name, {"README.md": b"%d\n" % number})
    older = {**PIPELINE, "CI_PIPELINE_ID": "811"}
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", env=older)
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "unchanged"
    assert "stays at" in ran.json["notes"][0]
    assert "pipeline 812 (this is 811)" in ran.json["notes"][0]
    assert '"1.3"' in config.read()
    forced = config.update(f"{WEB}:1.2", "--environment", "staging", "--force", env=older)
    assert forced.json["outcome"] == "pushed"


def test_another_project_may_overwrite_and_it_is_said(config: Config) -> None:
    config.update(f"{WEB}:1.3", "--environment", "staging", env=PIPELINE)
    ran = config.update(
        f"{WEB}:1.2",
        "--environment",
        "staging",
        env={**PIPELINE, "CI_PROJECT_PATH": "shop/fork", "CI_PIPELINE_ID": "1"},
    )
    assert ran.json["outcome"] == "pushed"
    assert "was last written by shop/web" in ran.json["notes"][0]


def test_a_shallow_root_is_no_evidence_for_the_files_it_holds(config: Config) -> None:
    """At depth 1 the head seems to have made every file: its trailers about one image say nothing of another."""
    config.update(f"{WEB}:1.3", "--environment", "staging", env={**PIPELINE, "CI_PIPELINE_ID": "900"})
    ran = config.update("registry.example.com/shop/api:v8", "--environment", "staging", env=PIPELINE)
    assert ran.json["outcome"] == "pushed"


def test_the_branch_that_ci_builds_names_the_environment(config: Config) -> None:
    config.server.commit(
        config.name,
        {".ci-gitops.yaml": b"environments:\n  staging: {sourceBranches: [develop, 'feature/*']}\n  production: {}\n"},
    )
    ran = config.update(f"{WEB}:1.2", env={**PIPELINE, "CI_COMMIT_BRANCH": "feature/x"})
    assert ran.code == 0, ran.err
    assert ran.json["environments"] == ["staging"]
    lost = config.update(f"{WEB}:1.2", env={**PIPELINE, "CI_COMMIT_BRANCH": "other"})
    assert lost.code == 2
    assert "'other'" in lost.json["error"]["message"]


def test_an_environment_may_have_a_branch_of_its_own(config: Config) -> None:
    config.server.commit(config.name, {".ci-gitops.yaml": b"environments:\n  staging: {repository: {branch: stage}}\n"})
    config.server.commit(config.name, LAYOUT, branch="stage")
    before = config.head()
    ran = config.update(f"{WEB}:1.2", "--environment", "staging")
    assert ran.code == 0, ran.err
    assert ran.json["branch"] == "stage"
    assert '"1.2"' in config.read(branch="stage")
    assert config.head() == before


def test_an_environment_may_have_a_repository_of_its_own(config: Config, cli: Cli) -> None:
    own = Config(cli, config.server, LAYOUT, "production")
    apps = "apps:\n  shop: {path: 'apps/shop/overlays/{environment}'}\n"
    settings = f"{apps}environments:\n  production: {{repository: {{url: '{own.url}'}}}}\n"
    config.server.commit(config.name, {".ci-gitops.yaml": settings.encode()})
    ran = config.update(f"{WEB}:1.2", "--environment", "production")
    assert ran.code == 0, ran.err
    assert '"1.2"' in own.read(PRODUCTION)
    assert '"1.1"' in config.read(PRODUCTION)


def test_any_value_can_be_set(config: Config) -> None:
    config.server.commit(config.name, {"apps/shop/overlays/staging/extra.yaml": b"replicas: 2 # enough\n"})
    ran = config.update("--environment", "staging", "--set", "shop:extra.yaml:replicas=3")
    assert ran.code == 0, ran.err
    assert config.read("apps/shop/overlays/staging/extra.yaml") == "replicas: 3 # enough\n"
    assert config.commits()[0].startswith("deploy(staging): shop replicas 2 -> 3")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["registry.example.com/shop/wbe:1", "--environment", "staging"], 1, "used nowhere"),
        ([f"{WEB}:1.2", "--environment", "stagin"], 2, "There is no environment 'stagin'"),
        ([f"{WEB}:1.2", "--environment", "staging", "--app", "shp"], 2, "There is no app 'shp'"),
        ([f"{WEB}:not a tag", "--environment", "staging"], 2, "not a tag"),
        (["--environment", "staging"], 2, "no image is named"),
        ([f"{WEB}:1.2"], 2, "No environment is named"),
        ([f"{WEB}:1.2", "--environment", "staging", "--branch", "mian"], 1, "has no branch 'mian'"),
        ([f"{WEB}:1.2", "--environment", "staging", "--branch=--upload-pack=x"], 2, "branch"),
        (["--environment", "staging", "--set", "shop:../../../../etc/x:a=b"], 2, "leads out"),
        (["--environment", "staging", "--set", "shop:kustomization.yml:a=b"], 1, "has no file"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    config: Config, arguments: list[str], code: int, words: str
) -> None:
    ran = config.update(*arguments)
    assert (ran.code, ran.json["error"]["code"]) == (code, code), ran.err
    assert words in ran.json["error"]["message"]
    assert len(config.commits()) == 1


def test_a_misspelt_image_gets_a_near_match(config: Config) -> None:
    ran = config.update("registry.example.com/shop/wbe:1", "--environment", "staging")
    assert f"Did you mean '{WEB}'" in ran.json["error"]["hint"]


def test_a_wrong_token_is_said_with_its_source(config: Config) -> None:
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", env={"CI_GITOPS_TOKEN": "glpat-wrong-token"})
    assert ran.code == 1
    assert "CI_GITOPS_TOKEN" in ran.json["error"]["message"] + (ran.json["error"]["hint"] or "")
    assert "glpat-wrong-token" not in ran.out + ran.err


def test_a_read_only_token_says_which_right_is_missing(config: Config) -> None:
    config.server.read_only = True
    ran = config.update(f"{WEB}:1.2", "--environment", "staging")
    assert ran.code == 1
    assert "write_repository" in ran.json["error"]["hint"]
    assert len(config.commits()) == 1
