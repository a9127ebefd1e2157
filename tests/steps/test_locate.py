"""Which branch is meant, by what CI says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.run import Run
from ci_gitops.steps.locate import find_place

URL = "https://git.example.com/acme/config.git"
PIPELINE = {"GITLAB_CI": "true", "CI_PROJECT_URL": "https://git.example.com/acme/config"}


@pytest.mark.parametrize(
    ("environ", "repo", "branch"),
    [
        ({"CI_COMMIT_BRANCH": "release"}, URL, "release"),
        ({"CI_COMMIT_BRANCH": "release"}, "https://git.example.com/other/config.git", None),
        ({"CI_COMMIT_TAG": "v1"}, URL, None),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "mine", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}, URL, "main"),
    ],
)
def test_the_branch_of_a_pipeline(environ: dict[str, str], repo: str, branch: str | None, tmp_path: Path) -> None:
    run = Run(environ={**PIPELINE, **environ}, cwd=tmp_path)
    assert find_place(run, repo, None).branch == branch
    assert find_place(run, repo, "asked").branch == "asked"
