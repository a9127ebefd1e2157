"""Find a real part or say in one line how to get it; with CI=true its absence is a failure, not a skip."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def missing(part: str, how: str) -> None:
    """End the test: the part is not here."""
    message = f"{part} is not here: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@functools.cache
def kit_programs() -> tuple[str, ...]:
    """The folder with kustomize, helm and kubectl of the cluster kit, where there is one."""
    kit = os.environ.get("CI_GITOPS_TEST_CLUSTER")
    if not kit:
        return ()
    done = subprocess.run([kit, "programs"], capture_output=True, text=True, check=False)
    return (done.stdout.strip(),) if done.returncode == 0 else ()


def program(name: str, how: str, *folders: str) -> str:
    """The path of a program, looked for in `folders` and the kit's before PATH."""
    for folder in (*folders, *kit_programs()):
        candidate = Path(folder) / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    found = shutil.which(name)
    if found is None:
        missing(name, how)
    assert found
    return found


def tied(argv: list[str]) -> list[str]:
    """The command, made to end with us even where a test run is killed."""
    return ["setpriv", "--pdeathsig", "TERM", *argv] if shutil.which("setpriv") else argv
