"""Which engines could build an image here, and what each of them would refuse?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ci_gitops.adapters.builders import ENGINES
from ci_gitops.adapters.builders.base import BuildRequest, Engine
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
                working.append(f"{name}: {found.title}; {_limits(found, scene.run.cwd)}.")
    for line in working:
        yield Finding("engine", "ok", line)
    if not working:
        why = "; ".join(missing)
        yield Finding(
            "engine", "warn", f"No engine works here, so `build` cannot: {why}.",
            "DOCKER_HOST: a Docker daemon, or install buildah",
        )  # fmt: skip


def _limits(engine: Engine, folder: Path) -> str:
    """The flags that it would refuse, asked with a request that is never built."""
    everything = BuildRequest(
        "localhost/probe", ("probe",), folder, folder / "Dockerfile", network="none", timestamp=0,
        platforms=("linux/amd64", "linux/arm64"), cache_from=("localhost/cache",), cache_to=("localhost/cache",),
    )  # fmt: skip
    refused = dict.fromkeys(refusal.flag for refusal in engine.refusals(everything))
    return f"it refuses {', '.join(refused)}" if refused else "it takes every flag"
