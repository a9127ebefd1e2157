from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ci_gitops.adapters.git import GitAccess, Person, RefUpdate, Repository
from ci_gitops.errors import EditError, GitError, RefusedError
from tests.rig.git_server import BareRepositories, GitServer, run_git

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
        first = repository.fetch("main")
        other = git_server.commit("config", {"other": b"x"})
        new = repository.commit([first], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        outcome = repository.push([RefUpdate("refs/heads/main", new)])
        assert not outcome.landed
        assert outcome.raced
        head = repository.fetch("main")
        assert head == other
        new = repository.commit([head], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed
        assert [commit.sha for commit in repository.log(new, 5)] == [new, other, first]
    assert git_server.read("config", "other") == b"x"


def test_a_lost_race_of_several_refs_is_an_outcome(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with opened(git_server) as repository:
        head = repository.fetch("main")

        def first() -> None:
            run_git("--git-dir", git_server.bare("config"), "update-ref", "refs/ci-gitops/one", head)

        git_server.before_push = first
        updates = [RefUpdate(f"refs/ci-gitops/{name}", head, "") for name in ("one", "two")]
        assert repository.push(updates).raced
    assert "refs/ci-gitops/two" not in git_server.refs("config")


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


def _history(server: GitServer, count: int, name: str = "config") -> list[str]:
    """So many commits on top; their ids, oldest first."""
    return server.history(name, [(f"Change {number}", {"counter": str(number).encode()}) for number in range(count)])


@pytest.mark.parametrize("allow_filter", [True, False])
def test_history_is_deepened_in_steps(git_server: GitServer, allow_filter: bool) -> None:
    git_server.create("config", FILES, allow_filter=allow_filter)
    commits = _history(git_server, 8)
    with opened(git_server) as repository:
        head = repository.fetch("main")
        (only,) = repository.log(head, 100)
        assert (only.sha, only.shallow, only.parents) == (commits[-1], True, ())
        git_server.commit("config", {"counter": b"moved"})
        assert repository.deepen("main", 3)
        known = repository.log(head, 100)
        assert [commit.subject for commit in known] == ["Change 7", "Change 6", "Change 5", "Change 4"]
        assert [commit.shallow for commit in known] == [False, False, False, True]
        assert repository.deepen("main", 100)
        assert not repository.deepen("main", 100)
        assert [commit.shallow for commit in repository.log(head, 100)] == [False] * 9
        fresh = repository.fetch("main")
        assert repository.read(fresh, ["README.md"])
        git_server.requests.clear()
        new = repository.commit([fresh], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed
    posts = [request.path for request in git_server.requests if request.method == "POST"]
    assert posts == ["/config.git/git-receive-pack"]


def test_a_commit_that_came_with_history_only_can_be_written_upon(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    commits = _history(git_server, 4)
    with opened(git_server) as repository:
        repository.fetch("main")
        assert repository.deepen("main", 10)
        run_git("--git-dir", git_server.bare("config"), "update-ref", "refs/heads/old", commits[1])
        old = repository.fetch("old")
        assert old == commits[1]
        assert repository.read(old, ["counter", "README.md"]) == {"counter": b"1", "README.md": b"# Config\n"}
        new = repository.commit([old], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/old", new)]).landed
    assert git_server.read("config", "README.md", "old") == b"# New\n"
    assert git_server.read("config", "counter", "old") == b"1"


def test_ancestors_are_looked_for_beyond_a_shallow_root(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    first = git_server.head("config")
    assert first
    run_git("--git-dir", git_server.bare("config"), "update-ref", "refs/heads/side", first)
    side = git_server.commit("config", {"side": b"x"}, branch="side")
    _history(git_server, 5)
    with opened(git_server) as repository:
        head = repository.fetch("main")
        assert repository.is_ancestor(first, head) is True
        assert repository.is_ancestor(head, first) is False
        assert repository.is_ancestor(side, head) is False
        assert repository.is_ancestor(head, head) is True


def test_a_real_merge_beyond_shallow_roots(git_server: GitServer) -> None:
    git_server.create("config", {**FILES, "list": b"a\nb\nc\nd\ne\nf\ng\n"})
    run_git("--git-dir", git_server.bare("config"), "branch", "side", "main")
    git_server.commit("config", {"list": b"a\nb\nc\nd\ne\nf\nG\n"}, branch="side")
    git_server.commit("config", {"list": b"A\nb\nc\nd\ne\nf\ng\n"})
    _history(git_server, 60)
    with opened(git_server) as repository:
        ours, theirs = repository.fetch("main"), repository.fetch("side")
        merged = repository.merge(ours, theirs, "Merge side", author=ME, committer=ME)
        assert merged.sha
        assert repository.read(merged.sha, ["list"]) == {"list": b"A\nb\nc\nd\ne\nf\nG\n"}
        assert repository.log(merged.sha, 1)[0].parents == (ours, theirs)
        squashed = repository.merge(ours, theirs, "Squash side", author=ME, committer=ME, squash=True)
        assert squashed.sha
        assert repository.log(squashed.sha, 1)[0].parents == (ours,)
        assert repository.merge(merged.sha, theirs, "Again", author=ME, committer=ME).sha == merged.sha
        assert repository.push([RefUpdate("refs/heads/main", merged.sha)]).landed
    assert git_server.read("config", "counter") == b"59"


def test_a_merge_names_the_paths_that_conflict(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    run_git("--git-dir", git_server.bare("config"), "branch", "side", "main")
    git_server.commit("config", {"README.md": b"one\n"}, branch="side")
    git_server.commit("config", {"README.md": b"two\n"})
    with opened(git_server) as repository:
        merged = repository.merge(repository.fetch("main"), repository.fetch("side"), "Merge", author=ME, committer=ME)
    assert merged.sha is None
    assert merged.conflicts == ("README.md",)


def test_many_refs_are_read_in_one_conversation(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with opened(git_server) as repository:
        made = {}
        for number in range(5):
            sha = repository.commit([], {"record": str(number).encode()}, "Record", author=ME, committer=ME)
            made[f"refs/ci-gitops/records/{number}"] = sha
        outcome = repository.push([RefUpdate(ref, sha, "") for ref, sha in made.items()])
        assert outcome.landed
        assert not repository.push([RefUpdate(ref, sha, "") for ref, sha in made.items()]).raced
    with opened(git_server) as repository:
        git_server.requests.clear()
        read = repository.read_refs(list(made), "record")
        assert read == {ref: (sha, ref[-1:].encode()) for ref, sha in made.items()}
        assert sum(request.method == "POST" for request in git_server.requests) == 2
        assert repository.read_refs(list(made)[:1], "other") == {next(iter(made)): (next(iter(made.values())), None)}


def test_many_writers_on_one_branch_all_land(git_server: GitServer) -> None:
    """Threads stand for processes here: each has a repository of its own."""
    git_server.create("config", FILES)

    def write(number: int) -> int:
        with opened(git_server) as repository:
            for attempt in range(1, 40):
                head = repository.fetch("main")
                text = repository.read(head, ["README.md"])["README.md"] + f"{number}\n".encode()
                new = repository.commit([head], {"README.md": text}, f"Write {number}", author=ME, committer=ME)
                if repository.push([RefUpdate("refs/heads/main", new)]).landed:
                    return attempt
            raise AssertionError("never landed")

    with ThreadPoolExecutor(8) as pool:
        attempts = list(pool.map(write, range(8)))
    assert max(attempts) > 1
    lines = git_server.read("config", "README.md").decode().splitlines()[1:]
    assert sorted(lines, key=int) == [str(number) for number in range(8)]
    assert len(git_server.messages("config")) == 9


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
@pytest.mark.parametrize("allow_filter", [True, False])
def test_the_default_branch_comes_in_one_conversation(
    git_server: GitServer, allow_filter: bool, object_format: str
) -> None:
    git_server.create("config", FILES, branch="trunk", allow_filter=allow_filter, object_format=object_format)
    git_server.commit("config", {"counter": b"1"}, branch="trunk")
    with opened(git_server) as repository:
        assert repository.fetch_default() == "trunk"
        asked = len(git_server.requests)
        assert asked == 4  # refused, let in, refs, objects
        head = repository.fetch("trunk")
        assert len(git_server.requests) == asked
        assert head == git_server.head("config", "trunk")
        assert repository.read(head, ["README.md"]) == {"README.md": b"# Config\n"}
        other = git_server.commit("config", {"other": b"1"}, branch="trunk")
        assert repository.fetch("trunk") == other
        new = repository.commit([other], {"README.md": b"x"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/trunk", new)]).landed
        assert repository.deepen("trunk", 10)
        assert len(repository.log(new, 10)) == 4


def test_what_was_fetched_stays_when_the_default_branch_is_asked_again(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with opened(git_server) as repository:
        assert repository.fetch_default() == "main"
        head = repository.fetch("main")
        git_server.commit("config", {"README.md": b"newer"})
        assert repository.fetch_default() == "main"
        assert repository.read(head, ["README.md"]) == {"README.md": b"# Config\n"}
        assert repository.fetch("main") != head


def test_a_branch_is_fetched_to_be_deepened(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    _history(git_server, 3)
    with opened(git_server) as repository:
        assert repository.deepen("main", 2)
        assert len(repository.log(repository.fetch("main"), 9)) == 3


def test_repositories_without_a_default_branch(git_server: GitServer) -> None:
    git_server.create("empty")
    git_server.create("detached", FILES)
    run_git("--git-dir", git_server.bare("detached"), "update-ref", "--no-deref", "HEAD", git_server.head("detached"))
    with opened(git_server, "empty") as repository:
        with pytest.raises(GitError, match="it is empty"):
            repository.fetch_default()
        with pytest.raises(GitError, match="it is empty"):
            repository.default_branch()
    with opened(git_server, "detached") as repository, pytest.raises(GitError, match="names no branch"):
        repository.default_branch()


def test_a_repository_on_this_machine(tmp_path: Path) -> None:
    repositories = BareRepositories(tmp_path)
    path = repositories.create("config", FILES)
    for url in (path, f"file://{path}"):
        with Repository.open(url, GitAccess()) as repository:
            assert repository.fetch_default() == "main"
            head = repository.fetch("main")
            new = repository.commit([head], {"README.md": url.encode()}, "Bump", author=ME, committer=ME)
            assert repository.push([RefUpdate("refs/heads/main", new)]).landed
        assert repositories.read("config", "README.md") == url.encode()
    repositories.reject("config", "Not on a Friday")
    with Repository.open(path, GitAccess()) as repository, pytest.raises(RefusedError, match="Not on a Friday"):
        repository.push([RefUpdate("refs/heads/ci-gitops/x", repository.fetch("main"), "")])


def test_a_checkout_is_not_pulled_from_under_its_user(tmp_path: Path) -> None:
    repositories = BareRepositories(tmp_path)
    checkout = tmp_path / "checkout"
    run_git("clone", "--quiet", repositories.create("config", FILES), checkout)
    with Repository.open(str(checkout), GitAccess()) as repository:
        head = repository.fetch("main")
        new = repository.commit([head], {"README.md": b"x"}, "Bump", author=ME, committer=ME)
        with pytest.raises(RefusedError, match="checked out"):
            repository.push([RefUpdate("refs/heads/main", new)])


def test_a_shallow_checkout_can_be_read(git_server: GitServer, tmp_path: Path) -> None:
    git_server.create("config", FILES)
    path = str(git_server.bare("config"))
    _history(git_server, 4)
    run_git("clone", "--quiet", "--depth=2", f"file://{path}", tmp_path / "shallow")
    with Repository.open(str(tmp_path / "shallow"), GitAccess()) as repository:
        head = repository.fetch("HEAD")
        assert repository.read(head, ["counter"]) == {"counter": b"3"}
        repository.deepen("HEAD", 100)
        assert [commit.shallow for commit in repository.log(head, 100)] == [False, True]


def test_sha256_repositories(tmp_path: Path) -> None:
    repositories = BareRepositories(tmp_path)
    url = repositories.create("config", FILES, object_format="sha256")
    with Repository.open(url, GitAccess()) as repository:
        head = repository.fetch("main")
        assert len(head) == 64
        assert repository.read(head, ["README.md"]) == {"README.md": b"# Config\n"}
        new = repository.commit([head], {"README.md": b"x"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed


def _with_links(repositories: BareRepositories) -> str:
    """A repository with symbolic links of each kind."""
    links = {
        "link": "apps/web/kustomization.yaml", "folder": "apps/web", "out": "../../etc/passwd", "abs": "/etc/passwd",
        "loop": "loop", "dangling": "nowhere", "apps/up": "../README.md", "chain": "apps/up", "self": ".",
    }  # fmt: skip
    url = repositories.create("config", FILES)
    text = "".join(f"M 120000 inline {path}\ndata {len(target)}\n{target}\n" for path, target in links.items())
    head = "commit refs/heads/main\ncommitter S <s@example.com> 1 +0000\ndata 0\nfrom refs/heads/main^0\n"
    run_git("--git-dir", repositories.bare("config"), "fast-import", "--quiet", stdin=(head + text).encode())
    return url


def test_links_lead_no_further_than_the_tree(tmp_path: Path) -> None:
    with Repository.open(_with_links(BareRepositories(tmp_path)), GitAccess()) as repository:
        head = repository.fetch("main")
        resolved = {
            path: repository.resolve(head, path)
            for path in ("link", "folder/kustomization.yaml", "chain", "self/README.md", "README.md", "out", "abs",
                         "loop", "dangling", "folder", "README.md/x", "self/self/loop")
        }  # fmt: skip
        assert resolved == {
            "link": "apps/web/kustomization.yaml",
            "folder/kustomization.yaml": "apps/web/kustomization.yaml",
            "chain": "README.md",
            "self/README.md": "README.md",
            "README.md": "README.md",
            **dict.fromkeys(("out", "abs", "loop", "dangling", "folder", "README.md/x", "self/self/loop")),
        }
        assert repository.read(head, ["link", "out"]) == {"link": b"images: []\n"}
        entry = repository.entry(head, "link")
        assert entry
        assert entry.mode == "120000"
        with pytest.raises(EditError, match="symbolic link"):
            repository.commit([head], {"link": b"x"}, "Bump", author=ME, committer=ME)


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/./b", ".git/config", "a/.GIT/x", "", "a\0b", "a/.."])
def test_paths_that_no_commit_may_hold(tmp_path: Path, path: str) -> None:
    with Repository.open(BareRepositories(tmp_path).create("config", FILES), GitAccess()) as repository:
        head = repository.fetch("main")
        with pytest.raises(EditError, match="cannot be a path"):
            repository.commit([head], {path: b"x"}, "Bump", author=ME, committer=ME)


def test_modes_stay_names_are_cleaned_and_files_go(tmp_path: Path) -> None:
    repositories = BareRepositories(tmp_path)
    url = repositories.create("config", FILES)
    run_git("--git-dir", repositories.bare("config"), "fast-import", "--quiet", stdin=(
        b"commit refs/heads/main\ncommitter S <s@example.com> 1 +0000\ndata 0\nfrom refs/heads/main^0\n"
        b"M 100755 inline bin/run\ndata 2\n#!\n"))  # fmt: skip
    strange = 'quo"te\\back\u00e9\nline'
    with Repository.open(url, GitAccess()) as repository:
        head = repository.fetch("main")
        files = {"bin/run": b"new", "README.md": None, strange: b"1", "\U0001f600": b"2"}
        odd = Person(" Ann <x>\nB\0ob ", "<ann@example.com>\n")
        new = repository.commit([head], files, "Ümläut", author=odd, committer=ME)
        entry = repository.entry(new, "bin/run")
        assert entry
        assert entry.mode == "100755"
        assert set(repository.paths(new)) == {"bin/run", "apps/web/kustomization.yaml", strange, "\U0001f600"}
        commit = repository.log(new, 1)[0]
        assert (commit.author, commit.email, commit.subject) == ("Ann x B ob", "ann@example.com", "Ümläut")
        assert repository.log(new, 5, ["bin/run"])[0].sha == new
        with pytest.raises(GitError, match="needs a name and an address"):
            repository.commit([new], {"a": b""}, "x", author=Person("", "a@b"), committer=ME)


def test_push_options_reach_the_server(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.hook("config", 'echo "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0" >&2')
    with opened(git_server) as repository:
        head = repository.fetch("main")
        options = ["merge_request.title=A b; c"]
        outcome = repository.push([RefUpdate("refs/heads/ci-gitops/x", head, "")], options=options)
    assert outcome.messages == ("1 merge_request.title=A b; c",)


@pytest.mark.parametrize("allow_filter", [True, False])
def test_files_come_back_as_they_were(git_server: GitServer, allow_filter: bool) -> None:
    """With their modes, as links, and where a folder stands in the place of a file by now."""
    git_server.create("config", FILES, allow_filter=allow_filter)
    folder = git_server.bare("config")
    stream = (
        "commit refs/heads/main\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n"
        "M 100755 inline bin/run\ndata 3\nold\nM 120000 inline link\ndata 7\nbin/run\nM 100644 inline a\ndata 1\nx\n"
    )
    run_git("--git-dir", folder, "fast-import", "--quiet", stdin=stream.encode())
    good = git_server.head("config") or ""
    mine = git_server.commit("config", {"bin/run": b"new", "a": None, "a/b": b"y"}, "Mine")
    git_server.commit("config", {"other": b"z"}, "Other")
    paths = ["bin/run", "link", "a", "a/b", "missing"]
    with opened(git_server) as repository:
        head = repository.fetch("main")
        then = repository.whole(repository.fetch(good), paths)
        assert (then["bin/run"].mode, then["link"].mode, then["link"].content) == ("100755", "120000", b"bin/run")
        assert [commit.sha for commit in repository.touching(paths, head, good)] == [mine]
        files = {path: then.get(path) for path in ("bin/run", "link", "a", "a/b")}
        new = repository.commit([head], files, "Back", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed
    listed = run_git("--git-dir", folder, "diff-tree", "-r", "--name-only", good, "main").split()
    assert listed == ["other"]
