"""`config`: what is in force and who said so, for a checkout and for a repository on a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer, run_git

KUSTOMIZATION = "kind: Kustomization\n"
FILE = """\
environments:
  staging:
    sourceBranches: [main]
  production:
    write: merge-request
    merge: when-green
    gates: {soak: 30m}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "config"
    for name in ("staging", "production"):
        folder = root / "apps" / "shop" / "overlays" / name
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text(KUSTOMIZATION)
    run_git("init", "--quiet", root)
    return root


def in_force(ran: Ran) -> dict[str, tuple[Any, str]]:
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "Settings"
    return {item["key"]: (item["value"], item["origin"]) for item in ran.json["items"]}


def test_each_setting_and_where_it_came_from(checkout: Path, cli: Cli) -> None:
    (checkout / ".ci-gitops.yaml").write_text(FILE)
    run_git("-C", checkout, "remote", "add", "origin", "https://git.example.com/acme/config.git")
    shown = in_force(
        cli(
            "-o", "json", "config", "show", cwd=checkout / "apps",
            GITLAB_CI="true", CI_COMMIT_BRANCH="main", GITLAB_USERNAME="Ada", GITLAB_EMAIL="ada@example.com",
            CI_GITOPS_TOKEN="glpat-very-secret-thing", CI_GITOPS_UPDATE_WRITE="push",
        )
    )  # fmt: skip
    file = f"{checkout}/.ci-gitops.yaml"
    assert shown["repository"] == ("https://git.example.com/acme/config.git", "the checkout's origin")
    assert shown["token"] == ("(not shown)", "CI_GITOPS_TOKEN")
    assert shown["author"] == ("Ada <ada@example.com>", "GITLAB_USERNAME, GITLAB_EMAIL")
    assert shown["environment"] == ("staging", "sourceBranches hold main")
    assert shown["update --write"] == ("push", "CI_GITOPS_UPDATE_WRITE")
    assert shown["name"] == ("git.example.com/acme/config", "the repository's address")
    assert shown["apps.shop.path"] == ("apps/shop/overlays/{environment}", "the repository's layout")
    assert shown["environments.staging.sourceBranches"] == (["main"], f"{file}:3")
    assert shown["environments.staging.write"] == ("push", "default")
    assert shown["environments.production.write"] == ("merge-request", f"{file}:5")
    assert shown["environments.production.from"] == ("staging", "the environment before it")
    assert shown["environments.production.gates.soak"] == ("30m", f"{file}:7")


def test_the_text_leaves_out_what_is_empty_by_default(checkout: Path, cli: Cli) -> None:
    ran = cli("config", "show", cwd=checkout, CI_GITOPS_ENVIRONMENT="staging")
    lines = {line.split()[0]: line.split() for line in ran.out.splitlines()}
    assert lines["environment"][1:] == ["staging", "CI_GITOPS_ENVIRONMENT"]
    assert lines["environments.production.write"][1:] == ["push", "default"]
    assert "environments.production.labels" not in lines
    assert "environments.production.gates.freeze" not in lines


def test_the_head_of_the_config_repository_rules(tmp_path: Path, cli: Cli, git_server: GitServer) -> None:
    files = {
        ".ci-gitops.yaml": b"apps: {web: {path: deploy}}\nenvironments: {qa: {write: merge-request}}\n",
        "deploy/a.yaml": b"a: 1\n",
    }
    url = git_server.create("config-show", files)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".ci-gitops.yaml").write_text(f"repository: {{url: {url}, branch: main}}\nenvironments: {{x: }}\n")
    shown = in_force(cli("-o", "json", "config", "show", cwd=tmp_path, CI_GITOPS_TOKEN=git_server.password))
    assert shown["repository"] == (url, "repository.url of the local .ci-gitops.yaml")
    assert shown["environments.qa.write"] == ("merge-request", ".ci-gitops.yaml:2")
    assert not any(key.startswith("environments.x.") for key in shown)
    named = in_force(cli("-o", "json", "config", "show", cwd=tmp_path / ".git", CI_GITOPS_REPO=url,
                         CI_GITOPS_TOKEN=git_server.password))  # fmt: skip
    assert named["repository"][0] == url


def test_a_checkout_goes_by_its_origin_wherever_it_lies(tmp_path: Path, cli: Cli, git_server: GitServer) -> None:
    """Marks in a cluster and names of apps must not depend on the folder that a runner chose."""
    files = {f".kubernetes/overlays/{name}/kustomization.yaml": b"" for name in ("staging", "production")}
    git_server.create("shop", files)
    run_git("clone", "--quiet", git_server.bare("shop"), tmp_path / "build-4711")
    run_git("-C", tmp_path / "build-4711", "remote", "set-url", "origin", git_server.url("shop"))
    here = in_force(cli("-o", "json", "config", "show", cwd=tmp_path / "build-4711"))
    path = in_force(cli("-o", "json", "config", "show", "--repo", tmp_path / "build-4711", cwd=tmp_path))
    there = in_force(
        cli("-o", "json", "config", "show", "--repo", git_server.url("shop"), cwd=tmp_path,
            CI_PROJECT_PATH="group/elsewhere", CI_GITOPS_TOKEN=git_server.password)
    )  # fmt: skip
    for shown in (here, path, there):
        assert shown["name"][0] == "localhost/shop"
        assert shown["apps.shop.path"][0] == ".kubernetes/overlays/{environment}"
        assert shown["environments.production.sourceBranches"][0] == ["main", "master"]


def test_the_whole_machine_is_no_repository(cli: Cli) -> None:
    ran = cli("config", "validate", cwd=Path("/"), timeout=20)
    assert ran.code == 2
    assert "none of the usual layouts" in ran.err


def test_a_file_is_checked(checkout: Path, cli: Cli) -> None:
    (checkout / ".ci-gitops.yaml").write_text(FILE)
    ran = cli("-o", "json", "config", "validate", cwd=checkout)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["kind"] == "ConfigValidation"
    assert ran.json["targets"][0] == {"app": "shop", "environment": "staging", "path": "apps/shop/overlays/staging"}
    assert "2 environments, 2 targets" in cli("config", "validate", cwd=checkout).out
    (checkout / ".ci-gitops.yaml").write_text(FILE.replace("merge:", "mege:"))
    wrong = cli("-o", "json", "config", "validate", cwd=checkout)
    assert wrong.code == 2
    assert wrong.json["error"]["message"].startswith(f"{checkout}/.ci-gitops.yaml:6:5: environments.production.mege")
    assert wrong.json["error"]["hint"] == "Did you mean 'merge'?"


def test_a_file_named_by_the_caller_is_checked(checkout: Path, cli: Cli) -> None:
    other = checkout / "other.yaml"
    other.write_text("environments: {prod: }\n")
    ran = cli("--config", other, "config", "validate", cwd=checkout)
    assert ran.code == 2
    assert "none of apps/shop/overlays/prod" in ran.err
    other.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in cli("config", "validate", cwd=checkout, CI_GITOPS_CONFIG=str(other)).err
    other.unlink()
    assert cli("--config", other, "config", "validate", cwd=checkout).code == 2


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("environments: {staging: {merge: now}}", "environments.staging.merge has no effect"),
        ("environments: {staging: , qa: }", "environments.qa: no app is there"),
        ("apps: {shop: , web: {path: 'apps/shop/overlay/{environment}'}}", "apps/shop/overlay/staging"),
    ],
)
def test_what_has_no_effect_is_said(checkout: Path, cli: Cli, text: str, warning: str) -> None:
    (checkout / ".ci-gitops.yaml").write_text(text)
    ran = cli("-o", "json", "config", "validate", cwd=checkout)
    assert ran.code == 0, ran.err
    assert [warning in said for said in ran.json["warnings"]] == [True]
    assert warning in ran.err


def test_no_file_and_no_layout_is_a_mistake(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / ".git").mkdir()
    ran = cli("config", "validate", cwd=tmp_path)
    assert ran.code == 2
    assert "init" in ran.err
    (tmp_path / ".ci-gitops.yaml").write_text("repository: {url: https://git.example.com/acme/config.git}")
    assert "the configuration is in https://git.example.com" in cli("config", "validate", cwd=tmp_path).out


def test_the_schema_is_the_published_one(cli: Cli) -> None:
    published = json.loads((Path(__file__).parents[2] / "docs/schema/ci-gitops.schema.json").read_text())
    assert json.loads(cli("config", "schema").out) == published
    assert cli("-o", "json", "config", "schema").json["schema"] == published


def test_unknown_subcommands_are_usage_errors(cli: Cli) -> None:
    assert cli("config").code == 2
    assert "show" in cli("config", "sho").err
