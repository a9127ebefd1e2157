"""buildah: needs no daemon, builds for several platforms, reproducibly, and without root.

Where nothing else is set it uses chroot isolation and the vfs driver, which work inside an unprivileged container.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.adapters import process
from ci_gitops.adapters.builders.base import BuildRequest, Built, Engine, Refusal
from ci_gitops.adapters.builders.transcript import read_dockerfile, run_build, run_push
from ci_gitops.adapters.builders.workshop import Workshop
from ci_gitops.core.dockerfile import instructions
from ci_gitops.core.hosts import is_loopback
from ci_gitops.errors import BuildError

_SECONDS = 60
_SETTINGS = ("BUILDAH_ISOLATION", "STORAGE_DRIVER")  # which the caller may have made otherwise
_VERSION = re.compile(r"version (\S+)")
_SYSTEM_REGISTRIES = Path("/etc/containers/registries.conf")


def find(workshop: Workshop) -> Engine | str:
    """The engine, or why it cannot work here."""
    program = shutil.which("buildah", path=workshop.environ.get("PATH"))
    if program is None:
        return "buildah is not on PATH"
    engine = BuildahEngine(workshop, program)
    # `info` opens the storage: without root it needs user namespaces, which many containers lack.
    done = process.run([program, "info"], env=engine.environment(), timeout=_SECONDS)
    if done.code:
        return f"buildah does not work here ({done.errors[-200:]})"
    return engine


@dataclass(frozen=True, slots=True)
class BuildahEngine:
    workshop: Workshop
    program: str
    name: str = "buildah"

    @property
    def title(self) -> str:
        done = process.run([self.program, "--version"], env=self.environment(), timeout=_SECONDS)
        version = _VERSION.search(done.text)
        return f"buildah {version[1] if version else ''} ({self.environment()['BUILDAH_ISOLATION']} isolation)"

    def environment(self, request: BuildRequest | None = None) -> dict[str, str]:
        """buildah's settings, as far as the caller has not made them."""
        given = self.workshop.environment(request)
        # Its own file of logins alone: the Docker client's has an empty helper, which buildah would call.
        given["DOCKER_CONFIG"] = str(self.workshop.folder / "no-docker-config")
        ours = {"BUILDAH_ISOLATION": "chroot", "REGISTRY_AUTH_FILE": str(self.workshop.auth_file())}
        if not given.get("CONTAINERS_STORAGE_CONF"):
            ours["STORAGE_DRIVER"] = "vfs"
        if self._unverified:
            ours["CONTAINERS_REGISTRIES_CONF"] = str(self._registries_file())
        return {**given, **{name: value for name, value in ours.items() if name not in _SETTINGS or name not in given}}

    def refusals(self, request: BuildRequest) -> Sequence[Refusal]:
        found = []
        isolation = self.workshop.environ.get("BUILDAH_ISOLATION", "chroot")
        if request.network not in (None, "host") and isolation == "chroot":
            why = "with chroot isolation steps share the network of the machine"
            found.append(Refusal("--network", why, ("docker", "buildkit")))
        if request.timestamp is not None and _needs_docker_format(request):
            why = "HEALTHCHECK and ONBUILD need Docker's format, in which it writes random names"
            found.append(Refusal("--timestamp", why, ("buildkit",)))
        for flag, values in (("--cache-from", request.cache_from), ("--cache-to", request.cache_to)):
            if any(":" in value.rpartition("/")[2] or "=" in value for value in values):
                why = "it takes a repository without tag for its cache"
                found.append(Refusal(f"{flag} with a tag", why, ("buildkit",)))
        return found

    def build(self, request: BuildRequest) -> Built:
        platforms = sorted(request.platforms) or [""]
        images = {platform: self._build_one(request, platform) for platform in platforms}
        if len(platforms) == 1:
            image = images[platforms[0]]
            for reference in request.references:
                self._quiet("tag", image, reference)
            return Built(f"{image[:12]}, {self._platform(image)}")
        index = self._make_index(request, [images[platform] for platform in platforms])
        return Built(f"for {', '.join(platforms)}, as {index} here")

    def push(self, request: BuildRequest) -> None:
        index = _index_name(request) if len(request.platforms) > 1 else None
        # Its own three tries, two seconds apart, would come on top of ours.
        words = ["manifest", "push", "--all"] if index else ["push", "--retry-delay", "1ms"]
        if self._unverified:
            words.append("--tls-verify=false")
        for reference in request.references:
            target = [*self._certificates(), index or reference, f"docker://{reference}"]
            run_push(self.workshop, request, [self.program, *words, *target], self.environment())

    def _build_one(self, request: BuildRequest, platform: str) -> str:
        """Build for one platform and give the image's id.

        For images FROM scratch the cache of layers does not look at the platform, so the answer is checked.
        """
        image = self._run(request, platform, no_cache=request.no_cache)
        if platform and not self._is_for(image, platform):
            image = self._run(request, platform, no_cache=True)
            if not self._is_for(image, platform):
                raise BuildError(f"buildah was asked for {platform} and built for {self._platform(image)}.")
        return image

    def _run(self, request: BuildRequest, platform: str, *, no_cache: bool) -> str:
        id_file = self.workshop.folder / f"image-{secrets.token_hex(4)}"
        run_build(self.workshop, request, self._command(request, platform, no_cache, id_file),
                  self.environment(request))  # fmt: skip
        return id_file.read_text().strip().removeprefix("sha256:")

    def _command(self, request: BuildRequest, platform: str, no_cache: bool, id_file: Path) -> list[str]:
        form = "docker" if _needs_docker_format(request) else "oci"
        ignore = request.dockerfile.with_name(f"{request.dockerfile.name}.dockerignore")
        return [
            self.program, "build", "--format", form, "--layers", "--identity-label=false",
            "--iidfile", str(id_file), "--file", str(request.dockerfile), *self._certificates(),
            *(word for name, value in request.labels.items() for word in ("--label", f"{name}={value}")),
            *(("--platform", platform) if platform else ()),
            *(("--target", request.target) if request.target else ()),
            *(("--network", request.network) if request.network else ()),
            *(("--no-cache",) if no_cache else ()),
            *(("--timestamp", str(request.timestamp)) if request.timestamp is not None else ()),
            *(("--ignorefile", str(ignore)) if ignore.is_file() else ()),
            *(word for source in request.cache_from for word in ("--cache-from", source)),
            *(word for target in request.cache_to for word in ("--cache-to", target)),
            *self.workshop.build_arguments(request),
            *(f"--secret=id={secret.id},src={self.workshop.secret_file(secret)}" for secret in request.secrets),
            str(request.context),
        ]  # fmt: skip

    def _make_index(self, request: BuildRequest, images: Sequence[str]) -> str:
        """An index of the images in one order, so that the same images give the same digest."""
        index = _index_name(request)
        # One of that name from an earlier build would be added to; there may be none.
        process.run([self.program, "manifest", "rm", index], env=self.environment(), timeout=_SECONDS)
        self._quiet("manifest", "create", index)
        for image in images:
            self._quiet("manifest", "add", index, image)
        return index

    def _is_for(self, image: str, platform: str) -> bool:
        return self._platform(image).split("/")[:2] == platform.split("/")[:2]

    def _platform(self, image: str) -> str:
        return self._quiet("inspect", "--type", "image", "--format", "{{.OCIv1.OS}}/{{.OCIv1.Architecture}}", image)

    def _quiet(self, *words: str) -> str:
        """One of buildah's small commands."""
        done = process.run([self.program, *words], env=self.environment(), timeout=_SECONDS)
        if done.code:
            raise BuildError(f"`buildah {' '.join(words[:2])}` failed: {done.errors[-400:]}")
        return done.text.strip()

    @property
    def _unverified(self) -> bool:
        registry = self.workshop.registry
        return registry.insecure or is_loopback(registry.host)

    def _certificates(self) -> list[str]:
        """`--cert-dir`: buildah adds the authorities in that folder to the system's."""
        authority = self.workshop.registry.ca_file
        if authority is None:
            return []
        folder = self.workshop.folder / "certificates"
        if not folder.exists():
            folder.mkdir()
            shutil.copyfile(authority, folder / "ca.crt")
        return ["--cert-dir", str(folder)]

    def _registries_file(self) -> Path:
        """The machine's settings for registries, with ours marked as insecure: base images may lie there."""
        path = self.workshop.folder / "registries.conf"
        if not path.exists():
            named = Path(self.workshop.environ.get("CONTAINERS_REGISTRIES_CONF") or "/nonexistent")
            user = Path(self.workshop.environ.get("HOME", "/nonexistent")) / ".config/containers/registries.conf"
            there = next((file.read_text() for file in (named, user, _SYSTEM_REGISTRIES) if file.is_file()), "")
            host = json.dumps(self.workshop.registry.host)
            path.write_text(f"{there}\n[[registry]]\nlocation = {host}\ninsecure = true\n")
        return path


def _needs_docker_format(request: BuildRequest) -> bool:
    """Whether the Dockerfile says something that the OCI format has no place for: buildah would drop it."""
    keywords = {item.text.split(" ", 1)[0].upper() for item in instructions(read_dockerfile(request.dockerfile))}
    return not keywords.isdisjoint({"HEALTHCHECK", "ONBUILD"})


def _index_name(request: BuildRequest) -> str:
    """A name of its own: the image's may stand for an image of one platform already."""
    return f"localhost/ci-gitops-index/{hashlib.sha256(request.image.encode()).hexdigest()[:16]}"
