"""The engines that build images, by name, and the choice of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ci_gitops.adapters.builders import buildah, buildkit, docker
from ci_gitops.adapters.builders.base import BuildRequest, Engine, Refusal, refused
from ci_gitops.adapters.builders.workshop import Workshop
from ci_gitops.errors import BuildError

#: In the order in which they are looked for.
ENGINES: Mapping[str, Callable[[Workshop], Engine | str]] = {
    "docker": docker.find,
    "buildkit": buildkit.find,
    "buildah": buildah.find,
}


def open_engine(name: str | None, request: BuildRequest, workshop: Workshop) -> Engine:
    """The engine of that name, or the first that works here and can do all that is asked."""
    missing: list[str] = []
    unable: list[tuple[Engine, list[Refusal]]] = []
    for candidate in [name] if name else list(ENGINES):
        found = ENGINES[candidate](workshop)
        if isinstance(found, str):
            missing.append(f"{candidate}: {found}")
            continue
        refusals = list(found.refusals(request))
        if not refusals:
            return found
        unable.append((found, refusals))
    if unable:
        raise refused(*unable[0])
    raise BuildError(
        "No engine that builds images works here:\n" + "\n".join(f"  {line}" for line in missing),
        hint="Start a Docker daemon (DOCKER_HOST names it), or install buildah, which needs none.",
    )
