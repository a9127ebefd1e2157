"""Whole files before and after one call, byte for byte: `tests/golden/set_image/<case>/`.

`call` holds the arguments, one a line; `before.NAME` and `after.NAME` are the file, `notes` what is said.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops import set_images

GOLDEN = Path(__file__).parents[1] / "golden" / "set_image"


@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda folder: folder.name)
def test_a_golden_file(folder: Path) -> None:
    call = (folder / "call").read_text().splitlines()
    options = dict(word.removeprefix("--").split("=", 1) for word in call if word.startswith("--"))
    images = [word for word in call if not word.startswith("--")]
    (before,) = folder.glob("before.*")
    (after,) = folder.glob("after.*")
    name = before.name.removeprefix("before.")
    edit = set_images(before.read_bytes().decode(), images, path=name, **options)
    assert edit.new.encode() == after.read_bytes()
    assert edit.notes == tuple(_lines(folder / "notes"))
    assert not set_images(edit.new, images, path=name, **options).changed


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
