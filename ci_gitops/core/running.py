"""The images that a set of manifests runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_CONTAINERS = ("initContainers", "containers")


def images_of(documents: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Every image of the pods that `documents` are or make, as written, in their order."""
    return tuple(dict.fromkeys(image for document in documents for image in _images(document)))


def _images(document: Mapping[str, Any]) -> Iterator[str]:
    spec: Any = document.get("spec")
    for name in ("jobTemplate", "template"):
        if isinstance(spec, Mapping) and isinstance(spec.get(name), Mapping):
            spec = spec[name].get("spec")
    if not isinstance(spec, Mapping):
        return
    for field in _CONTAINERS:
        containers = spec.get(field)
        for container in containers if isinstance(containers, list) else ():
            image = container.get("image") if isinstance(container, Mapping) else None
            if isinstance(image, str) and image:
                yield image
