from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_gitops.core.git_refs import branch_ref, full_ref, is_object_id, shared_ref, valid_ref
from ci_gitops.errors import UsageError
from tests.rig.parts import program

PIECES = st.sampled_from([*"ab-._~^:?*[\\@{}/ é", "..", "@{", "//", ".lock", "/.", "HEAD", "\t", "\x7f"])


@settings(max_examples=150, deadline=None)
@given(name=st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_refs_are_judged_as_git_judges_them(name: str) -> None:
    git = program("git", "install git")
    ref = f"refs/heads/{name}"
    judged = subprocess.run([git, "check-ref-format", ref], check=False, capture_output=True).returncode == 0
    assert valid_ref(ref) == judged


@pytest.mark.parametrize("name", ["-x", "--upload-pack=touch x", "@", "HEAD", "", "a b", "a..b", "a.lock", "/a", "a/"])
def test_names_that_no_branch_has(name: str) -> None:
    with pytest.raises(UsageError, match="not a valid name of a branch"):
        branch_ref(name)


def test_full_names() -> None:
    assert full_ref("main") == "refs/heads/main"
    assert full_ref("refs/merge-requests/1/head") == "refs/merge-requests/1/head"
    assert full_ref("HEAD") == "HEAD"
    with pytest.raises(UsageError):
        full_ref("refs/heads/a b")


def test_what_is_shared() -> None:
    assert shared_ref("refs/heads/main")
    assert shared_ref("refs/tags/v1")
    assert not shared_ref("refs/heads/ci-gitops/staging/web")
    assert not shared_ref("refs/ci-gitops/merge-requests/1")


def test_object_ids() -> None:
    assert is_object_id("a" * 40)
    assert is_object_id("0" * 64)
    assert not is_object_id("A" * 40)
    assert not is_object_id("a" * 39)
    assert not is_object_id("main")
