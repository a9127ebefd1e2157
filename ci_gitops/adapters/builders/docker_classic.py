"""The docker package's own build, for a machine with a daemon and no client: Docker's builder of old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.adapters.builders.base import BuildRequest, Built, Refusal
from ci_gitops.adapters.builders.docker_daemon import Daemon, docker_errors
from ci_gitops.adapters.builders.transcript import failed_build
from ci_gitops.adapters.builders.workshop import Workshop
from ci_gitops.core.text import plain
from ci_gitops.errors import UsageError

_WHY = "no docker client with BuildKit is on PATH, and the daemon's old builder lacks it"
_OTHERS = ("buildkit", "buildah")


@dataclass(frozen=True, slots=True)
class ClassicEngine:
    workshop: Workshop
    daemon: Daemon
    name: str = "docker"

    @property
    def title(self) -> str:
        return f"Docker {self.daemon.version} without BuildKit"

    def refusals(self, request: BuildRequest) -> Sequence[Refusal]:
        asked = {
            "--secret": request.secrets, "--platform": request.platforms, "--cache-to": request.cache_to,
            "--timestamp": () if request.timestamp is None else (request.timestamp,),
        }  # fmt: skip
        found = [Refusal(flag, _WHY, _OTHERS) for flag, values in asked.items() if values]
        return [*found, *self.daemon.refusals(self.workshop.registry)]

    def build(self, request: BuildRequest) -> Built:
        lines: list[str] = []
        with docker_errors("building", None):
            for part in self._stream(request):
                for line in plain(str(part.get("stream") or part.get("error") or "")).splitlines():
                    lines.append(line)
                    if line.strip():
                        self.workshop.tell(line)
                if "error" in part:
                    raise failed_build(self.workshop, request, lines)
            image = self.daemon.client.images.get(request.references[0])
            for reference in request.references[1:]:
                image.tag(reference)
        return self.daemon.inspect(request.references[0], request)

    def push(self, request: BuildRequest) -> None:
        self.daemon.push(request, self.workshop)

    def _stream(self, request: BuildRequest) -> Sequence[dict[str, object]]:
        arguments = {name: self._value(name) if value is None else value for name, value in request.build_args}
        # Base images may need the login too; the package would read the user's configuration.
        self.daemon.client.api.reload_config(str(self.workshop.auth_file()))
        # The package's types say bytes; with decode=True it gives the daemon's JSON objects.
        stream: Sequence[dict[str, object]] = self.daemon.client.api.build(  # type: ignore[assignment]
            path=str(request.context), dockerfile=str(request.dockerfile), tag=request.references[0],
            buildargs=arguments, labels=dict(request.labels), target=request.target or "",
            cache_from=list(request.cache_from) or None, nocache=request.no_cache, network_mode=request.network,
            timeout=int(request.timeout), rm=True, forcerm=True, decode=True,
        )  # fmt: skip
        return stream

    def _value(self, name: str) -> str:
        value = self.workshop.environ.get(name)
        if value is None:
            raise UsageError(f"--build-arg {name} has no value, and the variable {name} is not set.")
        return value
