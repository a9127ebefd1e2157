"""Other people's repositories, and the real kustomize to ask what it makes of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rig.parts import missing, program


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the corpus; read-only."""
    folder = os.environ.get("CI_GITOPS_TEST_CORPUS")
    if not folder or not Path(folder).is_dir():
        missing("the corpus of other people's repositories", "set CI_GITOPS_TEST_CORPUS to its folder")
    assert folder
    return Path(folder)


@pytest.fixture(scope="session")
def kustomize() -> str:
    """The path of the kustomize binary."""
    return program("kustomize", "Debian trixie's package `kustomize`, or its release page, on PATH")
