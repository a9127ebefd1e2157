"""Which branch is meant, by what CI says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci_gitops.errors import UsageError
from ci_gitops.run import Run
from ci_gitops.steps.locate import find_place
from tests.rig.git_server import run_git

URL = "https://git.example.com/acme/config.git"
PIPELINE = {"GITLAB_CI": "true", "CI_PROJECT_URL": "https://git.example.com/acme/config"}
SSH = {"CI_COMMIT_BRANCH": "release", "CI_PROJECT_PATH": "acme/config", "CI_SERVER_SHELL_SSH_HOST": "ssh.example.com"}
BELOW = {**SSH, "CI_PROJECT_URL": "https://git.example.com/gitlab/acme/config"}


def test_a_checkout_that_came_from_nowhere_is_told(tmp_path: Path) -> None:
    run = Run(environ={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}, cwd=tmp_path)
    with pytest.raises(UsageError) as caught:
        find_place(run, None, None)
    assert "inside a clone" in str(caught.value.hint)
    run_git("init", "-q", tmp_path)
    run_git("-C", tmp_path, "commit", "-q", "--allow-empty", "-m", "First")
    with pytest.raises(UsageError) as caught:
        find_place(run, None, None)
    assert f"{tmp_path} has no remote 'origin'" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("environ", "repo", "branch"),
    [
        ({"CI_COMMIT_BRANCH": "release"}, URL, "release"),
        ({"CI_COMMIT_BRANCH": "release"}, "https://git.example.com/other/config.git", None),
        (SSH, "git@ssh.example.com:acme/config.git", "release"),
        (SSH, "ssh://git@SSH.example.com:2222/Acme/config.git", "release"),
        (SSH, "git@ssh.example.com:acme/other.git", None),
        (SSH, "git@elsewhere.example.com:acme/config.git", None),
        (BELOW, "git@git.example.com:acme/config.git", "release"),
        ({"CI_COMMIT_TAG": "v1"}, URL, None),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "mine", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}, URL, "main"),
    ],
)
def test_the_branch_of_a_pipeline(environ: dict[str, str], repo: str, branch: str | None, tmp_path: Path) -> None:
    run = Run(environ={**PIPELINE, **environ}, cwd=tmp_path)
    assert find_place(run, repo, None).branch == branch
    assert find_place(run, repo, "asked").branch == "asked"
