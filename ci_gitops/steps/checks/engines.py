"""Which engines could build an image here?"""

from __future__ import annotations

from collections.abc import Iterator

from ci_gitops.adapters.builders import ENGINES
from ci_gitops.adapters.builders.workshop import RegistryAccess, workshop
from ci_gitops.steps.checks.base import Finding, Scene


def check(scene: Scene) -> Iterator[Finding]:
    """One that works is enough; none is a warning, since only `build` needs one."""
    working, missing = [], []
    with workshop(scene.run.environ, RegistryAccess("localhost"), scene.run.output) as place:
        for name, find in ENGINES.items():
            found = find(place)
            if isinstance(found, str):
                missing.append(f"{name}: {found}")
            else:
                working.append(f"{name}: {found.title}")
    for line in working:
        yield Finding("engine", "ok", f"{line}.")
    if not working:
        why = "; ".join(missing)
        yield Finding(
            "engine", "warn", f"No engine works here, so `build` cannot: {why}.",
            "DOCKER_HOST: a Docker daemon, or install buildah",
        )  # fmt: skip
