"""`--pin`: the digest that each tag has in its registry now, so that tag and digest are written together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ci_gitops.core.images import KEEP, ImageArgument, ImageRef
from ci_gitops.core.updates import Intent
from ci_gitops.errors import RegistryError
from ci_gitops.run import Run
from ci_gitops.steps.registries import registry_at

_AT_ONCE = 4


def pinned(run: Run, intent: Intent, authority: Path | None) -> Intent:
    """The same intent, each image that has a tag and no digest with the digest that the registry says."""
    run.output.step("Asking the registry for digests")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        images = tuple(pool.map(lambda image: _pin(run, image, authority), intent.images))
    return replace(intent, images=images)


def _pin(run: Run, image: ImageArgument, authority: Path | None) -> ImageArgument:
    if image.tag in (None, KEEP) or image.digest is not None:
        return image
    name = image.new_name if image.new_name not in (None, KEEP) else image.name
    reference = ImageRef(str(name), image.tag)
    host = reference.registry
    found = registry_at(run, host, authority).head(reference)
    if found is None:
        raise RegistryError(f"There is no image {reference} at {host}.", hint="Push it first, or correct the tag.")
    return replace(image, digest=found.digest)
