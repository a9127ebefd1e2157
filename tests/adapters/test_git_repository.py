from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters.git import GitAccess, Person, RefUpdate, Repository
from ci_gitops.errors import GitError, RefusedError
from tests.rig.git_server import GitServer

ME = Person("Ann Author", "ann@example.com")
FILES = {"apps/web/kustomization.yaml": b"images: []\n", "README.md": b"# Config\n", "bin/run": b"#!/bin/sh\n"}


def access(server: GitServer) -> GitAccess:
    return GitAccess(user=server.user, token=server.password, source="CI_GITOPS_TOKEN", ca_file=server.ca_file)


def opened(server: GitServer, name: str = "config", **options: object) -> Repository:
    return Repository.open(server.url(name), access(server), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("allow_filter", [True, False])
def test_a_file_is_read_changed_and_pushed(git_server: GitServer, allow_filter: bool) -> None:
    git_server.create("config", FILES, allow_filter=allow_filter)
    with opened(git_server) as repository:
        assert repository.default_branch() == "main"
        head = repository.fetch("main")
        assert set(repository.paths(head)) == set(FILES)
        assert repository.read(head, ["README.md", "missing.md", "apps"]) == {"README.md": b"# Config\n"}
        new = repository.commit(
            [head], {"README.md": b"# New\n", "a/b c": b"x"}, "Bump\n\nBody\n", author=ME, committer=ME
        )
        outcome = repository.push([RefUpdate("refs/heads/main", new)])
    assert outcome.landed
    assert git_server.head("config") == new
    assert git_server.read("config", "README.md") == b"# New\n"
    assert git_server.read("config", "a/b c") == b"x"
    assert git_server.read("config", "bin/run") == b"#!/bin/sh\n"
    assert git_server.messages("config")[0] == "Bump\n\nBody"


def test_a_lost_race_is_an_outcome(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with opened(git_server) as repository:
        head = repository.fetch("main")
        other = git_server.commit("config", {"other": b"x"})
        new = repository.commit([head], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        outcome = repository.push([RefUpdate("refs/heads/main", new)])
        assert not outcome.landed
        assert outcome.raced
        head = repository.fetch("main")
        assert head == other
        new = repository.commit([head], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed
        assert [commit.sha for commit in repository.log(new, 5)] == [new, other]
    assert git_server.read("config", "other") == b"x"


def test_a_hook_refuses_in_its_own_words(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.reject("config", "GitLab: You are not allowed to push code to protected branches on this project.")
    with opened(git_server) as repository:
        head = repository.fetch("main")
        new = repository.commit([head], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        with pytest.raises(RefusedError, match="not allowed to push code to protected branches"):
            repository.push([RefUpdate("refs/heads/main", new)])


def test_nothing_stays_behind(git_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    git_server.create("config", FILES)
    with opened(git_server) as repository:
        repository.fetch("main")
        folder = next(tmp_path.iterdir())
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_branch_offers_near_ones(git_server: GitServer) -> None:
    git_server.create("config", FILES, branch="production")
    with opened(git_server) as repository, pytest.raises(GitError, match="no branch 'prodution'") as caught:
        repository.fetch("prodution")
    assert caught.value.hint == "Did you mean 'production'?"
