from __future__ import annotations

import os

import pytest

pytest_plugins = [
    "tests.rig.cli",
]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say which variables they need: nothing of this job's CI, Git or registry settings reaches them."""
    for name in os.environ:
        ours = name.startswith("CI_GITOPS_TEST")
        if name.startswith(("CI_", "GITLAB_", "GIT_", "DOCKER_", "GITHUB_", "SSH_")) and not ours:
            monkeypatch.delenv(name)
