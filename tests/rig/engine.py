"""Real engines: a Docker daemon of our own on a private socket, and buildah with storage of its own.

Nothing of this machine's daemon, images or configuration is used or left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.parts import missing, program

HOW = "install Debian's docker.io; the daemon must run as root"


@dataclass(frozen=True)
class DockerEngine:
    """A running daemon."""

    socket: Path
    folder: Path
    client: str

    @property
    def variables(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def docker(self, *arguments: object) -> str:
        """The real client, for looking at what was built."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.variables}
        done = subprocess.run([self.client, *map(str, arguments)], env=environment, capture_output=True, text=True,
                              check=True, stdin=subprocess.DEVNULL)  # fmt: skip
        return done.stdout


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """A daemon without networks: builds need `--network none`."""
    daemon, client = program("dockerd", HOW, "/usr/sbin", "/sbin"), program("docker", HOW)
    if os.geteuid() != 0:
        missing("dockerd", HOW)
    # A socket's path may be 107 bytes long: pytest's folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="ci-gitops-dockerd-"))
    with running_daemon(daemon, folder) as socket:
        yield DockerEngine(socket, folder, client)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_daemon(daemon: str, folder: Path, *settings: str) -> Iterator[Path]:
    socket = folder / "docker.sock"
    argv = [
        daemon, "--host", f"unix://{socket}", "--data-root", folder / "data", "--exec-root", folder / "exec",
        "--pidfile", folder / "pid", "--config-file", folder / "none.json", "--bridge", "none", "--iptables=false",
        "--ip-masq=false", *settings,
    ]  # fmt: skip
    (folder / "none.json").write_text("{}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in argv], stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(process, socket, folder / "log")
        yield socket
    finally:
        process.terminate()
        process.wait(30)
        _unmount_below(folder)


def _wait_for(process: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if "API listen on" in log.read_text():
            return
        time.sleep(0.05)
    missing("dockerd", f"it does not start here: {log.read_text()[-500:]}")


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)


@pytest.fixture(scope="session")
def busybox() -> Path:
    """A static program for images that start FROM scratch."""
    return Path(program("busybox", "install Debian's busybox-static"))
