"""Unified diffs: `patch` must make the new text of them, and for single changes they are those of `difflib`."""

from __future__ import annotations

import difflib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_gitops.core.edits.diff import unified_diff
from tests.rig.parts import program

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "  x: y"]), max_size=12).map("\n".join)


@given(st.integers(1, 12), st.data())
def test_one_replaced_line_is_shown_as_difflib_shows_it(count: int, data: st.DataObject) -> None:
    lines = [f"line {number}" for number in range(count)]
    number = data.draw(st.integers(0, len(lines) - 1))
    old, new = "\n".join(lines) + "\n", "\n".join([*lines[:number], "changed", *lines[number + 1 :]]) + "\n"
    expected = difflib.unified_diff(old.splitlines(True), new.splitlines(True), "a/f", "b/f")
    assert unified_diff(old, new, "f") == [line.rstrip("\n") for line in expected]


@settings(deadline=None, max_examples=60)
@given(LINES, LINES, st.integers(0, 3))
def test_patch_makes_the_new_text_of_it(
    tmp_path_factory: pytest.TempPathFactory, old: str, new: str, context: int
) -> None:
    git = program("git", "install git")
    folder = tmp_path_factory.getbasetemp()
    (folder / "f").write_text(old)
    diff = unified_diff(old, new, "f", context)
    if old == new:
        assert diff == []
        return
    (folder / "diff").write_text("\n".join(diff) + "\n")
    command = [git, "apply", "--unidiff-zero", "--whitespace=nowarn", "diff"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={"GIT_CEILING_DIRECTORIES": str(folder)})
    assert (folder / "f").read_text() == new


def test_many_changes_in_a_long_file_are_quick(tmp_path: Path) -> None:
    old = "".join(f"name: {number}\nimage: web:v1\n" for number in range(50_000))
    diff = unified_diff(old, old.replace("v1", "v2"), "f", 0)
    assert len(diff) == 2 + 3 * 50_000
