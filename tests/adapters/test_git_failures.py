from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci_gitops import masking
from ci_gitops.adapters.git import GitAccess, Person, RefUpdate, Repository, private
from ci_gitops.adapters.git_access import access_for
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.errors import CiGitopsError, GitError, RefusedError, TemporaryError, UsageError
from tests.conftest import SEED
from tests.rig.git_server import GitServer

ME = Person("Ann", "ann@example.com")
FILES = {"README.md": b"# Config\n"}


def access(server: GitServer) -> GitAccess:
    return GitAccess(user=server.user, token=server.password, source="CI_GITOPS_TOKEN", ca_file=server.ca_file)


def bump(server: GitServer, opened: GitAccess | None = None, name: str = "config", **options: object) -> None:
    """One whole write; waits are left out."""
    waits: list[float] = []
    url = parse_git_url(server.url(name))
    with Repository(url, opened or access(server), wait=waits.append, **options) as repository:  # type: ignore[arg-type]
        head = repository.fetch("main")
        contents = repository.read(head, ["README.md"])["README.md"]
        new = repository.commit([head], {"README.md": contents + b"more\n"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed


def test_wrong_credentials_name_their_source(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    wrong = dataclasses.replace(access(git_server), token="glpat-expired-token")
    with pytest.raises(GitError, match="does not accept the credentials from CI_GITOPS_TOKEN") as caught:
        bump(git_server, wrong)
    assert "glpat" not in caught.value.message
    assert caught.value.hint
    assert "expired" in caught.value.hint


def test_missing_credentials_say_what_to_set(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with pytest.raises(GitError, match="wants credentials and there are none") as caught:
        bump(git_server, GitAccess())
    assert caught.value.hint
    assert "CI_GITOPS_TOKEN" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "told"), [("CI_GITOPS_TOKEN", "write_repository"), ("CI_JOB_TOKEN", "Allow Git push requests")]
)
def test_a_token_that_may_not_push_says_which_right_is_missing(git_server: GitServer, source: str, told: str) -> None:
    git_server.create("config", FILES)
    git_server.read_only = True
    with pytest.raises(GitError, match=f"does not allow this with {source}") as caught:
        bump(git_server, dataclasses.replace(access(git_server), source=source))
    assert caught.value.hint
    assert told in caught.value.hint
    assert git_server.messages("config") == ["First"]


def test_an_unknown_repository(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with pytest.raises(GitError, match=r"There is no repository at .*/confg\.git"):
        bump(git_server, name="confg")


def test_an_empty_repository(git_server: GitServer) -> None:
    git_server.create("config")
    with pytest.raises(GitError, match="is empty"):
        bump(git_server)


def test_an_unknown_host_is_temporary() -> None:
    url = parse_git_url("https://git.invalid/config.git")
    with Repository(url, GitAccess(), wait=lambda pause: None) as repository, pytest.raises(TemporaryError) as caught:
        repository.fetch("main")
    assert "git.invalid" in caught.value.message


def test_a_closed_port_is_temporary() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = parse_git_url(f"http://127.0.0.1:{taken.getsockname()[1]}/config.git")
        waits: list[float] = []
        with Repository(url, GitAccess(), wait=waits.append) as repository, pytest.raises(TemporaryError):
            repository.fetch("main")
    assert len(waits) == 2  # three tries


@pytest.mark.parametrize("where", ["info/refs", "git-upload-pack", "git-receive-pack"])
def test_a_server_that_hangs_is_given_up(git_server: GitServer, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "QUIET", 1)
    git_server.create("config", FILES)
    git_server.hang = where
    started = time.monotonic()
    with pytest.raises(TemporaryError):
        bump(git_server)
    assert time.monotonic() - started < 60
    assert git_server.messages("config") == ["First"]


def test_a_host_that_swallows_everything_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)  # takes connections and never answers
        url = parse_git_url(f"http://127.0.0.1:{silent.getsockname()[1]}/config.git")
        with Repository(url, GitAccess(), timeout=1.0) as repository, pytest.raises(TemporaryError, match="1 s"):
            repository.fetch("main")


def test_a_host_that_takes_no_connection_is_given_up() -> None:
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # more than its queue holds: what comes now gets no answer
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        url = parse_git_url(f"http://127.0.0.1:{full.getsockname()[1]}/config.git")
        with (
            Repository(url, GitAccess(), timeout=1.0) as repository,
            pytest.raises(TemporaryError, match="does not answer within 1 s"),
        ):
            repository.fetch("main")


def test_a_proxy_is_used(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    proxied = dataclasses.replace(access(git_server), environment={**os.environ, "http_proxy": git_server.base})
    with Repository.open("http://git.invalid/config.git", proxied) as repository:
        head = repository.fetch("main")
        assert repository.read(head, ["README.md"]) == FILES
    assert all(request.path.startswith("http://git.invalid/") for request in git_server.requests)


def test_trouble_that_passes_is_waited_out(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.statuses = [503, 502]
    bump(git_server)
    assert git_server.read("config", "README.md") == b"# Config\nmore\n"


def test_trouble_that_stays_is_temporary(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.statuses = [503] * 20
    with pytest.raises(TemporaryError, match="503"):
        bump(git_server)


def test_a_push_whose_answer_is_lost_has_landed(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.lose_answers = 1
    bump(git_server)
    assert git_server.messages("config") == ["Bump", "First"]


def test_a_redirect_to_another_host_gets_no_credentials(git_server: GitServer, tmp_path: Path) -> None:
    with GitServer(tmp_path) as elsewhere:
        elsewhere.create("config", FILES)
        git_server.redirect = elsewhere.base.replace("localhost", "127.0.0.1")
        with pytest.raises(GitError):
            bump(git_server)
        assert elsewhere.requests
        assert [request.authorization for request in elsewhere.requests if request.authorization] == []


def test_a_repository_that_was_renamed_is_followed(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.moved["old-name"] = "config"
    bump(git_server, name="old-name")
    assert git_server.read("config", "README.md") == b"# Config\nmore\n"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB for temporary files."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system of its own cannot be mounted here: run as root with CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(git_server: GitServer, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git_server.create("config", {**FILES, **{f"f/{number}": os.urandom(40_000) for number in range(50)}})
    monkeypatch.setattr("tempfile.tempdir", str(small))
    with Repository.open(git_server.url("config"), access(git_server)) as repository:
        head = repository.fetch("main")
        paths = repository.paths(head)
        with pytest.raises(GitError, match="no space left in") as caught:
            repository.read(head, paths)
    assert "TMPDIR" in (caught.value.hint or "")
    assert list(small.iterdir()) == []
    with contextlib.suppress(OSError), (small / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 4096):
            pass
    with pytest.raises(CiGitopsError, match="No temporary folder can be"):
        Repository.open(git_server.url("config"), access(git_server))
    assert [path.name for path in small.iterdir()] == ["filler"]
    assert git_server.messages("config") == ["First"]


def test_a_hook_cannot_write_to_the_terminal(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.reject("config", "\x1b[2J\x1b]0;title\x07Frozen until Monday\x1b[31m\r\nremote: second\n")
    with pytest.raises(RefusedError, match="Frozen until Monday") as caught:
        bump(git_server)
    assert "\x1b" not in caught.value.message
    assert "title" not in caught.value.message


def test_a_server_that_repeats_the_token_does_not_show_it(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.reject("config", f"You sent {git_server.password}")
    opened = access_for(git_server.url("config"), {"CI_GITOPS_TOKEN": git_server.password})
    with pytest.raises(RefusedError) as caught:
        bump(git_server, opened)
    assert masking.mask(caught.value.message) == caught.value.message.replace(git_server.password, masking.MASK)
    assert git_server.password not in masking.mask(caught.value.message)


def test_a_hook_whose_backend_is_away_is_temporary(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.reject("config", "GitLab: Internal API unreachable")
    with pytest.raises(TemporaryError, match="Internal API unreachable"):
        bump(git_server)


def test_a_branch_beside_its_own_name_is_no_race(git_server: GitServer) -> None:
    git_server.create("config", FILES, branch="ci-gitops")
    with Repository.open(git_server.url("config"), access(git_server)) as repository:
        head = repository.fetch("ci-gitops")
        with pytest.raises(GitError, match="cannot be made"):
            repository.push([RefUpdate("refs/heads/ci-gitops/staging/web", head, "")])


def test_a_shared_branch_is_not_rewritten(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with Repository.open(git_server.url("config"), access(git_server)) as repository:
        head = repository.fetch("main")
        rootless = repository.commit([], {"README.md": b"x"}, "Other", author=ME, committer=ME)
        with pytest.raises(RefusedError, match="shared"):
            repository.push([RefUpdate("refs/heads/main", rootless, head)])
        with pytest.raises(RefusedError, match="shared"):
            repository.push([RefUpdate("refs/heads/main", "", head)])
        assert not repository.push([RefUpdate("refs/heads/main", rootless)]).landed
    assert git_server.head("config") == head


def test_our_own_branch_is_rewritten_under_a_lease(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    ref = "refs/heads/ci-gitops/staging/web"
    with Repository.open(git_server.url("config"), access(git_server)) as repository:
        head = repository.fetch("main")
        one, two, three = (
            repository.commit([head], {"README.md": text}, "Own", author=ME, committer=ME)
            for text in (b"1", b"2", b"3")
        )
        assert repository.push([RefUpdate(ref, one, "")]).landed
        assert not repository.push([RefUpdate(ref, two, "")]).landed
        assert repository.push([RefUpdate(ref, two, one)]).landed
        outcome = repository.push([RefUpdate(ref, three, one)])
        assert not outcome.landed
        assert "stale info" in (outcome.raced or "")
        assert repository.push([RefUpdate(ref, "", two)]).landed
    assert ref not in git_server.refs("config")


def test_a_race_between_listing_and_pushing(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    with Repository.open(git_server.url("config"), access(git_server)) as repository:
        head = repository.fetch("main")
        new = repository.commit([head], {"README.md": b"x"}, "Bump", author=ME, committer=ME)
        git_server.before_push = lambda: git_server.commit("config", {"other": b"y"}) and None
        outcome = repository.push([RefUpdate("refs/heads/main", new), RefUpdate("refs/heads/ci-gitops/a", new, "")])
    assert not outcome.landed
    assert outcome.raced
    assert "refs/heads/ci-gitops/a" not in git_server.refs("config")
    assert git_server.messages("config") == ["Change", "First"]


def test_nothing_of_the_users_settings_acts(
    git_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = tmp_path / "spy"
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("pre-push", "reference-transaction", "post-checkout"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {spy}\n")
        (hooks / hook).chmod(0o755)
    bad = f'[core]\nhooksPath = {hooks}\nsshCommand = touch {spy}\n[credential]\nhelper = "!touch {spy}"\n'
    (home / ".gitconfig").write_text(bad)
    for name, value in {
        "HOME": str(home), "GIT_DIR": str(tmp_path), "GIT_TRACE": "1", "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": str(hooks), "GIT_PROXY_COMMAND": f"touch {spy}",
        "GIT_EXTERNAL_DIFF": f"touch {spy}", "LANGUAGE": "de", "LC_ALL": "de_DE.UTF-8", "GIT_TEMPLATE_DIR": str(hooks),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    git_server.create("config", FILES)
    bump(git_server)
    assert not spy.exists()


def test_no_secret_in_an_argument_list_or_a_file(git_server: GitServer) -> None:
    git_server.create("config", FILES)
    git_server.password = f"glpat-of-this-test-alone-{os.getpid()}"
    seen: list[str] = []

    def look() -> None:
        for file in (*Path("/proc").glob("[0-9]*/cmdline"), *Path(tempfile.gettempdir()).glob("ci-gitops-git-*/**/*")):
            with contextlib.suppress(OSError):
                seen.append(file.read_bytes().decode(errors="replace"))

    git_server.before_push = look
    bump(git_server)
    assert any("git\0push" in text for text in seen)
    assert any(text.startswith("#!/bin/sh\nplace=") for text in seen)
    assert not any(git_server.password in text for text in seen)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_leaves_neither_process_nor_folder(
    git_server: GitServer, tmp_path: Path, sent: signal.Signals
) -> None:
    git_server.create("config", FILES)
    git_server.hang = "git-upload-pack"
    program = textwrap.dedent(
        """
        import signal, sys
        from ci_gitops.adapters.git import GitAccess, Repository
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with Repository.open(sys.argv[1], GitAccess(user=sys.argv[2], token=sys.argv[3])) as repository:
            repository.fetch("main")
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, git_server.url("config"), git_server.user, git_server.password],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "PYTHONPATH": os.getcwd()},  # noqa: PTH109
        stderr=subprocess.DEVNULL,
    )
    _until(lambda: any(request.path.endswith("git-upload-pack") for request in git_server.requests))
    assert _children_in(tmp_path)
    process.send_signal(sent)
    process.wait(20)
    assert list(tmp_path.iterdir()) == []
    _until(lambda: _children_in(tmp_path) == [])


@pytest.mark.parametrize("runs", [8, pytest.param(60, marks=pytest.mark.full)])
def test_whenever_it_is_interrupted(git_server: GitServer, tmp_path: Path, runs: int) -> None:
    git_server.create("config", FILES)
    program = textwrap.dedent(
        """
        import signal, sys
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        from ci_gitops.adapters.git import GitAccess, Repository
        print("ready", flush=True)
        while True:
            with Repository.open(sys.argv[1], GitAccess(user=sys.argv[2], token=sys.argv[3])) as repository:
                repository.read(repository.fetch("main"), ["README.md"])
        """
    )
    moment = random.Random(SEED)
    for _ in range(runs):
        process = subprocess.Popen(
            [sys.executable, "-c", program, git_server.url("config"), git_server.user, git_server.password],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "PYTHONPATH": os.getcwd()},  # noqa: PTH109
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout
        with process.stdout as ready:
            ready.readline()
        time.sleep(moment.uniform(0, 0.5))
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert list(tmp_path.iterdir()) == []
        _until(lambda: _children_in(tmp_path) == [])


def test_what_a_killed_run_left_is_removed_by_the_next(
    git_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_server.create("config", FILES)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = textwrap.dedent(
        """
        import os, signal, sys
        from ci_gitops.adapters.git import GitAccess, Repository
        Repository.open(sys.argv[1], GitAccess())
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    subprocess.run([sys.executable, "-c", program, git_server.url("config")], env=env, check=False)
    (left,) = tmp_path.iterdir()
    with Repository.open(git_server.url("config"), access(git_server)):
        (living,) = set(tmp_path.iterdir()) - {left}
        for folder in (left, living):
            os.utime(folder, (0, 0))
        bump(git_server)
        assert list(tmp_path.iterdir()) == [living]
    assert list(tmp_path.iterdir()) == []


def _children_in(folder: Path) -> list[int]:
    """The processes that stand in a folder below `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(entry.readlink()).startswith(str(folder)):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "url", ["-x", "--upload-pack=touch x", "ext::sh -c id", "ftp://host/x", "https:///x", "https://ho st/x", "fd::3"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError):
        Repository.open(url, GitAccess())


def test_missing_git_is_said(tmp_path: Path) -> None:
    (tmp_path / "env").symlink_to("/usr/bin/env")
    with (
        pytest.MonkeyPatch.context() as patch,
        Repository.open(str(tmp_path), GitAccess(environment={"PATH": str(tmp_path)})) as repository,
    ):
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(CiGitopsError, match="'git' is not installed"):
            repository.fetch("main")
