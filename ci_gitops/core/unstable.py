"""Fields that come out differently each time that a target is rendered: they would be applied again at every pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.manifests import Manifest

#: Functions of Helm's templates whose answer changes (https://masterminds.github.io/sprig/).
_CHANGING = re.compile(
    rb"\b(rand(Alpha|Numeric|Ascii|Bytes|Int)\w*|gen(PrivateKey|CA|SelfSigned|Signed)\w*|uuidv4|htpasswd|bcrypt"
    rb"|encryptAES|shuffle|now)\b"
)


@dataclass(frozen=True, slots=True)
class Unstable:
    """One field, as a JSON pointer, of one object."""

    manifest: Manifest
    pointer: str

    def __str__(self) -> str:
        return f"{self.manifest}: {self.pointer}"


def may_change(template: bytes) -> bool:
    """Whether a template calls a function whose answer changes."""
    return _CHANGING.search(template) is not None


def unstable_fields(first: Sequence[Manifest], second: Sequence[Manifest]) -> tuple[Unstable, ...]:
    """Where two renderings of the same differ; an object that only one has differs in its name."""
    others = {_key(manifest): manifest for manifest in second}
    found: list[Unstable] = []
    for manifest in first:
        other = others.get(_key(manifest))
        pointers = _differences(manifest.document, other.document, "") if other else iter(["/metadata/name"])
        found += [Unstable(manifest, pointer) for pointer in pointers]
    return tuple(found)


def _key(manifest: Manifest) -> tuple[str, str, str | None, str]:
    return manifest.api_version, manifest.kind, manifest.namespace, manifest.name


def _differences(one: Any, other: Any, pointer: str) -> Iterator[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys((*one, *other)):
            escaped = str(key).replace("~", "~0").replace("/", "~1")
            yield from _differences(one.get(key), other.get(key), f"{pointer}/{escaped}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, f"{pointer}/{number}")
    elif one != other:
        yield pointer or "/"
