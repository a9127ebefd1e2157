"""The images that one rendered object names, wherever it names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: What these hold is data of applications, not an object that runs.
_DATA = {"ConfigMap", "Secret"}
_DEEPEST = 60


def named_images(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Every `image` of it, each once: of containers, image volumes, and of custom resources that name theirs so."""
    if document.get("kind") in _DATA and "/" not in str(document.get("apiVersion")):
        return ()
    found = (image for key in sorted(document.keys() - {"metadata", "status"}) for image in _images(document[key], 0))
    return tuple(dict.fromkeys(found))


def _images(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key == "image":
                yield from _named(below)
            else:
                yield from _images(below, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _images(item, depth + 1)


def _named(value: Any) -> Iterator[str]:
    """A reference, or an image volume's mapping that holds one; the address of a picture is none."""
    if isinstance(value, Mapping):
        value = value.get("reference")
    if isinstance(value, str) and value and "://" not in value:
        yield value
