"""Which `docker` program can build with BuildKit: several may be on PATH, and a newer one may lack the plugin."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.adapters import process
from ci_gitops.adapters.builders.workshop import Workshop
from ci_gitops.errors import CiGitopsError

_VERSION = re.compile(r"version (\d+)\.(\d+)")
_FIRST_WITH_BUILDKIT = (18, 9)
_FIRST_WITHOUT_OWN = (23, 0)  # from here on `docker build` needs the buildx plugin for BuildKit
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Client:
    """A docker program."""

    program: str
    version: tuple[int, int]
    buildx: str | None  # the plugin's version

    @property
    def has_buildkit(self) -> bool:
        return self.buildx is not None or _FIRST_WITH_BUILDKIT <= self.version < _FIRST_WITHOUT_OWN

    @property
    def title(self) -> str:
        return f"client {self.version[0]}.{self.version[1]:02d} ({self.program})"


def find_client(workshop: Workshop, *, need_buildx: bool = False) -> Client | None:
    """The first docker program on PATH that has BuildKit (or the buildx plugin)."""
    for program in _candidates(workshop.environ.get("PATH", os.defpath)):
        client = _look_at(program, workshop)
        if client and (client.buildx is not None if need_buildx else client.has_buildkit):
            return client
    return None


def _candidates(path: str) -> Iterator[str]:
    seen: set[Path] = set()
    for folder in path.split(os.pathsep):
        program = Path(folder or ".") / "docker"
        if program.is_file() and os.access(program, os.X_OK) and program.resolve() not in seen:
            seen.add(program.resolve())
            yield str(program)


def _look_at(program: str, workshop: Workshop) -> Client | None:
    try:
        version = _VERSION.search(_said(program, "--version", workshop=workshop) or "")
    except CiGitopsError:  # no program after all, or one that hangs
        return None
    if version is None:
        return None
    buildx = _said(program, "buildx", "version", workshop=workshop)
    words = (buildx or "").split()
    return Client(program, (int(version[1]), int(version[2])), words[1] if len(words) > 1 else None)


def _said(*argv: str, workshop: Workshop) -> str | None:
    done = process.run(argv, env=workshop.environment(), timeout=_SECONDS, output_limit=1024 * 1024)
    return None if done.code else done.text
