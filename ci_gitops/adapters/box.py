"""The box in which renderers run: what a config repository says must not reach this machine or the network."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ci_gitops.adapters import process
from ci_gitops.core.recipes import Sandbox
from ci_gitops.errors import CiGitopsError, RefusedError, RenderError, TemporaryError

MEMORY = 600 * 1024 * 1024
SECONDS = 60
_OUTPUT = 128 * 1024 * 1024
_LAUNCH = (sys.executable, "-I", "-S", str(Path(__file__).with_name("box_launcher.py")))
#: What programs need of the system: libraries and their loader, nothing that tells about machine or people.
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
#: What a program needs besides to reach a server: names and certificates.
_NETWORK = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/pki", "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
)  # fmt: skip
_PARTS = {
    "landlock": ("Landlock", "files outside the tree can be read"),
    "seccomp": ("seccomp", "the network can be reached"),
}
#: How Go's runtime breaks down where the kernel gives it no more memory in the middle of its own work.
_BROKEN_DOWN = ("SIGSEGV: segmentation violation", "unexpected signal during runtime execution", "fatal error: runtime")
_NO_MEMORY = ("out of memory", "cannot allocate memory", "bad_alloc", "Cannot allocate memory")


@dataclass(frozen=True, slots=True)
class Level:
    """How far the box is closed. `missing` says in words what stays open."""

    name: Literal["full", "partial", "off"]
    parts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name == "full":
            return "full (Landlock, seccomp, limits)"
        return f"{self.name} ({', '.join(self.missing)})" if self.missing else self.name


@dataclass(frozen=True, slots=True)
class Room:
    """What a program in the box may see: the tree to read, a scratch folder to write, other programs to start."""

    tree: Path
    scratch: Path
    programs: tuple[str, ...] = ()
    network: Mapping[str, str] | None = None  # variables to reach the network with; None: no network


def level_for(sandbox: Sandbox) -> Level:
    """The level that `sandbox` gives on this machine; RefusedError where it asks for more than that."""
    if sandbox == "off":
        return Level("off", missing=("switched off by render.sandbox",))
    level = level_of(_probe())
    if sandbox == "require" and level.name != "full":
        raise RefusedError(
            f"Renderers cannot be boxed fully here: {', '.join(level.missing)}. render.sandbox requires it.",
            hint="Use a kernel with Landlock and a container runtime that allows it, or set render.sandbox to best.",
        )
    return level


def level_of(closed: Mapping[str, object]) -> Level:
    """The level by what could be closed."""
    parts = tuple(part for part in _PARTS if closed.get(part))
    missing = tuple(f"no {name}: {means}" for part, (name, means) in _PARTS.items() if part not in parts)
    return Level("partial" if missing else "full", parts, missing)


@functools.cache
def _probe() -> Mapping[str, object]:
    """What a child could close; nothing where it does not even start."""
    try:
        done = process.run(_LAUNCH, env={}, stdin=b"{}", timeout=10, output_limit=4096)
        found = json.loads(done.text)
    except (CiGitopsError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def run(argv: Sequence[str], room: Room, level: Level, *, cwd: Path) -> process.Completed:
    """Run a program in the box: empty environment, no network, bounded; RenderError where it breaks a bound."""
    env = {"HOME": str(room.scratch), "TMPDIR": str(room.scratch), **(room.network or {})}
    read = [str(room.tree), *(_NETWORK if room.network is not None else ())]
    name = Path(argv[0]).name
    order = {
        "argv": list(argv), "env": env, "needs": level.parts, "memory": MEMORY, "file_size": _OUTPUT,
        "read": read, "write": [str(room.scratch), "/dev/null"], "network": room.network is not None,
        "run": [*_SYSTEM, *_startable(argv[0], *room.programs)],
    }  # fmt: skip
    launched, stdin = (argv, b"") if level.name == "off" else (_LAUNCH, json.dumps(order).encode())
    try:
        done = process.run(launched, env=env, cwd=cwd, stdin=stdin, timeout=SECONDS, output_limit=_OUTPUT)
    except TemporaryError as error:
        raise RenderError(f"{name} did not end within {SECONDS} s and was stopped.") from error
    except CiGitopsError as error:
        raise RenderError(f"{name} wrote more than {_OUTPUT >> 20} MiB and was stopped.") from error
    if done.code and any(words in done.errors for words in _NO_MEMORY):
        raise RenderError(f"{name} needs more than {MEMORY >> 20} MiB of memory and was stopped.")
    if done.code and any(words in done.errors for words in _BROKEN_DOWN):
        raise RenderError(
            f"{name} broke down in the box, where it has {MEMORY >> 20} MiB of memory.",
            hint="Does the target hold very much, or an alias that stands for very much?",
        )
    return done


def _startable(*programs: str) -> list[str]:
    """The programs' own files, and the interpreters of those that are scripts."""
    found = []
    for program in programs:
        file = Path(program).resolve()
        found.append(str(file))
        with file.open("rb") as stream:
            first = stream.readline(256)
        if first.startswith(b"#!"):
            found.append(first[2:].split()[0].decode(errors="replace"))
    return found
