"""Which forge is meant, and a local forge whose refs somebody has written by hand."""

from __future__ import annotations

import pytest

from ci_gitops.adapters.forges import KINDS, forge_kind, open_forge
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.core.ci import CiFacts
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.errors import ForgeError, UsageError
from tests.rig.git_server import GitServer, run_git

HTTP = "https://gitlab.example.com/group/config.git"
ME = Person("Ann", "ann@example.com")


@pytest.mark.parametrize(
    ("asked", "url", "environ", "kind"),
    [
        ("github", "/srv/config.git", {}, "github"),
        (None, "/srv/config.git", {"GITLAB_CI": "true"}, "local"),
        (None, "file:///srv/config.git", {}, "local"),
        (None, HTTP, {"GITLAB_CI": "true"}, "gitlab"),
        (None, HTTP, {"GITHUB_ACTIONS": "true"}, "github"),
    ],
)
def test_the_forge_is_asked_for_or_implied(asked: str | None, url: str, environ: dict[str, str], kind: str) -> None:
    assert forge_kind(asked, parse_git_url(url), CiFacts.from_environ(environ), environ) == kind


def test_a_host_name_says_nothing() -> None:
    with pytest.raises(UsageError, match="Nothing says which forge") as caught:
        forge_kind(None, parse_git_url(HTTP), CiFacts(), {})
    assert caught.value.hint
    assert all(kind in caught.value.hint for kind in KINDS)


def test_forges_that_are_not_here_are_named() -> None:
    with Repository.open("/nowhere.git", GitAccess()) as repository:
        for kind in ("gitlab", "github"):
            with pytest.raises(UsageError, match=f"where the API of {kind} is"):
                open_forge(kind, repository, ME)
        with pytest.raises(UsageError, match="no forge 'gitlap'") as caught:
            open_forge("gitlap", repository, ME)
        assert caught.value.hint == "Did you mean 'gitlab'?"


@pytest.mark.parametrize("text", [b"not json", b"[1]", b'{"state": "open"}'])
def test_a_record_that_is_none_is_named(git_server: GitServer, text: bytes) -> None:
    git_server.create("config", {"record.json": text})
    bare = git_server.bare("config")
    run_git("--git-dir", bare, "update-ref", "refs/ci-gitops/merge-requests/1/record", "refs/heads/main")
    with Repository.open(str(bare), GitAccess()) as repository:
        forge = open_forge("local", repository, ME)
        with pytest.raises(ForgeError, match="refs/ci-gitops/merge-requests/1/record does not hold a"):
            forge.find()
