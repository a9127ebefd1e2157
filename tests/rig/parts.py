"""Find a real part or say in one line how to get it; with CI=true its absence is a failure, not a skip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def missing(part: str, how: str) -> None:
    """End the test: the part is not here."""
    message = f"{part} is not here: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def program(name: str, how: str, *folders: str) -> str:
    """The path of a program, looked for in `folders` before PATH."""
    for folder in folders:
        candidate = Path(folder) / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    found = shutil.which(name)
    if found is None:
        missing(name, how)
    assert found
    return found
