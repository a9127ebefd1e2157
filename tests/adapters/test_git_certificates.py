from __future__ import annotations

import contextlib
import dataclasses
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from ci_gitops.errors import GitError, UsageError
from tests.adapters.test_git_failures import FILES, access, bump
from tests.rig.git_server import GitServer


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[Callable[..., GitServer]]:
    """A server with a certificate for this name and this end."""
    with contextlib.ExitStack() as stack:

        def start(name: str, days: int) -> GitServer:
            authority = trustme.CA()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            until = datetime.now(UTC) + timedelta(days=days)
            authority.issue_cert(name, not_after=until).configure_cert(context)
            authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            return stack.enter_context(GitServer(tmp_path, context, tmp_path / "ca.pem"))

        yield start


def test_a_private_authority_is_given(git_tls_server: GitServer) -> None:
    git_tls_server.create("config", FILES)
    bump(git_tls_server)


def test_an_unknown_authority(git_tls_server: GitServer) -> None:
    git_tls_server.create("config", FILES)
    with pytest.raises(GitError, match="is not trusted: unable to get local issuer") as caught:
        bump(git_tls_server, dataclasses.replace(access(git_tls_server), ca_file=None))
    assert caught.value.hint
    assert "CI_SERVER_TLS_CA_FILE" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "days", "told"),
    [("localhost", -1, "certificate has expired"), ("other.example", 1, "Hostname mismatch")],
)
def test_a_certificate_that_does_not_hold(certified: Callable[..., GitServer], name: str, days: int, told: str) -> None:
    server = certified(name, days)
    server.create("config", FILES)
    with pytest.raises(GitError, match=told) as caught:
        bump(server)
    assert caught.value.hint
    assert "must be renewed" in caught.value.hint


@pytest.mark.parametrize("contents", [None, "no certificate"])
def test_a_file_that_is_none(git_tls_server: GitServer, tmp_path: Path, contents: str | None) -> None:
    path = tmp_path / "ca.pem"
    if contents:
        path.write_text(contents)
    with pytest.raises(UsageError, match=r"ca\.pem"):
        bump(git_tls_server, dataclasses.replace(access(git_tls_server), ca_file=path))
