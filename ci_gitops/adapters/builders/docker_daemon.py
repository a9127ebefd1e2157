"""The Docker daemon through the docker package: is it there, log in, push, inspect."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci_gitops.adapters.builders.base import BuildRequest, Built, Refusal
from ci_gitops.adapters.builders.trouble import registry_trouble
from ci_gitops.adapters.builders.workshop import RegistryAccess, Workshop
from ci_gitops.adapters.patience import AwayError, persist
from ci_gitops.core.hosts import is_loopback
from ci_gitops.errors import BuildError, CiGitopsError, RegistryError

if TYPE_CHECKING:
    import docker

_LOCAL = "unix:///var/run/docker.sock"
_SECONDS = 60  # for one answer; a push says something more often than that


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that answers."""

    client: docker.DockerClient
    address: str
    info: Mapping[str, Any]

    @property
    def version(self) -> str:
        return str(self.info.get("ServerVersion", "unknown"))

    @property
    def containerd_store(self) -> bool:
        """Whether images live in containerd: then several platforms and timestamps are possible."""
        return any("io.containerd.snapshotter" in str(entry) for entry in self.info.get("DriverStatus") or [])

    def takes_insecure(self, host: str) -> bool:
        """Whether the daemon's own configuration allows plain HTTP or any certificate at `host`."""
        settings = self.info.get("RegistryConfig") or {}
        index = (settings.get("IndexConfigs") or {}).get(host) or {}
        if index.get("Secure") is False or is_loopback(host):
            return True
        try:
            address = ipaddress.ip_address(host.rsplit(":", 1)[0].strip("[]"))
        except ValueError:
            return False
        networks = map(ipaddress.ip_network, settings.get("InsecureRegistryCIDRs") or [])
        return any(address.version == network.version and address in network for network in networks)

    def refusals(self, registry: RegistryAccess) -> list[Refusal]:
        """`--insecure-registry` is the daemon's to decide: a client cannot make it trust anything."""
        if not registry.insecure or self.takes_insecure(registry.host):
            return []
        why = f"its daemon allows that in its own configuration only (insecure-registries: [{registry.host}])"
        return [Refusal("--insecure-registry", why, ("buildah",))]

    def push(self, request: BuildRequest, workshop: Workshop) -> None:
        """Push each reference with the login of this run; the daemon keeps no password."""
        for reference in request.references:
            with docker_errors(f"pushing {reference}", workshop.registry):
                self._push_one(reference, workshop)

    def _push_one(self, reference: str, workshop: Workshop) -> None:
        name, tag = reference.rsplit(":", 1)
        auth = _auth(workshop.registry)
        for line in self.client.api.push(name, tag=tag, stream=True, decode=True, auth_config=auth):
            if "error" in line:
                raise _push_error(reference, str(line["error"]), workshop.registry)
            moving = line.get("progressDetail") or line.get("status") in ("Preparing", "Waiting")
            if line.get("status") and (workshop.live or not moving):
                part = f"{line['id']}: " if line.get("id") else ""
                workshop.tell(f"{part}{line['status']} {line.get('progress', '')}".rstrip())

    def inspect(self, reference: str, request: BuildRequest) -> Built:
        """Id, size and platform of an image that was built. An old daemon may have ignored the platform."""
        with docker_errors(f"inspecting {reference}", None):
            image = self.client.images.get(reference)
        facts = image.attrs
        platform = "/".join(str(facts[key]) for key in ("Os", "Architecture", "Variant") if facts.get(key))
        if len(request.platforms) > 1:
            platform = ", ".join(request.platforms)
        elif request.platforms and platform.split("/")[:2] != request.platforms[0].split("/")[:2]:
            raise BuildError(f"Docker {self.version} was asked for {request.platforms[0]} and built for {platform}.")
        return Built(f"{image.short_id.removeprefix('sha256:')}, {_megabytes(facts.get('Size', 0))}, {platform}")


def connect(workshop: Workshop) -> Daemon | str:
    """The daemon that DOCKER_HOST or the chosen context names (or the local socket), or why there is none."""
    environ = {name: value for name, value in workshop.environ.items() if name.startswith("DOCKER_")}
    address = environ.get("DOCKER_HOST") or _LOCAL
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        return f"no Docker daemon listens at {address}"

    import docker
    from docker.errors import DockerException

    def ask() -> Daemon:
        try:
            client = docker.from_env(environment=environ, timeout=_SECONDS)
            return Daemon(client, address, client.info())
        except (DockerException, OSError, ValueError) as error:
            raise AwayError(f"No Docker daemon answers at {address} ({_short(error)}).") from error

    try:
        # A daemon at an address is a service that a job starts beside itself: it may need some seconds.
        return persist(ask, tell=workshop.tell, wait=workshop.wait, tries=4 if address.startswith("tcp:") else 1)
    except AwayError as error:
        return error.message


@contextmanager
def docker_errors(doing: str, registry: RegistryAccess | None) -> Iterator[None]:
    """Turns the docker package's exceptions into ours."""
    import requests
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, requests.RequestException) as error:
        said = _short(error)
        trouble = registry_trouble(said, registry) if registry else None
        raise trouble or BuildError(f"The Docker daemon failed while {doing}: {said}.") from error


def _auth(registry: RegistryAccess) -> dict[str, str]:
    login = registry.login
    if login is None:
        return {}  # not None: the package would look into the user's configuration by itself
    if login.identity_token:
        return {"identitytoken": login.identity_token, "serveraddress": registry.host}
    return {"username": login.user, "password": login.password, "serveraddress": registry.host}


def _push_error(reference: str, said: str, registry: RegistryAccess) -> CiGitopsError:
    trouble = registry_trouble(said, registry)
    if trouble and trouble.hint and "--ca-file" in trouble.hint:
        # We may know the authority; it is the daemon that connects.
        trouble.hint = (
            f"The Docker daemon checks by itself: put the authority's certificate at "
            f"/etc/docker/certs.d/{registry.host}/ca.crt on its machine, or use --engine buildah."
        )
    return trouble or RegistryError(f"{reference} was not pushed: {said}")


def _short(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return str(explanation or error).strip().splitlines()[0][:300] if str(error) else type(error).__name__


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
