"""What images say of themselves, asked of their registries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from ci_gitops.core.images import ImageRef
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.steps.registries import registry_at
from ci_gitops.steps.side_by_side import Asked

_SECONDS = 10.0  # for all registries together


def labels_of(
    run: Run, images: Iterable[str], authority: Path | None, seconds: float = _SECONDS
) -> dict[str, Mapping[str, str] | CiGitopsError]:
    """The labels of each image, or why they are not to be had; an image that is not there has none."""
    return Asked({image: partial(_labels, run, image, authority) for image in images}, seconds).answers()


def _labels(run: Run, image: str, authority: Path | None) -> Mapping[str, str]:
    reference = ImageRef.parse(image)
    config = registry_at(run, reference.registry, authority, tries=1, tell=run.output.detail).config(reference)
    return config.labels if config else {}
