"""Run an engine's program: what it writes is told as it comes, and kept to explain a failure."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_gitops.adapters import process
from ci_gitops.adapters.builders.base import BuildRequest
from ci_gitops.adapters.builders.failures import build_error, read_failure
from ci_gitops.adapters.builders.trouble import registry_trouble
from ci_gitops.adapters.builders.workshop import Workshop
from ci_gitops.adapters.patience import AwayError
from ci_gitops.core.text import plain
from ci_gitops.errors import CiGitopsError, RegistryError

_KEPT = 5000
_NOISE = re.compile(r"\s*|#\d+ sha256:[0-9a-f]{64}|#\d+ transferring .*|-{6,}")


def run_build(
    workshop: Workshop, request: BuildRequest, argv: Sequence[str], env: Mapping[str, str] | None = None
) -> None:
    """Run one build. Its failure is explained from the program's own lines."""
    code, lines = _run(workshop, request, argv, env)
    if code:
        raise failed_build(workshop, request, lines)


def run_push(
    workshop: Workshop, request: BuildRequest, argv: Sequence[str], env: Mapping[str, str] | None = None
) -> None:
    """Run one push. Its failure is the registry's, by the program's last words."""
    code, lines = _run(workshop, request, argv, env)
    if code:
        said = _last_error(lines)
        trouble = registry_trouble(said, workshop.registry)
        raise trouble or RegistryError(f"{request.references[0]} was not pushed: {said}")


def _last_error(lines: Sequence[str]) -> str:
    """The program's last error, which may go on over several lines."""
    starts = [index for index, line in enumerate(lines) if line.lower().startswith("error: ")]
    said = lines[starts[-1] :] if starts else lines[-1:]
    return " ".join(line.strip() for line in said)[7 if starts else 0 :] or "it said nothing"


def _run(
    workshop: Workshop, request: BuildRequest, argv: Sequence[str], env: Mapping[str, str] | None
) -> tuple[int, list[str]]:
    workshop.trace(shlex.join(argv))
    kept: deque[str] = deque(maxlen=_KEPT)

    def heard(line: str) -> None:
        line = plain(line)
        kept.append(line)
        if not _NOISE.fullmatch(line):
            workshop.tell(line)

    done = process.run(
        argv,
        env=workshop.environment(request) if env is None else env,
        cwd=request.context,
        timeout=request.timeout,
        on_line=heard,
    )
    return done.code, list(kept)


def failed_build(workshop: Workshop, request: BuildRequest, lines: Sequence[str]) -> CiGitopsError:
    """The error for a build that wrote these lines: a step of the Dockerfile, or a base image out of reach."""
    failure = read_failure(lines)
    if failure.internal:
        trouble = registry_trouble(failure.reason, workshop.registry)
        if isinstance(trouble, AwayError):
            return AwayError(f"A base image or cache cannot be reached: {failure.reason}.")
    return build_error(failure, read_dockerfile(request.dockerfile), request.dockerfile.name)


def read_dockerfile(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
