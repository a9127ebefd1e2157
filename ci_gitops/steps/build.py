"""From a request to an image in a registry: choose the engine, build, push, read the digest back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ci_gitops.adapters.builders import open_engine
from ci_gitops.adapters.builders.base import BuildRequest
from ci_gitops.adapters.builders.docker_client import context_host
from ci_gitops.adapters.builders.workshop import RegistryAccess, read_secret, workshop
from ci_gitops.adapters.patience import TRIES, AwayError, persist
from ci_gitops.adapters.registry import Registry
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.core.images import ImageRef
from ci_gitops.errors import CiGitopsError, RegistryError
from ci_gitops.results import Result
from ci_gitops.run import Run


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """An image that was built. `digest` is None where it was not pushed."""

    image: str
    tags: tuple[str, ...]
    digest: str | None
    engine: str
    unchanged: bool = False  # the registry had exactly this image already

    @property
    def ref(self) -> str:
        return f"{self.image}:{self.tags[0]}" + (f"@{self.digest}" if self.digest else "")

    @property
    def variables(self) -> dict[str, str]:
        """For later jobs; `update` takes them as its default."""
        found = {"CI_GITOPS_IMAGE": self.image, "CI_GITOPS_TAG": self.tags[0]}
        if self.digest:
            found["CI_GITOPS_DIGEST"] = self.digest
        return {**found, "CI_GITOPS_IMAGE_REF": self.ref}

    @property
    def document(self) -> Mapping[str, Any]:
        return {
            "image": self.image, "tags": list(self.tags), "digest": self.digest, "ref": self.ref,
            "engine": self.engine, "pushed": self.digest is not None,
        }  # fmt: skip


def open_registry(run: Run, access: RegistryAccess, tries: int = TRIES) -> Registry:
    """A client for the registry that the image goes to."""
    server = run.environ.get("CI_SERVER_HOST")
    return Registry(
        RegistryHttp(
            access.host,
            access.login,
            access.ca_file,
            access.insecure,
            run.environ,
            trusted_hosts=(server,) if server else (),
            tries=tries,
            tell=run.output.warn,
        )
    )


def build_image(run: Run, request: BuildRequest, access: RegistryAccess, engine_name: str | None) -> BuildOutcome:
    """Build and, unless told otherwise, push. The digest is what the registry says, not what the engine thinks."""
    for secret in request.secrets:
        read_secret(secret, run.environ)
    host = context_host(run.environ)
    environ = {**run.environ, "DOCKER_HOST": host} if host else run.environ
    with workshop(environ, access, run.output) as place:
        engine = open_engine(engine_name, request, place)
        outcome = BuildOutcome(request.image, request.tags, None, engine.title)
        run.output.note(f"Engine: {outcome.engine}")
        before = _ask_first(run, access, request) if request.push else None
        with run.output.section("build", f"Building {request.references[0]}"):
            built = persist(lambda: engine.build(request), tell=run.output.warn)
        run.output.note(f"Built {built.summary}")
        if not request.push:
            return outcome
        try:
            with run.output.section("push", f"Pushing {', '.join(request.references)}"):
                persist(lambda: engine.push(request), tell=run.output.warn)
            digest = _digest(open_registry(run, access), request)
        except CiGitopsError as error:
            error.result = Result("BuildResult", outcome.document)
            raise
    return replace(outcome, digest=digest, unchanged=digest == before)


def _ask_first(run: Run, access: RegistryAccess, request: BuildRequest) -> str | None:
    """Refused credentials are told before the build, not after it. What the tag points to now."""
    ref = ImageRef.parse(request.references[0])
    registry = open_registry(run, access, tries=1)
    try:
        registry.check_login(ref.repository)
        found = registry.head(ref)
    except AwayError as error:
        run.output.warn(f"{error.message} Building all the same; it is asked again for the push.")
        return None
    return found.digest if found else None


def _digest(registry: Registry, request: BuildRequest) -> str:
    """The digest that the registry has for the tags; all of them must have the same."""
    found = {reference: registry.head(ImageRef.parse(reference)) for reference in request.references}
    missing = [reference for reference, descriptor in found.items() if descriptor is None]
    if missing:
        raise RegistryError(f"The registry {registry.http.host} does not have {missing[0]}, although it was pushed.")
    digests = {descriptor.digest for descriptor in found.values() if descriptor}
    if len(digests) != 1:
        raise RegistryError(
            f"The tags of {request.image} have different digests: somebody else pushed one of them at the same time.",
            hint="Build again, with a tag that belongs to this commit alone.",
        )
    return digests.pop()
