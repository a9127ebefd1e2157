"""A container registry on this machine's loopback, for the demo: the reference implementation, where it is installed.

https://distribution.github.io/distribution/ (Debian's package docker-registry)
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ci_gitops.adapters import process

_PROGRAMS = ("docker-registry", "registry")
_PATIENCE = 10.0  # seconds until it must listen


@contextmanager
def running_registry(folder: Path, environ: Mapping[str, str]) -> Iterator[str | None]:
    """HOST:PORT of a registry that keeps its images in `folder`; None where the program is not installed."""
    programs = (shutil.which(name, path=environ.get("PATH")) for name in _PROGRAMS)
    program = next((found for found in programs if found), None)
    if program is None:
        yield None
        return
    folder.mkdir(parents=True)
    settings = {
        "version": 0.1, "log": {"level": "info"}, "http": {"addr": "127.0.0.1:0"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
    }  # fmt: skip
    (folder / "config.yml").write_text(json.dumps(settings))
    argv = [program, "serve", str(folder / "config.yml")]
    log = folder / "log"
    with process.background(argv, env=process.clean_environment(environ), log=log) as server:
        yield _listening(server, log)


def _listening(server: subprocess.Popen[bytes], log: Path) -> str | None:
    """The address in its log: with port 0 the kernel chooses a free one."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"listening on ([0-9.]+:[0-9]+)", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.02)
    return None
