"""What a call of `build` asks for, from its options and from what CI says."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.adapters.builders import ENGINES
from ci_gitops.adapters.builders.base import BuildRequest, BuildSecret
from ci_gitops.adapters.builders.workshop import RegistryAccess
from ci_gitops.adapters.certificates import ca_file
from ci_gitops.adapters.registry_login import login_for
from ci_gitops.core import durations, oci
from ci_gitops.core.images import ImageRef
from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import UsageError
from ci_gitops.run import Run

_SECRET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of `build`, as given."""

    context: Path
    image: str | None
    tags: Sequence[str]
    dockerfile: Path | None
    target: str | None
    build_args: Sequence[str]
    secrets: Sequence[str]
    labels: Sequence[str]
    platforms: Sequence[str]
    cache_from: Sequence[str]
    cache_to: Sequence[str]
    no_cache: bool
    network: str | None
    timestamp: int | None
    engine: str | None
    push: bool
    dotenv_file: Path | None
    result_file: Path | None
    registry_user: str | None
    registry_password_file: Path | None
    ca_file: Path | None
    insecure_registry: bool
    timeout: str
    dry_run: bool


def make_request(options: BuildOptions, run: Run) -> BuildRequest:
    """The request, checked as far as that goes without an engine."""
    if options.engine and options.engine not in ENGINES:
        raise UsageError(f"There is no engine {options.engine!r}.", hint=did_you_mean(options.engine, ENGINES))
    image, tag_of_image = _image(options.image, run)
    tags = _tags(options.tags, tag_of_image, run)
    for tag in tags:
        ImageRef.parse(f"{image}:{tag}")
    context, dockerfile = _files(options, run.cwd)
    return BuildRequest(
        image, tags, context, dockerfile,
        target=options.target,
        build_args=tuple(_argument(text) for text in options.build_args),
        secrets=tuple(_secret(text, run) for text in options.secrets),
        labels={**oci.labels(run.ci, tags[0]), **dict(_label(text) for text in options.labels)},
        platforms=tuple(dict.fromkeys(_split(options.platforms))),
        cache_from=tuple(options.cache_from), cache_to=tuple(options.cache_to), no_cache=options.no_cache,
        network=options.network, timestamp=_timestamp(options.timestamp, run.environ), push=options.push,
        timeout=_seconds(options.timeout),
    )  # fmt: skip


def registry_access(options: BuildOptions, request: BuildRequest, run: Run) -> RegistryAccess:
    """How to reach the registry of the image, and who we are there."""
    host = ImageRef.parse(request.image).registry
    login = login_for(
        host, run.environ, user=options.registry_user,
        password_file=_at(run.cwd, options.registry_password_file),
        password=run.environ.get("CI_GITOPS_BUILD_REGISTRY_PASSWORD"),
    )  # fmt: skip
    authority = ca_file(run.environ, _at(run.cwd, options.ca_file))
    return RegistryAccess(host, login, authority, options.insecure_registry)


def _at(folder: Path, path: Path | None) -> Path | None:
    return folder / path if path else None


def _image(given: str | None, run: Run) -> tuple[str, str | None]:
    """The name without tag, and the tag that was written with it."""
    environ = run.environ
    host, path = environ.get("DOCKER_REGISTRY_HOST"), environ.get("DOCKER_REGISTRY_IMAGE")
    named = f"{host.split('://')[-1].rstrip('/')}/{path.lstrip('/')}" if host and path else None
    name = given or named or run.ci.registry_image
    if not name:
        raise UsageError(
            "No image name was given.",
            hint="--image NAME, or DOCKER_REGISTRY_HOST and DOCKER_REGISTRY_IMAGE, or CI_REGISTRY_IMAGE in GitLab CI.",
        )
    ref = ImageRef.parse(name)
    if ref.digest:
        raise UsageError(f"{name} has a digest; an image that is to be built has none yet.")
    return ref.name, ref.tag


def _tags(given: Sequence[str], tag_of_image: str | None, run: Run) -> tuple[str, ...]:
    tags = [*given, *([tag_of_image] if tag_of_image else [])]
    if not tags:
        tags = [tag for tag in (run.ci.tag or run.ci.commit,) if tag]
    if not tags:
        raise UsageError(
            "No tag was given, and there is no CI_COMMIT_TAG or CI_COMMIT_SHA to take.", hint="Add --tag TAG."
        )
    return tuple(dict.fromkeys(tags))


def _files(options: BuildOptions, cwd: Path) -> tuple[Path, Path]:
    context = (cwd / options.context).resolve()
    if not context.is_dir():
        raise UsageError(f"The build context {options.context} is no folder.")
    dockerfile = cwd / options.dockerfile if options.dockerfile else context / "Dockerfile"
    if not dockerfile.is_file():
        raise UsageError(f"There is no Dockerfile at {dockerfile}.", hint="Name it with --file FILE.")
    return context, dockerfile.absolute()


def _argument(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not _VARIABLE.fullmatch(name):
        raise UsageError(f"--build-arg {name!r}: the name must be letters, digits and underscores.")
    return name, value if equals else None


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"--label {text!r} should be KEY=VALUE.")
    return name, value


def _secret(text: str, run: Run) -> BuildSecret:
    """`id=ID` with `src=FILE` or `env=NAME`; alone it is the variable of that name, as for Docker."""
    try:
        parts = next(csv.reader([text]), [])  # a part that holds a comma is quoted, as for Docker
    except csv.Error:
        parts = []
    fields = dict(part.partition("=")[::2] for part in parts)
    unknown = set(fields) - {"id", "src", "source", "env", "type"}
    name = fields.get("id", "")
    if unknown or not _SECRET_ID.fullmatch(name):
        # Not shown whole: somebody may have written the secret itself there.
        raise UsageError("--secret should be id=ID,src=FILE or id=ID,env=NAME.")
    file = fields.get("src") or fields.get("source")
    if file:
        path = (run.cwd / Path(file).expanduser()).absolute()
        return BuildSecret(name, file=path)
    variable = fields.get("env") or name
    if variable not in run.environ:
        raise UsageError(f"--secret id={name}: the variable {variable} is not set.")
    return BuildSecret(name, variable=variable)


def _split(values: Sequence[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _timestamp(given: int | None, environ: Mapping[str, str]) -> int | None:
    """https://reproducible-builds.org/specs/source-date-epoch/"""
    epoch = environ.get("SOURCE_DATE_EPOCH")
    if given is not None or not epoch:
        return given
    if not (epoch.isascii() and epoch.isdigit()):
        raise UsageError(f"SOURCE_DATE_EPOCH should be seconds since 1970, not {epoch!r}.")
    return int(epoch)


def _seconds(text: str) -> float:
    try:
        return durations.parse_duration(text).total_seconds()
    except ValueError as error:
        raise UsageError(f"--timeout: {error}.") from error
