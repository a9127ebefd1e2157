"""A real sshd with one key that may log in; repositories are served by `git` itself, as on a plain SSH host.

url = ssh_server.create("config", {"README.md": b"..."})
ssh_server.private_key, ssh_server.known_hosts
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.git_server import BareRepositories
from tests.rig.parts import free_port, program, tied

_HOW = "apt-get install openssh-server openssh-client"


@dataclass
class SshServer:
    """`git` makes and reads the repositories."""

    root: Path
    port: int
    private_key: str
    host_key: str  # `ssh-ed25519 AAAA…`
    git: BareRepositories

    @property
    def known_hosts(self) -> str:
        """The line for this server."""
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"

    def create(self, name: str, files: Mapping[str, bytes] | None = None, branch: str = "main") -> str:
        self.git.create(name, files, branch)
        return self.url(name)

    def url(self, name: str) -> str:
        return f"ssh://{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1:{self.port}{self.git.bare(name)}"


def make_key(path: Path, kind: str = "ed25519") -> str:
    """A new key pair at `path`; the public half."""
    keygen = program("ssh-keygen", _HOW)
    words = [keygen, "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    sshd = program("sshd", _HOW, "/usr/sbin")
    root = tmp_path_factory.mktemp("sshd")
    public = make_key(root / "user_key")
    host_key = make_key(root / "host_key")
    (root / "authorized_keys").write_text(public + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own jail; Debian's service makes it at boot
    port = free_port()
    (root / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {root}/host_key\nAuthorizedKeysFile {root}/authorized_keys\n"
        f"PidFile {root}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "KbdInteractiveAuthentication no\nAcceptEnv GIT_PROTOCOL\nMaxStartups 100\nLogLevel ERROR\n"
        "KexAlgorithms curve25519-sha256\n"  # those against quantum computers take a multiple of the time
        "SetEnv SHLVL=1\n"  # else bash reads the .bashrc of who runs the tests
    )
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(
            tied([sshd, "-D", "-e", "-f", str(root / "sshd_config")]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
    try:
        _await(port, server, root / "log")
        yield SshServer(root, port, (root / "user_key").read_text(), host_key, BareRepositories(root))
    finally:
        server.terminate()
        server.wait()


def _await(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0 and client.recv(4) == b"SSH-":
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.02)
            break
    pytest.fail(f"sshd did not start: {log.read_text()}")
