"""The Docker engine: its client's BuildKit builds; the docker package logs in, pushes and inspects.

The package's own build call knows neither BuildKit nor secrets, so a client must be on PATH.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.adapters.builders.base import BuildRequest, Built, Engine, Refusal
from ci_gitops.adapters.builders.docker_client import Client, find_client
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
        return "no docker client with BuildKit is on PATH"
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
        if len(request.platforms) > 1:
            found.append(Refusal("several --platform", "its image store holds one platform", ("buildah",)))
        if request.cache_to:
            found.append(Refusal("--cache-to", "it keeps its cache in the daemon", ("buildah", "buildkit")))
        if request.timestamp is not None:
            found.append(Refusal("--timestamp", "it keeps the times of files", ("buildah",)))
        return found

    def build(self, request: BuildRequest) -> Built:
        run_build(self.workshop, request, self._command(request))
        return self.daemon.inspect(request.references[0])

    def push(self, request: BuildRequest) -> None:
        for reference in request.references:
            self.daemon.push(reference, self.workshop.registry, request, self.workshop)

    def _command(self, request: BuildRequest) -> list[str]:
        return [
            self.client.program, "build", "--progress", "plain", "--file", str(request.dockerfile),
            *(word for reference in request.references for word in ("--tag", reference)),
            *(word for name, value in request.labels.items() for word in ("--label", f"{name}={value}")),
            *(word for platform in request.platforms for word in ("--platform", platform)),
            *(word for source in request.cache_from for word in ("--cache-from", source)),
            *(("--target", request.target) if request.target else ()),
            *(("--network", request.network) if request.network else ()),
            *(("--no-cache",) if request.no_cache else ()),
            *self.workshop.build_arguments(request),
            *(f"--secret=id={secret.id},src={self.workshop.secret_file(secret)}" for secret in request.secrets),
            str(request.context),
        ]  # fmt: skip
