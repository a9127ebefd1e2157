"""Real engines: Docker daemons of our own on private sockets, and buildah with storage of its own.

Nothing of this machine's daemon, images or configuration is used or left behind.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import SEED
from tests.rig.parts import at_the_end, missing, program, tied

HOW = "install Debian's docker.io; the daemon must run as root"
HOW_BUILDX = "install docker-buildx (Debian trixie or later)"
HOW_MODERN = "unpack Debian forky's docker.io into a folder on PATH"
PLUGIN_FOLDERS = tuple(f"/usr/{place}/docker/cli-plugins" for place in ("local/lib", "local/libexec", "lib", "libexec"))
_FIRST_MODERN = 26
#: Once the daemon has gone, what it has mounted and its folder go too.
_CLEAN = """
timeout 60 tail --pid="$(cat "$1/pid")" -f /dev/null
awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
rm -rf "$1"
"""


@dataclass(frozen=True)
class DockerEngine:
    """A running daemon. `variables` lead a command to it, `with_buildx` also give the client its plugin."""

    socket: Path
    folder: Path
    client: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def with_buildx(self) -> dict[str, str]:
        plugin = program("docker-buildx", HOW_BUILDX, *PLUGIN_FOLDERS)
        link = self.folder / "docker" / "cli-plugins" / "docker-buildx"
        if not link.exists():
            link.parent.mkdir(parents=True)
            link.symlink_to(plugin)
        return {**self.variables, "DOCKER_CONFIG": str(link.parents[1])}

    def docker(self, *arguments: object) -> str:
        """The real client, for looking at what was built."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.variables}
        done = subprocess.run([self.client, *map(str, arguments)], env=environment, capture_output=True, text=True,
                              check=True, stdin=subprocess.DEVNULL)  # fmt: skip
        return done.stdout


@dataclass(frozen=True)
class Engine:
    """One way to build, as a test calls it: `cli("build", *engine.options, env=engine.variables)`."""

    name: str  # of --engine
    variables: dict[str, str]
    options: tuple[str, ...]
    several_platforms: bool = False
    timestamps: bool = False
    secrets: bool = True


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """Debian stable's daemon, without networks: builds need `--network none`."""
    with _engine(program("dockerd", HOW, "/usr/sbin", "/sbin")) as engine:
        yield engine


@pytest.fixture(scope="session")
def modern_docker_engine() -> Iterator[DockerEngine]:
    """A daemon of today with the containerd image store."""
    with _engine(_modern_daemon(), "--feature", "containerd-snapshotter=true") as engine:
        yield engine


@pytest.fixture(scope="session")
def buildah_variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Storage of its own for buildah."""
    program("buildah", "install Debian's buildah")
    folder = tmp_path_factory.mktemp("buildah")
    settings = folder / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    return {"CONTAINERS_STORAGE_CONF": str(settings)}


ENGINES = ("docker", "classic", "buildkit", "buildah", "modern-docker", "modern-buildkit")


def on_engines(*names: str, others: int = 1) -> pytest.MarkDecorator:
    """Run a test on the first of `names` and on as many others, different ones each day; on all in the full tests."""
    chosen = {names[0], *random.Random(f"{SEED} {names}").sample(names[1:], min(others, len(names) - 1))}
    params = [pytest.param(name, marks=() if name in chosen else pytest.mark.full) for name in names]
    return pytest.mark.parametrize("engine", params, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The engine that the test is parametrised with, by one of the names in ENGINES."""
    name = request.param
    if name == "buildah":
        return Engine(name, request.getfixturevalue("buildah_variables"), (), True, True)
    modern = name.startswith("modern")
    daemon: DockerEngine = request.getfixturevalue("modern_docker_engine" if modern else "docker_engine")
    # `docker` is the client that has BuildKit inside, where this machine has no plugin of its own.
    variables, options = daemon.variables if name == "docker" else daemon.with_buildx, ("--network", "none")
    if name == "classic":
        # No client on PATH: the docker package builds by itself.
        empty = tmp_path_factory.mktemp("path")
        return Engine("docker", {**variables, "PATH": str(empty)}, options, secrets=False)
    return Engine(name.removeprefix("modern-"), variables, options, modern, name == "modern-buildkit")


@contextlib.contextmanager
def _engine(daemon: str, *settings: str) -> Iterator[DockerEngine]:
    client = program("docker", HOW)
    if os.geteuid() != 0:
        missing("dockerd", HOW)
    # A socket's path may be 107 bytes long: pytest's folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="ci-gitops-dockerd-"))
    with at_the_end(_CLEAN, folder), running_daemon(daemon, folder, *settings) as socket:
        yield DockerEngine(socket, folder, client, {"DOCKER_HOST": f"unix://{socket}"})


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
        process = subprocess.Popen(tied([str(word) for word in argv]), stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(process, folder / "log")
        yield socket
    finally:
        process.terminate()
        process.wait()


def _modern_daemon() -> str:
    for folder in os.environ["PATH"].split(os.pathsep):
        candidate = Path(folder) / "dockerd"
        if candidate.is_file():
            done = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            version = re.search(r"version (\d+)", done.stdout)
            if version and int(version[1]) >= _FIRST_MODERN:
                return str(candidate)
    missing("a Docker daemon of today", HOW_MODERN)
    raise AssertionError


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if "API listen on" in log.read_text():
            return
        time.sleep(0.05)
    missing("dockerd", f"it does not start here: {log.read_text()[-500:]}")


@pytest.fixture(scope="session")
def busybox() -> Path:
    """A static program for images that start FROM scratch."""
    return Path(program("busybox", "install Debian's busybox-static"))
