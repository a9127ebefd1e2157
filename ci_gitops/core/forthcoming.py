"""What a pass itself is going to bring: namespaces and kinds that the server does not know yet.

Objects that need them are planned all the same, and what the server could not be asked is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Forthcoming:
    """Declared namespaces, and declared kinds by (group, kind) with whether they live in namespaces."""

    namespaces: frozenset[str] = frozenset()
    kinds: Mapping[tuple[str, str], bool] = field(default_factory=dict)

    def namespaced(self, api_version: str, kind: str) -> bool | None:
        """None for a kind that nobody declares."""
        return self.kinds.get((api_version.rpartition("/")[0], kind))


def forthcoming(documents: Iterable[Mapping[str, Any]], namespaces: Iterable[str] = ()) -> Forthcoming:
    """Of all documents of a pass; `namespaces` are made whatever is rendered."""
    found, kinds = set(namespaces), {}
    for document in documents:
        if document.get("kind") == "Namespace":
            found.add(str((document.get("metadata") or {}).get("name")))
        elif document.get("kind") == "CustomResourceDefinition":
            spec = document.get("spec")
            names = spec.get("names") if isinstance(spec, Mapping) else None
            if isinstance(spec, Mapping) and isinstance(names, Mapping):
                kinds[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") == "Namespaced"
    return Forthcoming(frozenset(found), kinds)
