"""Whose a live object is: ours, nobody's, or that of somebody whom a refusal names.

Labels on the object say it, and inventories do where the labels were taken off. What another source or app holds is
never touched; what nobody holds is adopted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ci_gitops.core.inventory import APP, ENVIRONMENT, PART_OF, SOURCE, Inventory, Key, source_label

Holding = Literal["ours", "nobody"]


class Holders:
    """The inventories that are known beside our own, by the objects that they hold."""

    def __init__(self, inventories: Iterable[Inventory] = ()) -> None:
        self._by_key: dict[Key, list[Inventory]] = {}
        for inventory in inventories:
            for member in inventory.members:
                self._by_key.setdefault(member.key, []).append(inventory)

    def of(self, key: Key, uid: str, ours: Inventory) -> Inventory | None:
        """Another inventory that holds this very object."""
        for inventory in self._by_key.get(key, ()):
            other = (inventory.source, inventory.target) != (ours.source, ours.target)
            if other and any(member.key == key and member.uid in ("", uid) for member in inventory.members):
                return inventory
        return None


def holding(live: Mapping[str, Any], ours: Inventory, holders: Holders) -> Holding | str:
    """`ours`, `nobody`, or the words that name who else holds it."""
    metadata = live.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if SOURCE in labels or APP in labels:
        mine = (ours.target.app, ours.target.environment, source_label(ours.source))
        if (labels.get(APP), labels.get(ENVIRONMENT), labels.get(SOURCE)) == mine:
            return "ours"
        return _named(labels, metadata.get("annotations") or {}, ours)
    if labels.get(PART_OF) not in (None, ours.applyset):
        return f"the ApplySet {labels[PART_OF]}"
    if other := holders.of(Key.of(live), str(metadata.get("uid") or ""), ours):
        return f"{other.target}" + ("" if other.source == ours.source else f" of {other.source}")
    key = Key.of(live)
    return "ours" if any(member.key == key for member in ours.members) else "nobody"


def _named(labels: Mapping[str, Any], annotations: Mapping[str, Any], ours: Inventory) -> str:
    who = f"{labels.get(APP) or 'an app'} in {labels.get(ENVIRONMENT) or 'an environment'}"
    if labels.get(SOURCE) == source_label(ours.source):
        return who
    return f"{who} of {annotations.get(SOURCE) or 'another source'}"
