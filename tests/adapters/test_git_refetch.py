"""Fetching a branch again: only what is new, contents included, whatever the server can."""

from __future__ import annotations

import pytest

from ci_gitops.adapters.git import GitAccess, Repository
from tests.rig.git_server import GitServer


@pytest.mark.parametrize("allow_filter", [True, False])
def test_the_second_fetch_brings_what_is_new_in_one_conversation(git_server: GitServer, allow_filter: bool) -> None:
    git_server.anonymous = True
    many = {f"f/{number}": b"%d" % number * 500 for number in range(200)}
    url = git_server.create("config", {"a": b"1\n", **many}, allow_filter=allow_filter)
    for number in range(5):
        git_server.commit("config", {"old": b"%d\n" % number})
    with Repository.open(url, GitAccess()) as repository:
        first = repository.fetch("main")
        new = [git_server.commit("config", {"a": b"%d\n" % number}) for number in (2, 3)]
        asked = len(git_server.requests)
        second = repository.fetch("main")
        assert repository.read(second, ["a"]) == {"a": b"3\n"}
        posts = [each for each in git_server.requests[asked:] if each.method == "POST"]
        assert len(posts) == 2  # the refs, and all that is new
        assert [commit.sha for commit in repository.log(second, 10)] == [new[1], new[0], first]
