"""The order of revisions, asked in full and shallow checkouts and where they came from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci_gitops.adapters.git import Repository
from ci_gitops.run import Run
from ci_gitops.steps.ancestry import Ancestry
from ci_gitops.steps.locate import Place
from ci_gitops.steps.workplace import Reach, Workplaces
from tests.rig.git_server import BareRepositories, run_git

COMMITS = 8


@pytest.fixture
def server(tmp_path: Path) -> BareRepositories:
    root = tmp_path / "server"
    root.mkdir()
    return BareRepositories(root)


@pytest.fixture
def commits(server: BareRepositories) -> list[str]:
    server.create("config", {"overlays/production/kustomization.yaml": b"resources: []\n"})
    first = server.head("config")
    assert first
    later = server.history("config", [(f"Commit {number}", {"README": b"%d" % number}) for number in range(COMMITS)])
    return [first, *later]


def checkout(server: BareRepositories, folder: Path, revision: str | None = None, depth: int | None = None) -> Path:
    """As a CI system makes it: at one commit, perhaps with little history."""
    where = folder / "checkout"
    run_git("init", "--quiet", where)
    run_git("-C", where, "remote", "add", "origin", f"file://{server.url('config')}")
    shallow = [f"--depth={depth}"] if depth else []
    run_git("-C", where, "fetch", "--quiet", *shallow, "origin", revision or "main")
    run_git("-C", where, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    return where


def behind(folder: Path, url: str, branch: str | None, revision: str, applied: str) -> bool | None:
    run = Run(environ={"PATH": os.environ["PATH"], "HOME": str(folder)}, cwd=folder)
    with Workplaces(run, Reach()) as places:
        place = places.at(Place(url, branch, "the test"))
        return Ancestry(places, place).is_behind(revision, applied)


def test_the_same_revision_is_not_behind_itself(server: BareRepositories, commits: list[str], tmp_path: Path) -> None:
    assert behind(tmp_path, server.url("config"), None, commits[0], commits[0]) is False
    assert behind(tmp_path, server.url("config"), None, commits[0], "") is False


@pytest.mark.parametrize("depth", [None, 1, 3])
def test_a_retried_job_is_behind_what_came_after_it(
    server: BareRepositories, commits: list[str], tmp_path: Path, depth: int | None
) -> None:
    where = checkout(server, tmp_path, commits[2], depth)
    assert behind(where, str(where), "HEAD", commits[2], commits[6]) is True


@pytest.mark.parametrize("depth", [None, 1, 3])
def test_a_newer_revision_is_not_behind(
    server: BareRepositories, commits: list[str], tmp_path: Path, depth: int | None
) -> None:
    where = checkout(server, tmp_path, None, depth)
    assert behind(where, str(where), "HEAD", commits[-1], commits[1]) is False


def test_straight_from_the_server(server: BareRepositories, commits: list[str], tmp_path: Path) -> None:
    assert behind(tmp_path, server.url("config"), None, commits[1], commits[-1]) is True
    assert behind(tmp_path, server.url("config"), None, commits[-1], commits[1]) is False


def test_another_branch_is_not_behind(server: BareRepositories, commits: list[str], tmp_path: Path) -> None:
    run_git("--git-dir", server.bare("config"), "branch", "side", commits[1])
    side = server.commit("config", {"side": b"1"}, branch="side")
    where = checkout(server, tmp_path, "side", 1)
    assert behind(where, str(where), "HEAD", side, commits[-1]) is False


@pytest.mark.parametrize("depth", [None, 1])
def test_what_nobody_has_any_more_cannot_be_told(
    server: BareRepositories, commits: list[str], tmp_path: Path, depth: int | None
) -> None:
    where = checkout(server, tmp_path, None, depth)
    assert behind(where, str(where), "HEAD", commits[-1], "f" * 40) is None


def test_a_shallow_checkout_whose_origin_is_gone(server: BareRepositories, commits: list[str], tmp_path: Path) -> None:
    where = checkout(server, tmp_path, commits[2], 1)
    run_git("-C", where, "remote", "remove", "origin")
    assert behind(where, str(where), "HEAD", commits[2], commits[6]) is None


def test_an_answer_is_asked_for_once(
    server: BareRepositories, commits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, cwd=tmp_path)
    with Workplaces(run, Reach()) as places:
        ancestry = Ancestry(places, places.at(Place(server.url("config"), None, "the test")))
        assert ancestry.is_behind(commits[1], commits[-1]) is True
        monkeypatch.setattr(Repository, "is_ancestor", None)
        assert ancestry.is_behind(commits[1], commits[-1]) is True
