"""The one way to run another program: no shell, a given environment, bounds on time and output, no child left."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ci_gitops.errors import CiGitopsError, TemporaryError

_CHUNK = 65536
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
#: Variables that every program may need and that hold no secret.
PLAIN_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
)
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: its exit code (negative: killed by that signal), what it wrote, how long it took."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    @property
    def errors(self) -> str:
        return self.stderr.decode(errors="replace").strip()


def clean_environment(environ: Mapping[str, str], *names: str, proxies: bool = False) -> dict[str, str]:
    """The few variables of `environ` that a program gets: the plain ones, `names`, and the proxies if asked."""
    wanted = (*PLAIN_VARIABLES, *names, *(PROXY_VARIABLES if proxies else ()))
    return {name: environ[name] for name in wanted if name in environ}


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout: float = 100.0,
    output_limit: int = 256 * 1024 * 1024,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run `argv` and wait. A non-zero exit code is an answer, not an error.

    `timeout` is in seconds, `output_limit` in bytes over both streams; past either the whole process group is
    killed. `on_line` gets each line of both streams as it comes (without its end), for progress.
    Raises TemporaryError at the deadline, CiGitopsError where the program is missing or writes too much.
    """
    try:
        process = subprocess.Popen(
            list(argv), cwd=cwd, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise CiGitopsError(
            f"The program {argv[0]!r} is not installed.", hint="Install it or put it on PATH."
        ) from error
    except OSError as error:
        raise CiGitopsError(f"The program {argv[0]!r} cannot be started: {error.strerror}.") from error
    return supervise(process, argv, stdin=stdin, timeout=timeout, output_limit=output_limit, on_line=on_line)


@contextlib.contextmanager
def background(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server beside us: what it writes goes to `log`, and it is gone at the end."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            list(argv), env=dict(env), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        yield process
    finally:
        _end(process)


def supervise(
    process: subprocess.Popen[bytes],
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float,
    output_limit: int = 256 * 1024 * 1024,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Feed a started process that leads a group of its own, collect what it writes and wait; bounds as in `run`.

    All three streams must be pipes. `argv` is what messages and the answer name.
    """
    started = time.monotonic()
    try:
        stdout, stderr = _pump(process, stdin, started + timeout, output_limit, on_line)
        code = process.wait(max(0.1, started + timeout - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        raise TemporaryError(f"{Path(argv[0]).name} did not end within {timeout:.0f} s and was stopped.") from error
    except OverflowError as error:
        name = Path(argv[0]).name
        raise CiGitopsError(f"{name} wrote more than {output_limit} bytes and was stopped.") from error
    finally:
        _end(process)
    return Completed(tuple(argv), code, stdout, stderr, time.monotonic() - started)


def _pump(
    process: subprocess.Popen[bytes],
    stdin: bytes,
    deadline: float,
    limit: int,
    on_line: Callable[[str], None] | None,
) -> tuple[bytes, bytes]:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    collected: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    shown = dict.fromkeys(collected, 0)
    pending = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for pipe in collected:
            selector.register(pipe, selectors.EVENT_READ)
        if pending:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            for key, _ in selector.select(remaining):
                if key.fileobj is process.stdin:
                    try:
                        pending = pending[os.write(process.stdin.fileno(), pending[:_CHUNK]) :]
                    except BrokenPipeError:
                        pending = pending[:0]
                    if not pending:
                        selector.unregister(process.stdin)
                        with contextlib.suppress(BrokenPipeError):
                            process.stdin.close()
                    continue
                stream: IO[bytes] = key.fileobj  # type: ignore[assignment]  # only pipes are registered
                data = os.read(stream.fileno(), _CHUNK)
                if not data:
                    selector.unregister(stream)
                    continue
                collected[stream] += data
                if sum(map(len, collected.values())) > limit:
                    raise OverflowError
                if on_line:
                    shown[stream] = _tell(collected[stream], shown[stream], on_line)
    return bytes(collected[process.stdout]), bytes(collected[process.stderr])


def _tell(data: bytearray, start: int, on_line: Callable[[str], None]) -> int:
    while (end := data.find(b"\n", start)) >= 0:
        on_line(data[start:end].decode(errors="replace").rstrip("\r"))
        start = end + 1
    return start


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes and make sure that the whole process group is gone."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        _outlive(process.pid)


def _outlive(group: int) -> None:
    """Wait until the leader's own children are gone as well: they may need a moment more than it did."""
    deadline = time.monotonic() + 1.0  # where nobody buries the dead of a container, they stay in their group
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.005)
        os.killpg(group, signal.SIGKILL)
