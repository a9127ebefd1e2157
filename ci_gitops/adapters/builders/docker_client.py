"""Which `docker` program can build with BuildKit: several may be on PATH, and a newer one may lack the plugin."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.adapters import process
from ci_gitops.adapters.builders.base import BuildRequest
from ci_gitops.adapters.builders.workshop import Workshop
from ci_gitops.adapters.registry_login import docker_folder
from ci_gitops.errors import CiGitopsError

_VERSION = re.compile(r"version (\d+)\.(\d+)")
_FIRST_WITH_BUILDKIT = (18, 9)
_FIRST_WITHOUT_OWN = (23, 0)  # from here on `docker build` needs the buildx plugin for BuildKit
_FIRST_WITH_ATTESTATIONS = (0, 10)  # buildx
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
    def attestation_words(self) -> list[str]:
        """Without attestations a digest is the image's own, and the same whatever engine built it."""
        found = re.match(r"v?(\d+)\.(\d+)", self.buildx or "")
        knows = found is not None and (int(found[1]), int(found[2])) >= _FIRST_WITH_ATTESTATIONS
        return ["--provenance=false"] if knows else []

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


def build_words(workshop: Workshop, request: BuildRequest) -> list[str]:
    """The words of `docker build` and `docker buildx build` that mean the same to both."""
    return [
        str(request.context), "--progress", "plain", "--file", str(request.dockerfile),
        *(word for name, value in request.labels.items() for word in ("--label", f"{name}={value}")),
        *(("--platform", ",".join(request.platforms)) if request.platforms else ()),
        *(word for source in request.cache_from for word in ("--cache-from", source)),
        *(("--target", request.target) if request.target else ()),
        *(("--network", request.network) if request.network else ()),
        *(("--no-cache",) if request.no_cache else ()),
        *workshop.build_arguments(request),
        *(f"--secret=id={secret.id},src={workshop.secret_file(secret)}" for secret in request.secrets),
    ]  # fmt: skip


def context_host(environ: Mapping[str, str]) -> str | None:
    """The address in the Docker context that the user has chosen; DOCKER_HOST wins over it, as for the client.

    Contexts lie in files: https://docs.docker.com/engine/manage-resources/contexts/
    """
    folder = docker_folder(environ)
    with contextlib.suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
        name = environ.get("DOCKER_CONTEXT") or json.loads((folder / "config.json").read_text()).get("currentContext")
        if environ.get("DOCKER_HOST") or not name or name == "default":
            return None
        digest = hashlib.sha256(name.encode()).hexdigest()
        meta = json.loads((folder / "contexts" / "meta" / digest / "meta.json").read_text())
        return str(meta["Endpoints"]["docker"]["Host"])
    return None
