"""The command line without its start: a process that has loaded everything, and becomes each run by `fork`.

A run is a process of its own all the same, with its own folder, variables, outputs and end. What it does not show is
how Python starts and what a command loads by itself: the full tests show it, which start each run from nothing, and so
do the tests that start scripts.

Alone, this module is that process: `python -m tests.rig.warm FD`.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

#: What Python itself reads when it starts: with other values than ours a run needs a start of its own.
_AT_THE_START = ("PYTHON", "LANG", "LC_", "LD_", "GIT_PYTHON")
#: What commands load when they first need it.
_LIBRARIES = ("cronsim", "git", "gitlab", "github", "kubernetes.client", "kubernetes.config.kube_config",
              "ruamel.yaml")  # fmt: skip


def at_the_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_THE_START)}


class Warm:
    """The process, started with these variables. It ends when we do."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._asks, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-m", "tests.rig.warm", str(theirs.fileno())]
            self._process = subprocess.Popen(words, env=env, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()])  # fmt: skip

    def close(self) -> None:
        self._asks.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` does it, with both outputs as text."""
        request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": dict(env)}).encode()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                socket.send_fds(self._asks, [b"!"], [theirs.fileno(), out.fileno(), err.fileno()])
                theirs.close()
                ours.sendall(request + b"\n")
                code = _told(ours, timeout)
            return subprocess.CompletedProcess(list(arguments), code, _text(out.fileno()), _text(err.fileno()))


def _told(asked: socket.socket, timeout: float) -> int:
    """How the run ended; it is ended where that takes too long."""
    with asked.makefile("r") as answers:
        process = int(answers.readline())
        asked.settimeout(timeout)
        try:
            return int(answers.readline())
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise subprocess.TimeoutExpired("ci-gitops", timeout) from None


def _text(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, encoding="utf-8", closefd=False) as text:
        return text.read()


def _load() -> None:
    import ci_gitops

    for module in pkgutil.walk_packages(ci_gitops.__path__, "ci_gitops."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _become(asks: socket.socket) -> list[str]:
    """Serve until we are the run that was asked for; its arguments."""
    runs: dict[int, socket.socket] = {}

    def ended(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                with runs.pop(found[0]) as asked, contextlib.suppress(OSError):  # who asked may have given up
                    asked.sendall(f"{os.waitstatus_to_exitcode(found[1])}\n".encode())

    signal.signal(signal.SIGCHLD, ended)
    while True:
        more, files, _, _ = socket.recv_fds(asks, 1, 3)
        if not more:
            asks.close()
            sys.exit()
        asked = socket.socket(fileno=files[0])
        with asked.makefile("r") as stream:
            request = json.loads(stream.readline())
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        process = os.fork()
        if process == 0:
            break
        runs[process] = asked
        asked.sendall(f"{process}\n".encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        for file in files[1:]:
            os.close(file)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for other in (asks, asked, *runs.values()):
        other.close()
    return _run_of(request, files[1:])


def _run_of(request: Mapping[str, Any], outputs: Sequence[int]) -> list[str]:
    """Be the process that was asked for: its outputs, folder, variables and arguments."""
    for place, file in enumerate(outputs, 1):
        os.dup2(file, place)
        os.close(file)
    os.chdir(request["cwd"])
    env = {**at_the_start(os.environ), **request["env"]}  # Python may have set LC_CTYPE
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None  # as TMPDIR says now
    sys.path[0] = request["cwd"]
    arguments: list[str] = request["arguments"]
    return arguments


def _end(code: object) -> NoReturn:
    """As Python ends, but without taking all that was loaded apart."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _load()
    sys.argv[1:] = _become(socket.socket(fileno=int(sys.argv[1])))
    try:
        runpy.run_module("ci_gitops", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        _end(end.code)
