from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci_gitops.adapters.git import Person, RefUpdate, Repository
from ci_gitops.adapters.git_access import access_for, signing_key
from ci_gitops.errors import GitError, UsageError
from tests.rig.cli import Cli
from tests.rig.git_server import BareRepositories
from tests.rig.parts import program
from tests.rig.ssh_server import make_key

ME = Person("Ann Author", "ann@example.com")
PASSPHRASE = "open sesame, please"


@pytest.fixture
def bare(tmp_path: Path) -> BareRepositories:
    repositories = BareRepositories(tmp_path)
    repositories.create("config", {"README.md": b"# Config\n"})
    return repositories


def signed(bare: BareRepositories, kind: str, environ: dict[str, str]) -> str:
    """A signed commit on main; its id."""
    key = signing_key(kind, environ)  # type: ignore[arg-type]
    url = bare.url("config")
    with Repository.open(url, access_for(url, environ)) as repository:
        head = repository.fetch("main")
        new = repository.commit([head], {"a": b"1"}, "One\n\nBody\n", author=ME, committer=ME, sign=key)
        new = repository.commit([new], {"a": b"2"}, "Two", author=ME, committer=ME, sign=key)
        assert repository.push([RefUpdate("refs/heads/main", new)]).landed
    assert bare.messages("config") == ["Two", "One\n\nBody", "First"]
    return new


def verify(bare: BareRepositories, commit: str, *settings: str, repository: str = "config", **variables: str) -> str:
    words = ["git", "--git-dir", str(bare.bare(repository)), *settings, "verify-commit", "--raw", commit]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **variables}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_ssh(bare: BareRepositories, tmp_path: Path, passphrase: str) -> None:
    public = make_key(tmp_path / "key")
    if passphrase:
        words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", str(tmp_path / "key")]
        subprocess.run(words, check=True, capture_output=True)
    key = (tmp_path / "key").read_text().replace("\n", "\r\n")
    environ = {"CI_GITOPS_SIGNING_KEY": key, "CI_GITOPS_SIGNING_PASSPHRASE": passphrase}
    commit = signed(bare, "ssh", environ)
    (tmp_path / "allowed").write_text(f"ann@example.com {public}\n")
    said = verify(bare, commit, "-c", f"gpg.ssh.allowedSignersFile={tmp_path}/allowed")
    assert 'Good "git" signature for ann@example.com' in said


@dataclass(frozen=True)
class GpgKey:
    home: Path
    text: str
    passphrase: str


@pytest.fixture(scope="module", params=[PASSPHRASE, pytest.param("", marks=pytest.mark.full)])
def gpg_key(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[GpgKey]:
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    passphrase: str = request.param
    program("gpg", "apt-get install gnupg")
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase]
    words = [*gpg, "--quick-generate-key", "Ann Author <ann@example.com>", "ed25519", "sign", "never"]
    subprocess.run(words, check=True, capture_output=True)
    exported = subprocess.run([*gpg, "--armor", "--export-secret-keys"], check=True, capture_output=True, text=True)
    yield GpgKey(home, exported.stdout, passphrase)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, capture_output=True)


def test_gpg(bare: BareRepositories, tmp_path: Path, gpg_key: GpgKey) -> None:
    (tmp_path / "key.asc").write_text(gpg_key.text)
    environ = {
        "CI_GITOPS_SIGNING_KEY": str(tmp_path / "key.asc"),
        "CI_GITOPS_SIGNING_PASSPHRASE": gpg_key.passphrase,
        "PATH": os.environ["PATH"],
    }
    before = _agents()
    commit = signed(bare, "gpg", environ)
    assert _agents() <= before
    assert "GOODSIG" in verify(bare, commit, GNUPGHOME=str(gpg_key.home))


def test_a_wrong_passphrase(bare: BareRepositories, gpg_key: GpgKey) -> None:
    if gpg_key.passphrase:
        environ = {"CI_GITOPS_SIGNING_KEY": gpg_key.text, "CI_GITOPS_SIGNING_PASSPHRASE": "wrong one"}
        with pytest.raises(GitError, match="cannot be signed with the key in CI_GITOPS_SIGNING_KEY"):
            signed(bare, "gpg", environ)
        assert bare.messages("config") == ["First"]


def _agents() -> set[str]:
    found = set()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"gpg-agent" in command.read_bytes():
                found.add(command.parent.name)
        except OSError:
            continue
    return found


def test_keys_that_are_none(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    for kind, environ, told in (
        ("ssh", {}, "CI_GITOPS_SIGNING_KEY is not set"),
        ("ssh", {"CI_GITOPS_SIGNING_KEY": "/not/there"}, "neither a text"),
        ("gpg", {"CI_GITOPS_SIGNING_KEY": str(tmp_path / "key")}, "holds no GPG key"),
        ("ssh", {"CI_GITOPS_SIGNING_KEY": str(tmp_path / "key.pub")}, "holds no private key"),
    ):
        with pytest.raises(UsageError, match=told):
            signing_key(kind, environ)  # type: ignore[arg-type]


def test_an_update_is_signed(bare: BareRepositories, tmp_path: Path, cli: Cli) -> None:
    public = make_key(tmp_path / "key")
    overlay = b"images:\n- name: web\n  newTag: v1\n"
    url = bare.create("shop", {"apps/web/overlays/staging/kustomization.yaml": overlay})
    words = ("update", "web:v2", "--repo", url, "--environment", "staging", "--write", "push", "--sign", "ssh")
    author = {"GITLAB_USERNAME": "Ann", "GITLAB_EMAIL": "ann@example.com"}
    done = cli(*words, cwd=tmp_path, **author, CI_GITOPS_SIGNING_KEY=(tmp_path / "key").read_text())
    assert done.code == 0, done.err
    head = bare.head("shop")
    assert head
    (tmp_path / "allowed").write_text(f"ann@example.com {public}\n")
    said = verify(bare, head, "-c", f"gpg.ssh.allowedSignersFile={tmp_path}/allowed", repository="shop")
    assert 'Good "git" signature for ann@example.com' in said
    refused = cli(*words[:1], "web:v3", *words[2:], cwd=tmp_path, **author)
    assert refused.code == 2
    assert "CI_GITOPS_SIGNING_KEY is not set" in refused.err
    assert bare.head("shop") == head
