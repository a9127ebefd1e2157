"""`metadata.managedFields` as it is read, kept and written: who owns what, by which way of writing, since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ci_gitops.core.api.typed import Paths
from ci_gitops.core.fieldsets import entries, trie

#: What nobody owns (https://github.com/kubernetes/apimachinery/blob/master/pkg/util/managedfields/internal/stripmeta.go).
NOBODYS: Paths = frozenset((
    ("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace"),
    ("metadata", "creationTimestamp"), ("metadata", "selfLink"), ("metadata", "uid"), ("metadata", "clusterName"),
    ("metadata", "generation"), ("metadata", "managedFields"), ("metadata", "resourceVersion"),
))  # fmt: skip
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"


@dataclass(frozen=True, slots=True)
class Holder:
    """A manager, by one way of writing. One that applies is the same whatever version it applies in."""

    manager: str
    operation: str  # Apply or Update
    subresource: str = ""
    version: str = ""  # of one that updates

    @classmethod
    def applying(cls, manager: str) -> Holder:
        return cls(manager, "Apply")

    @classmethod
    def updating(cls, manager: str, version: str, subresource: str = "") -> Holder:
        return cls(manager, "Update", subresource, version)

    def __str__(self) -> str:
        """As a conflict names it."""
        shown = f'"{self.manager}"'
        if self.subresource:
            shown += f' with subresource "{self.subresource}"'
        return f"{shown} using {self.version}" if self.operation == "Update" else shown


@dataclass(frozen=True, slots=True)
class Holding:
    version: str
    paths: Paths
    time: str


Managers = dict[Holder, Holding]


def read(document: Mapping[str, Any]) -> Managers:
    found: Managers = {}
    for entry in entries(document):
        version = entry.api_version if entry.operation == "Update" else ""
        holder = Holder(entry.manager, entry.operation, entry.subresource, version)
        found[holder] = Holding(entry.api_version, entry.paths, entry.time)
    return found


def written(managers: Managers) -> list[dict[str, Any]]:
    """In the order in which servers write them."""
    made = []
    for holder, holding in sorted(managers.items(), key=_order):
        entry = {
            "manager": holder.manager, "operation": holder.operation, "apiVersion": holding.version,
            "time": holding.time, "fieldsType": "FieldsV1", "fieldsV1": trie(holding.paths),
        }  # fmt: skip
        if holder.subresource:
            entry["subresource"] = holder.subresource
        made.append(entry)
    return made


def _order(item: tuple[Holder, Holding]) -> tuple[str, ...]:
    holder, holding = item
    return holder.operation, holding.time, holder.manager, holding.version, holder.subresource


def owned(paths: Iterable[tuple[Any, ...]], ignored: Iterable[tuple[Any, ...]] = ()) -> Paths:
    """Those that somebody can own; `ignored` are fields that this way of writing does not touch."""
    prefixes = tuple(ignored)
    return frozenset(
        path for path in paths
        if path and path not in NOBODYS and not any(path[: len(prefix)] == prefix for prefix in prefixes)
    )  # fmt: skip


def capped(managers: Managers) -> Managers:
    """Without more than ten that update: the oldest become one."""
    updating = sorted((item for item in managers.items() if item[0].operation == "Update"),
                      key=lambda item: (item[1].time, item[0].manager))  # fmt: skip
    made = dict(managers)
    buckets: dict[Holder, Holding] = {}
    for holder, holding in updating[: max(0, len(updating) - MAX_UPDATERS)]:
        del made[holder]
        ancient = Holder.updating(ANCIENT, holding.version)
        known = buckets.get(ancient) or made.pop(ancient, None)
        buckets[ancient] = replace(holding, paths=holding.paths | (known.paths if known else frozenset()))
    return {**made, **buckets}
