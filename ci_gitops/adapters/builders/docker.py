"""The Docker engine: its client's BuildKit builds; the docker package logs in, pushes and inspects.

The package's own build call knows neither BuildKit nor secrets; it is the way only where no such client is on PATH.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.adapters.builders.base import BuildRequest, Built, Engine, Refusal
from ci_gitops.adapters.builders.docker_classic import ClassicEngine
from ci_gitops.adapters.builders.docker_client import Client, build_words, find_client
from ci_gitops.adapters.builders.docker_daemon import Daemon, connect
from ci_gitops.adapters.builders.transcript import run_build
from ci_gitops.adapters.builders.workshop import Workshop


def find(workshop: Workshop) -> Engine | str:
    """The engine, or why it cannot work here."""
    daemon = connect(workshop)
    if isinstance(daemon, str):
        return daemon
    client = find_client(workshop)
    if client is None:
        return ClassicEngine(workshop, daemon)
    return DockerEngine(workshop, daemon, client)


@dataclass(frozen=True, slots=True)
class DockerEngine:
    workshop: Workshop
    daemon: Daemon
    client: Client
    name: str = "docker"

    @property
    def title(self) -> str:
        return f"Docker {self.daemon.version} with BuildKit, {self.client.title}"

    def refusals(self, request: BuildRequest) -> Sequence[Refusal]:
        found = []
        capable = self.daemon.containerd_store and self.client.buildx is not None
        why = "it has no containerd image store" if not self.daemon.containerd_store else "its client has no buildx"
        if len(request.platforms) > 1 and not capable:
            found.append(Refusal("several --platform", why, ("buildah",)))
        if request.cache_to and not capable:
            found.append(Refusal("--cache-to", why, ("buildah",)))
        if request.timestamp is not None:
            found.append(Refusal("--timestamp", "it keeps the times of files", ("buildah", "buildkit")))
        return [*found, *self.daemon.refusals(self.workshop.registry)]

    def build(self, request: BuildRequest) -> Built:
        run_build(self.workshop, request, [self.client.program, "build", *self._words(request)])
        return self.daemon.inspect(request.references[0], request)

    def push(self, request: BuildRequest) -> None:
        self.daemon.push(request, self.workshop)

    def _words(self, request: BuildRequest) -> list[str]:
        tags = [word for reference in request.references for word in ("--tag", reference)]
        caches = [word for target in request.cache_to for word in ("--cache-to", f"type=registry,ref={target}")]
        return [*tags, *caches, *self.client.attestation_words, *build_words(self.workshop, request)]
