"""Which images an update is about: its arguments, the result files of builds, or what `build` left in variables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ci_gitops.core.images import ImageArgument, ImageRef
from ci_gitops.errors import UsageError

_LARGEST_RESULT = 1024 * 1024  # bytes; a build's result file is a few hundred


def wanted_images(
    arguments: Sequence[str], files: Sequence[Path], environ: Mapping[str, str]
) -> tuple[ImageArgument, ...]:
    """The image arguments of one call, the last one of each name winning.

    What `build` left in `CI_GITOPS_IMAGE_REF` (or `_IMAGE`, `_TAG`, `_DIGEST`) counts where nothing else is given,
    then the image that `DOCKER_REGISTRY_HOST`, `DOCKER_REGISTRY_IMAGE` and the commit name.
    """
    texts = [*arguments, *(reference for file in files for reference in _references(file))]
    if not texts:
        texts = _from_variables(environ)
    images = {image.name: image for image in map(ImageArgument.parse, texts)}
    return tuple(images.values())


def _from_variables(environ: Mapping[str, str]) -> list[str]:
    reference = environ.get("CI_GITOPS_IMAGE_REF")
    if reference:
        ImageRef.parse(reference)
        return [reference]
    name = environ.get("CI_GITOPS_IMAGE")
    if not name:
        return _classic(environ)
    tag, digest = environ.get("CI_GITOPS_TAG"), environ.get("CI_GITOPS_DIGEST")
    return [name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")]


def _classic(environ: Mapping[str, str]) -> list[str]:
    """What such a pipeline's build job pushes, where it hands nothing on: the commit's image under these names."""
    host, path = environ.get("DOCKER_REGISTRY_HOST"), environ.get("DOCKER_REGISTRY_IMAGE")
    tag = environ.get("CI_COMMIT_TAG") or environ.get("CI_COMMIT_SHA")
    return [f"{host.rstrip('/')}/{path.strip('/')}:{tag}"] if host and path and tag else []


def _references(file: Path) -> list[str]:
    """The reference in a result file of `build --result`, or in a list of such documents."""
    try:
        if file.stat().st_size > _LARGEST_RESULT:
            raise UsageError(f"{file} is too large for a result of `ci-gitops build`.")
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", hint="`ci-gitops build --result FILE` writes such a file."
        ) from error
    except ValueError as error:
        raise UsageError(f"{file} is not JSON: {error}.") from error
    documents = document if isinstance(document, list) else [document]
    return [_reference(item, file) for item in documents]


def _reference(document: Any, file: Path) -> str:
    reference = document.get("ref") if isinstance(document, dict) else None
    if not isinstance(reference, str):
        raise UsageError(
            f"{file} is not a result of `ci-gitops build`: it has no text field `ref`.",
            hint="Pass the file that `ci-gitops build --result FILE` wrote.",
        )
    ImageRef.parse(reference)
    return reference
