from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ci_gitops.adapters.git import Person, RefUpdate, Repository
from ci_gitops.adapters.git_access import access_for
from ci_gitops.errors import GitError, UsageError
from tests.rig.ssh_server import SshServer, make_key

ME = Person("Ann", "ann@example.com")
FILES = {"README.md": b"# Config\n"}


@pytest.fixture
def url(ssh_server: SshServer, request: pytest.FixtureRequest) -> str:
    return ssh_server.create(re.sub(r"[^a-z_]", "-", request.node.name), FILES)


def bump(url: str, environ: dict[str, str]) -> str:
    with Repository.open(url, access_for(url, environ)) as repository:
        head = repository.fetch("main")
        assert repository.read(head, ["README.md"]) == FILES
        new = repository.commit([head], {"README.md": b"# New\n"}, "Bump", author=ME, committer=ME)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed
        return new


@pytest.mark.parametrize("spoil", ["as it is", "crlf", "no last newline", "cr only", "blank lines around"])
def test_a_key_from_a_variable_however_it_was_pasted(url: str, ssh_server: SshServer, spoil: str) -> None:
    key = {
        "as it is": ssh_server.private_key,
        "crlf": ssh_server.private_key.replace("\n", "\r\n"),
        "no last newline": ssh_server.private_key.rstrip("\n"),
        "cr only": ssh_server.private_key.replace("\n", "\r"),
        "blank lines around": f"\n  {ssh_server.private_key}\n\n",
    }[spoil]
    bump(url, {"GITLAB_ID_RSA": key, "SSH_KNOWN_HOSTS": ssh_server.known_hosts.replace("\n", "\r\n")})


def test_key_and_host_keys_as_files(url: str, ssh_server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(ssh_server.known_hosts)
    key = ssh_server.root / "user_key"
    bump(url, {"GITLAB_ID_RSA": str(key), "SSH_KNOWN_HOSTS": str(tmp_path / "hosts")})


def test_host_keys_of_the_user(url: str, ssh_server: SshServer, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/known_hosts").write_text(ssh_server.known_hosts)
    bump(url, {"GITLAB_ID_RSA": ssh_server.private_key, "HOME": str(tmp_path)})


def test_an_unknown_host_is_refused_with_the_line_to_add(url: str, ssh_server: SshServer) -> None:
    environ = {"GITLAB_ID_RSA": ssh_server.private_key}
    with Repository.open(url, access_for(url, environ)) as repository, pytest.raises(GitError) as caught:
        repository.fetch("main")
    assert "is not known" in caught.value.message
    assert caught.value.hint
    assert ssh_server.known_hosts.strip() in caught.value.hint
    assert "SSH_KNOWN_HOSTS" in caught.value.hint
    bump(url, {**environ, "SSH_KNOWN_HOSTS": caught.value.hint.splitlines()[-1].strip()})


def test_an_unknown_host_is_accepted_where_asked(url: str, ssh_server: SshServer) -> None:
    bump(url, {"GITLAB_ID_RSA": ssh_server.private_key, "CI_GITOPS_SSH_HOST_KEYS": "accept-new"})


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_changed_host_key_is_never_accepted(url: str, ssh_server: SshServer, tmp_path: Path, policy: str) -> None:
    other = make_key(tmp_path / "other")
    environ = {
        "GITLAB_ID_RSA": ssh_server.private_key,
        "SSH_KNOWN_HOSTS": f"[127.0.0.1]:{ssh_server.port} {other}",
        "CI_GITOPS_SSH_HOST_KEYS": policy,
    }
    with (
        Repository.open(url, access_for(url, environ)) as repository,
        pytest.raises(GitError, match="another host key than the known one") as caught,
    ):
        repository.fetch("main")
    assert ssh_server.host_key not in f"{caught.value.message} {caught.value.hint}"


def test_a_key_that_may_not_log_in(url: str, ssh_server: SshServer, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    environ = {"GITLAB_ID_RSA": (tmp_path / "stranger").read_text(), "SSH_KNOWN_HOSTS": ssh_server.known_hosts}
    with (
        Repository.open(url, access_for(url, environ)) as repository,
        pytest.raises(GitError, match="does not accept the credentials from GITLAB_ID_RSA") as caught,
    ):
        repository.fetch("main")
    assert caught.value.hint
    assert "deploy key" in caught.value.hint


def test_a_repository_that_is_not_there(url: str, ssh_server: SshServer) -> None:
    environ = {"GITLAB_ID_RSA": ssh_server.private_key, "SSH_KNOWN_HOSTS": ssh_server.known_hosts}
    with (
        Repository.open(f"{url}-not", access_for(url, environ)) as repository,
        pytest.raises(GitError, match="There is no repository at"),
    ):
        repository.fetch("main")


def test_a_public_key_is_refused_before_any_server_is_asked(url: str, ssh_server: SshServer) -> None:
    for wrong in ("ssh-ed25519 AAAA comment", str(ssh_server.root / "user_key.pub"), "/not/there"):
        with pytest.raises(UsageError, match="GITLAB_ID_RSA"):
            access_for(url, {"GITLAB_ID_RSA": wrong})


@pytest.mark.parametrize(("kind", "words"), [("ed25519", ()), ("rsa", ()), ("rsa", ("-m", "PEM"))])
def test_a_key_with_a_passphrase_is_refused(tmp_path: Path, kind: str, words: tuple[str, ...]) -> None:
    make_key(tmp_path / "key", kind)
    access_for("git@h:p", {"GITLAB_ID_RSA": str(tmp_path / "key")})
    change = ["ssh-keygen", "-q", "-p", *words, "-P", "", "-N", "open sesame", "-f", str(tmp_path / "key")]
    subprocess.run(change, check=True, capture_output=True)
    with pytest.raises(UsageError, match="GITLAB_ID_RSA has a passphrase"):
        access_for("git@h:p", {"GITLAB_ID_RSA": str(tmp_path / "key")})


def test_a_key_that_was_cut(url: str, ssh_server: SshServer) -> None:
    lines = ssh_server.private_key.splitlines()
    environ = {"GITLAB_ID_RSA": "\n".join([*lines[:2], *lines[3:]]), "SSH_KNOWN_HOSTS": ssh_server.known_hosts}
    with (
        Repository.open(url, access_for(url, environ)) as repository,
        pytest.raises(GitError, match="ssh cannot read the key from GITLAB_ID_RSA"),
    ):
        repository.fetch("main")


def test_values_cannot_become_commands(url: str, ssh_server: SshServer, tmp_path: Path) -> None:
    spy = tmp_path / "spy"
    strange = tmp_path / f"tmp $(touch {spy.name}) ' %h"
    strange.mkdir()
    environ = {
        "GITLAB_ID_RSA": ssh_server.private_key,
        "SSH_KNOWN_HOSTS": ssh_server.known_hosts + f"\nProxyCommand touch {spy}\n",
        "TMPDIR": str(strange),
        "HOME": str(strange),
        "GIT_SSH_COMMAND": f"touch {spy}",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(strange))
        patch.setenv("GIT_SSH_COMMAND", f"touch {spy}")
        bump(url, environ)
    assert not spy.exists()
    assert list(strange.iterdir()) == []
