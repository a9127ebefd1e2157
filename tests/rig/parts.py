"""Find a real part or say in one line how to get it; with CI=true its absence is a failure, not a skip."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def missing(part: str, how: str) -> None:
    """End the test: the part is not here."""
    message = f"{part} is not here: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@functools.cache
def kit_programs() -> tuple[str, ...]:
    """The folder with kustomize, helm and kubectl of the cluster kit, where there is one."""
    kit = os.environ.get("CI_GITOPS_TEST_CLUSTER")
    if not kit:
        return ()
    done = subprocess.run([kit, "programs"], capture_output=True, text=True, check=False)
    return (done.stdout.strip(),) if done.returncode == 0 else ()


def program(name: str, how: str, *folders: str) -> str:
    """The path of a program, looked for in `folders` and the kit's before PATH."""
    for folder in (*folders, *kit_programs()):
        candidate = Path(folder) / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    found = shutil.which(name)
    if found is None:
        missing(name, how)
    assert found
    return found


def tied(argv: list[str]) -> list[str]:
    """The command, made to end with us even where a test run is killed."""
    return ["setpriv", "--pdeathsig", "TERM", *argv] if shutil.which("setpriv") else argv


@contextlib.contextmanager
def at_the_end(script: str, *arguments: object) -> Iterator[None]:
    """Run these lines of a shell after what is done within, and even where a test run is killed meanwhile."""
    words = ["sh", "-c", f"cat >/dev/null\n{script}", "at-the-end", *map(str, arguments)]
    watcher = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)  # fmt: skip
    try:
        yield
    finally:
        watcher.communicate()  # its input ends: with us at the latest


def free_port() -> int:
    """Below those that outgoing connections take, so that none of them is faster."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port below 32,000 is free on this machine", pytrace=False)
