"""A container registry on this machine's loopback, for the demo: the reference implementation, where it is installed.

https://distribution.github.io/distribution/ (Debian's package docker-registry). Elsewhere `small_registry` does.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.adapters import process, small_registry
from ci_gitops.errors import RegistryError

_PROGRAMS = ("docker-registry", "registry")
_PATIENCE = 20.0  # seconds until it must listen


@dataclass(frozen=True, slots=True)
class Started:
    """A registry that runs: HOST:PORT, and the command that starts it there again."""

    host: str
    again: str


@contextmanager
def running_registry(folder: Path, environ: Mapping[str, str]) -> Iterator[Started]:
    """A registry that keeps its images in `folder`, until the end of the block."""
    folder.mkdir(parents=True)
    programs = (shutil.which(name, path=environ.get("PATH")) for name in _PROGRAMS)
    program = next((found for found in programs if found), None)
    argv = _reference(program, folder) if program else [*_small(), str(folder / "images")]
    log = folder / "log"
    with process.background(argv, env=process.clean_environment(environ), log=log) as server:
        host = _listening(server, log)
        if program:
            _settings(folder, host)  # the same address next time
        else:
            argv = [*argv, host.rpartition(":")[2]]
        yield Started(host, shlex.join(argv))


def _small() -> list[str]:
    return [sys.executable, "-I", small_registry.__file__]


def _reference(program: str, folder: Path) -> list[str]:
    _settings(folder, "127.0.0.1:0")
    return [program, "serve", str(folder / "config.yml")]


def _settings(folder: Path, address: str) -> None:
    settings = {
        "version": 0.1, "log": {"level": "info"}, "http": {"addr": address},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
    }  # fmt: skip
    (folder / "config.yml").write_text(json.dumps(settings))


def _listening(server: subprocess.Popen[bytes], log: Path) -> str:
    """The address in its log: with port 0 the kernel chooses a free one."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"listening on ([0-9.]+:[0-9]+)", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.02)
    raise RegistryError(
        "The demo's registry does not listen.", hint=f"What it said: {log.read_text(errors='replace')[-300:].strip()}"
    )
