"""Whose rules count: those of the branch that a revision would be merged into, never its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.test_deploy import CONFIG, commit, git
from tests.rig.cli import Cli, Ran

RULES = """
apps: {shop: {path: "shop/{environment}"}}
environments: {production: {}}
"""
OPENED = """
apps: {shop: {path: "shop/{environment}"}, more: {path: "more/{environment}"}}
environments: {production: {allow: {hosts: ["*"]}}}
render: {sandbox: "off"}
"""


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """`main`, and a merge request that would open the box for itself."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {".ci-gitops.yaml": RULES, "shop/production/a.yaml": CONFIG})
    git(folder, "switch", "-q", "-c", "open")
    commit(folder, {".ci-gitops.yaml": OPENED, "more/production/a.yaml": CONFIG.replace("settings", "more")})
    git(folder, "switch", "-q", "main")
    return folder


def rendered(cli: Cli, cwd: Path, *words: str, **environ: str) -> Ran:
    ran = cli("-o", "json", "render", "--environment", "production", *words, cwd=cwd, **environ)
    assert ran.code == 0, ran.err
    return ran


def is_ruled_by_main(ran: Ran) -> None:
    assert ran.json["sandbox"]["level"] == "full"
    assert [each["app"] for each in ran.json["targets"]] == ["shop", "more"]  # what is declared is its own
    assert "whose rules count here: environments.production.allow, render" in ran.err


def test_a_merge_request_is_rendered_under_its_targets_rules(cli: Cli, origin: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    git(tmp_path, "clone", "-q", "--branch", "open", "--depth", "1", f"file://{origin}", str(job))
    git(job, "checkout", "-q", "--detach")
    is_ruled_by_main(
        rendered(cli, job, GITLAB_CI="true", CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main", CI_MERGE_REQUEST_IID="7")
    )


def test_a_revision_is_rendered_under_the_branchs_rules(cli: Cli, origin: Path, tmp_path: Path) -> None:
    is_ruled_by_main(rendered(cli, tmp_path, "--repo", str(origin), "--revision", "open"))


def test_in_a_checkout_the_branch_that_it_comes_from_counts(cli: Cli, origin: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", f"file://{origin}", str(clone))
    git(clone, "switch", "-q", "open")
    git(origin, "branch", "-m", "main", "gone")  # nobody is asked
    is_ruled_by_main(rendered(cli, clone))
    assert rendered(cli, clone, "--config", str(clone / ".ci-gitops.yaml")).json["sandbox"]["level"] == "off"
    git(clone, "switch", "-q", "main")
    ran = rendered(cli, clone)
    assert "whose rules count" not in ran.err
    assert [each["app"] for each in ran.json["targets"]] == ["shop"]


def test_where_nothing_is_known_of_the_origin_it_is_asked(cli: Cli, origin: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    git(job, "init", "-q")
    git(job, "remote", "add", "origin", f"file://{origin}")
    git(job, "fetch", "-q", "--depth", "1", "origin", "open")
    git(job, "checkout", "-q", "FETCH_HEAD")
    is_ruled_by_main(rendered(cli, job))


def test_a_plan_says_first_that_the_rules_would_change(cli: Cli, origin: Path, tmp_path: Path) -> None:
    words = ("diff", "--environment", "production", "--repo", str(origin), "--revision", "open")
    text = cli(*words, "--destination", "dir:live", cwd=tmp_path)
    assert text.code == 0, text.err
    assert text.out.startswith("Note: .ci-gitops.yaml at ")
    assert text.out.splitlines()[0].endswith("whose rules count here: environments.production.allow, render.")
    document = cli("-o", "json", *words, "--destination", "dir:live", cwd=tmp_path)
    assert all("whose rules count here" in plan["notes"][0] for plan in document.json["plans"])
