"""`deploy` to rendered manifests: in a folder, and on a branch of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.test_deploy import CONFIG, SECOND, commit, git
from tests.rig.cli import Cli

RENDERED = "deploy/staging"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a config repository with two apps; what it commits is pushed by `push`."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    folder = tmp_path / "config"
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), str(folder))
    git(folder, "switch", "-q", "-c", "main")
    commit(folder, {"environments/staging/shop/a.yaml": CONFIG, "environments/staging/shop/b.yaml": SECOND,
                    "environments/staging/blog/a.yaml": CONFIG})  # fmt: skip
    git(folder, "push", "-q", "-u", "origin", "main")
    return folder


def removed(folder: Path, *paths: str) -> None:
    git(folder, "rm", "-q", "-r", *paths)
    git(folder, "commit", "-qm", "Remove")


def on_branch(clone: Path) -> list[str]:
    bare = clone.parent / "origin.git"
    names = git(bare, "ls-tree", "-r", "--name-only", RENDERED).split()
    return [name for name in names if not name.startswith("out/.ci-gitops/")]


def test_manifests_are_pushed_to_a_branch_of_their_own(cli: Cli, clone: Path) -> None:
    bare = clone.parent / "origin.git"
    words = ("deploy", "--environment", "staging", "--destination", f"dir:out@{RENDERED}", "--prune")
    planned = cli(*words, "--dry-run", cwd=clone)
    assert planned.code == 0, planned.err
    assert git(bare, "branch", "--list", RENDERED) == ""
    first = cli("-o", "json", *words, cwd=clone)
    assert first.code == 0, first.err
    assert [each["outcome"] for each in first.json["targets"]] == ["applied", "applied"]
    assert on_branch(clone) == ["out/staging/blog/v1_configmap_settings.yaml",
                                "out/staging/shop/v1_configmap_more.yaml",
                                "out/staging/shop/v1_configmap_settings.yaml"]  # fmt: skip
    message = git(bare, "log", "-1", "--format=%B", RENDERED)
    assert f"Ci-Gitops-Revision: {git(clone, 'rev-parse', 'HEAD')}\nCi-Gitops-Target: staging/" in message
    head = git(bare, "rev-parse", RENDERED)
    again = cli("-o", "json", *words, cwd=clone)
    assert [each["outcome"] for each in again.json["targets"]] == ["unchanged", "unchanged"], again.err
    assert git(bare, "rev-parse", RENDERED) == head
    removed(clone, "environments/staging/shop/b.yaml", "environments/staging/blog")
    last = cli("-o", "json", *words, cwd=clone)
    assert last.code == 0, last.err
    assert on_branch(clone) == ["out/staging/shop/v1_configmap_settings.yaml"]
    listed = git(bare, "ls-tree", "-r", "--name-only", RENDERED, "out/.ci-gitops/").split()
    assert [name.split("/")[4] for name in listed if "/inventory/" in name] == ["shop"]
    records = [name for name in listed if "/records/" in name]
    outcomes = {json.loads(git(bare, "show", f"{RENDERED}:{name}"))["outcome"] for name in records}
    assert outcomes == {"applied"}


def test_drift_in_a_folder_is_told_and_healed_by_what_is_new(cli: Cli, clone: Path, tmp_path: Path) -> None:
    words = (
        "-o",
        "json",
        "deploy",
        "--environment",
        "staging",
        "--app",
        "shop",
        "--destination",
        f"dir:{tmp_path}/out",
    )
    assert cli(*words, cwd=clone).code == 0
    file = tmp_path / "out/staging/shop/v1_configmap_settings.yaml"
    declared = file.read_text()
    file.write_text(declared.replace("calm", "wild"))
    drifted = cli(*words, "--exit-code", cwd=clone)
    assert drifted.code == 3, drifted.err
    assert drifted.json["targets"][0]["outcome"] == "drifted"
    assert "wild" in file.read_text()
    commit(clone, {"environments/staging/shop/c.yaml": CONFIG.replace("settings", "new")})
    assert cli(*words, cwd=clone).code == 0
    assert file.read_text() == declared
    assert (tmp_path / "out/staging/shop/v1_configmap_new.yaml").exists()
