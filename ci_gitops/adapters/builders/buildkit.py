"""BuildKit through `docker buildx`, with whatever builder is chosen there.

A builder of the plain Docker daemon builds for one platform and leaves pushing to the daemon; a daemon with the
containerd image store and builders of their own (docker-container, kubernetes, remote) push by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.adapters import process
from ci_gitops.adapters.builders.base import BuildRequest, Built, Engine, Refusal
from ci_gitops.adapters.builders.docker_client import Client, build_words, find_client
from ci_gitops.adapters.builders.docker_daemon import Daemon, connect
from ci_gitops.adapters.builders.transcript import run_build, run_push
from ci_gitops.adapters.builders.workshop import Workshop

_FIELD = re.compile(r"^\s*(Driver|BuildKit version):\s*(\S+)", re.MULTILINE)
_FIRST_REWRITING = (0, 13)  # BuildKit that sets the times inside layers
_FIRST_REWRITING_DAEMON = 26
_SECONDS = 180  # a builder of its own may have to be started


def find(workshop: Workshop) -> Engine | str:
    """The engine, or why it cannot work here."""
    client = find_client(workshop, need_buildx=True)
    if client is None:
        return "no docker client with the buildx plugin is on PATH"
    chosen = workshop.environ.get("BUILDX_BUILDER")
    argv = [client.program, "buildx", "inspect", "--bootstrap", *([chosen] if chosen else [])]
    done = process.run(argv, env=workshop.environment(), timeout=_SECONDS)
    fields = dict(_FIELD.findall(done.text))
    if done.code or "Driver" not in fields or not fields.get("BuildKit version"):
        return f"the chosen buildx builder does not work ({(done.errors or done.text).strip()[-200:]})"
    daemon = connect(workshop) if fields["Driver"] == "docker" else None
    if isinstance(daemon, str):
        return daemon
    return BuildkitEngine(workshop, client, fields["Driver"], fields["BuildKit version"], daemon)


@dataclass(frozen=True, slots=True)
class BuildkitEngine:
    workshop: Workshop
    client: Client
    driver: str
    version: str  # of BuildKit
    daemon: Daemon | None  # of the builder, where that is a Docker daemon's own
    name: str = "buildkit"

    @property
    def title(self) -> str:
        daemon = f", Docker {self.daemon.version}" if self.daemon else ""
        return f"BuildKit by buildx {self.client.buildx} (builder {self.driver}{daemon})"

    @property
    def pushes_itself(self) -> bool:
        return self.daemon is None or self.daemon.containerd_store

    def refusals(self, request: BuildRequest) -> Sequence[Refusal]:
        found = []
        if not self.pushes_itself:
            why = "its builder is a Docker daemon without the containerd image store"
            if len(request.platforms) > 1:
                found.append(Refusal("several --platform", why, ("buildah",)))
            if request.cache_to:
                found.append(Refusal("--cache-to", why, ("buildah",)))
        if request.timestamp is not None and not self._rewrites_times():
            found.append(Refusal("--timestamp", "its BuildKit is too old to set the times inside layers", ("buildah",)))
        if self.daemon:
            found += self.daemon.refusals(self.workshop.registry)
        return found

    def build(self, request: BuildRequest) -> Built:
        if not self.pushes_itself:
            assert self.daemon
            tags = [word for reference in request.references for word in ("--tag", reference)]
            run_build(self.workshop, request, [*self._command(request), "--load", *tags])
            return self.daemon.inspect(request.references[0], request)
        # What is not pushed is loaded where that can be; else the build stays in the builder's cache.
        loads = not request.push and len(request.platforms) < 2
        run_build(self.workshop, request, [*self._command(request), "--output", self._local(request, loads)])
        return Built(f"for {', '.join(request.platforms) or 'the platform of the builder'}, kept by the builder")

    def push(self, request: BuildRequest) -> None:
        if not self.pushes_itself:
            assert self.daemon
            self.daemon.push(request, self.workshop)
            return
        # The steps come from the cache now, so --no-cache would build another image.
        command = [word for word in self._command(request) if word != "--no-cache"]
        run_push(self.workshop, request, [*command, "--output", self._remote(request)])

    def _rewrites_times(self) -> bool:
        if self.daemon:
            major = self.daemon.version.partition(".")[0]
            return self.pushes_itself and major.isdigit() and int(major) >= _FIRST_REWRITING_DAEMON
        found = re.match(r"v?(\d+)\.(\d+)", self.version)
        return found is not None and (int(found[1]), int(found[2])) >= _FIRST_REWRITING

    def _command(self, request: BuildRequest) -> list[str]:
        words = [self.client.program, "buildx", "build", *self.client.attestation_words]
        words += build_words(self.workshop, request)
        if self.workshop.environ.get("BUILDX_BUILDER"):
            words += ["--builder", self.workshop.environ["BUILDX_BUILDER"]]
        for reference in request.cache_to:
            words += ["--cache-to", reference if "type=" in reference else f"type=registry,ref={reference},mode=max"]
        if request.timestamp is not None:
            words += ["--build-arg", f"SOURCE_DATE_EPOCH={request.timestamp}"]
        return words

    def _local(self, request: BuildRequest, loads: bool) -> str:
        if not loads:
            return "type=cacheonly"
        return f'type=docker,"name={",".join(request.references)}"'

    def _remote(self, request: BuildRequest) -> str:
        output = f'type=image,"name={",".join(request.references)}",push=true'
        if self.workshop.registry.insecure:
            output += ",registry.insecure=true"
        if request.timestamp is not None:
            output += ",rewrite-timestamp=true"
            output += ",unpack=false,store=false" if self.daemon else ""
        return output
