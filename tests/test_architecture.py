"""docs/architecture.md shows the code as it is: every folder of modules has its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
FOLDERS = [path.parent.relative_to(ROOT / "ci_gitops").as_posix() for path in (ROOT / "ci_gitops").rglob("__init__.py")]


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != "."])
def test_every_folder_of_modules_is_explained(folder: str) -> None:
    name = folder.rpartition("/")[2]
    assert f"`{name}/`" in PAGE or f"`{folder}`" in PAGE or f"`{folder}/`" in PAGE


@pytest.mark.parametrize("name", ["core", "adapters", "commands", "contracts", "e2e", "rig"])
def test_every_folder_of_tests_is_explained(name: str) -> None:
    assert (ROOT / "tests" / name).is_dir()
    assert f"`tests/{name}`" in PAGE
