from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci_gitops.adapters.git import (
    Checkout,
    Person,
    checkout_origin,
    configured_person,
    find_checkout,
    uncommitted,
)
from tests.rig.git_server import BareRepositories, run_git


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    url = BareRepositories(tmp_path).create("config", {"a/b": b"1\n"})
    run_git("clone", "--quiet", url, tmp_path / "clone")
    return tmp_path / "clone"


def environ(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def test_a_checkout_is_found_from_below(clone: Path, tmp_path: Path) -> None:
    head = run_git("-C", clone, "rev-parse", "HEAD").strip()
    origin = str(tmp_path / "config.git")
    assert find_checkout(clone / "a", environ(tmp_path)) == Checkout(clone, head, "main", origin, "main")
    assert checkout_origin(clone / "a", environ(tmp_path)) == origin
    run_git("-C", clone, "checkout", "--quiet", "--detach")
    found = find_checkout(clone, environ(tmp_path))
    assert found
    assert found.branch is None


def test_where_there_is_none(tmp_path: Path) -> None:
    assert find_checkout(tmp_path, environ(tmp_path)) is None
    assert checkout_origin(tmp_path, environ(tmp_path)) is None
    run_git("init", "--quiet", tmp_path / "empty")
    assert find_checkout(tmp_path / "empty", environ(tmp_path)) is None


def test_what_is_not_committed(clone: Path, tmp_path: Path) -> None:
    found = find_checkout(clone, environ(tmp_path))
    assert found
    assert uncommitted(found, environ(tmp_path)) == ()
    (clone / "a/b").write_text("2\n")
    (clone / "new file").write_text("3\n")
    assert uncommitted(found, environ(tmp_path)) == ("a/b", "new file")
    assert uncommitted(found, environ(tmp_path), new=False) == ("a/b",)


def test_who_the_user_is(clone: Path, tmp_path: Path) -> None:
    assert configured_person(clone, environ(tmp_path)) is None
    (tmp_path / ".gitconfig").write_text('[user]\nname = Ann Author\nemail = "ann@example.com"\n')
    assert configured_person(clone, environ(tmp_path)) == Person("Ann Author", "ann@example.com")
    assert configured_person(tmp_path, environ(tmp_path)) == Person("Ann Author", "ann@example.com")


def test_a_checkout_starts_nothing(clone: Path, tmp_path: Path) -> None:
    spy = tmp_path / "spy"
    run_git("-C", clone, "config", "core.fsmonitor", f"touch {spy}")
    found = find_checkout(clone, environ(tmp_path))
    assert found
    uncommitted(found, environ(tmp_path))
    assert not spy.exists()
