"""When GitLab's registry got its tags, as GitLab itself says: for few requests, and only where it lets us ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.forges.gitlab_registry import GitLabTags
from ci_gitops.core.scanning import Facts
from ci_gitops.errors import RefusedError
from tests.fakes.clock import Clock
from tests.fakes.gitlab import FakeGitLab
from tests.rig.git_server import GitServer

PUSHED = {
    "main-1": ("sha256:" + "1" * 64, "2026-01-01T00:00:00.000Z"),
    "old": ("sha256:" + "2" * 64, "1970-01-01T00:00:00Z"),
}


@pytest.fixture
def gitlab(git_server: GitServer) -> Iterator[FakeGitLab]:
    git_server.create("group/config", {"README.md": b""})
    made = FakeGitLab(git_server, Clock(), repository="group/config")
    made.state.tags = {"group/config": {}, "group/config/shop/web": PUSHED}
    yield made
    assert not made.breaches, "\n".join(made.breaches)


def tags(gitlab: FakeGitLab, repository: str, *, job: bool = False) -> GitLabTags:
    user = gitlab.state.user("robot")
    if job:
        user.kind = "job"
    source = "CI_JOB_TOKEN" if job else "CI_GITOPS_TOKEN"
    return GitLabTags(Site(gitlab.git.base, "group/config", user.token, source, None, {}, lambda _: None), repository)


@pytest.mark.parametrize("job", [False, True])
def test_digest_and_time_of_a_tag(gitlab: FakeGitLab, job: bool) -> None:
    found = tags(gitlab, "group/config/shop/web", job=job)
    assert found.facts("main-1") == Facts(PUSHED["main-1"][0], 1767225600.0)
    assert found.facts("old") == Facts(PUSHED["old"][0], None)
    assert found.facts("main-2") is None
    assert found.known
    asked = [call.path.partition("/projects/")[2] for call in gitlab.calls]
    project = "group%2Fconfig"
    assert asked == [
        f"{project}%2Fshop%2Fweb/registry/repositories",
        f"{project}%2Fshop/registry/repositories",
        f"{project}/registry/repositories",
        *(f"{project}/registry/repositories/2/tags/{tag}" for tag in ("main-1", "old", "main-2")),
    ]


def test_an_image_of_another_project(gitlab: FakeGitLab) -> None:
    found = tags(gitlab, "elsewhere/web")
    assert not found.known
    assert found.facts("main-1") is None
    assert len(gitlab.calls) == 1


def test_no_token_is_no_answer(gitlab: FakeGitLab) -> None:
    site = Site(gitlab.git.base, "group/config", None, "", None, {}, lambda _: None)
    with pytest.raises(RefusedError, match="no token"):
        GitLabTags(site, "group/config").facts("1")
