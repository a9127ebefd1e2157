"""Values of Secrets, taken out of what is shown: one placeholder for each value, so that equality stays visible.

`[masked #1]` in the declared and in the live object is the same value, written as `data` or as `stringData`. Where an
annotation repeats a whole object, as that of `kubectl apply` does, it is hidden on every object. Plans are masked when
they are made; whatever else shows a manifest goes through `masked` too.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from typing import Any

from ci_gitops.core.fieldsets import MISSING, Path

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SHORTEST = 4  # anything shorter would mask half of every text


class Placeholders:
    """The placeholders of one run; the numbers say which values are equal and nothing else."""

    def __init__(self, annotations: Collection[str] = ()) -> None:
        self._numbers: dict[bytes, int] = {}
        self._annotations = {LAST_APPLIED, *annotations}

    def of(self, plain: bytes) -> str:
        return f"[masked #{self._numbers.setdefault(plain, len(self._numbers) + 1)}]"

    def hides(self, document: Mapping[str, Any], path: Path) -> bool:
        """Whether the value at `path` of `document` is, or holds, a secret."""
        if path[:2] == ("metadata", "annotations"):
            return len(path) == 2 or path[2] in self._annotations
        return is_secret(document) and path[:1] in (("data",), ("stringData",))

    def touches(self, document: Mapping[str, Any]) -> bool:
        """Whether anything of the object is hidden."""
        annotations = (document.get("metadata") or {}).get("annotations") or ()
        return is_secret(document) or any(name in self._annotations for name in annotations)

    def shown(self, document: Mapping[str, Any], path: Path, value: Any) -> Any:
        """`value`, which stands at `path` of `document`, as it may be shown."""
        if value is MISSING or value is None or not self.hides(document, path):
            return value
        if isinstance(value, Mapping):
            return {name: self.shown(document, (*path, name), inner) for name, inner in value.items()}
        return self.of(plain(path, value))

    def masked(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of an object without its secrets."""
        copied = {name: self.shown(document, (name,), value) for name, value in document.items()}
        metadata = document.get("metadata")
        if isinstance(metadata, Mapping) and isinstance(metadata.get("annotations"), Mapping):
            path = ("metadata", "annotations")
            copied["metadata"] = {**metadata, "annotations": self.shown(document, path, metadata["annotations"])}
        return copied

    def conceal(self, text: str, document: Mapping[str, Any]) -> str:
        """`text`, which somebody wrote about `document`, without the values of its secrets in any spelling."""
        if not is_secret(document):
            return text
        for path, value in _values(document):
            bare = plain(path, value)
            spellings = {bare.decode(errors="replace"), base64.b64encode(bare).decode(), str(value)}
            for spelling in sorted(spellings, key=len, reverse=True):
                if len(spelling) >= _SHORTEST:
                    text = text.replace(spelling, self.of(bare))
        return text


def is_secret(document: Mapping[str, Any]) -> bool:
    return document.get("kind") == "Secret" and document.get("apiVersion") == "v1"


def plain(path: Path, value: Any) -> bytes:
    """The bytes that a value stands for: `data` holds them as base64."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if path[:1] == ("data",):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass  # the server will refuse it; it is no less secret
    return text.encode(errors="surrogatepass")


def _values(document: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    return [
        ((field, name), value)
        for field in ("data", "stringData")
        for name, value in (document.get(field) or {}).items()
        if value is not None
    ]
