"""Fields that older writers hold, given to us, so that one that leaves Git really goes.

An object that was kept by `kubectl apply`, or written before there was field management, has managers beside us that
own every field; server-side apply then never removes one. And an entry of `metadata.managedFields` that names a
version of the API which we no longer apply makes the API server refuse, since the fields of the one are not declared
in the other. Both are mended by writing the entries anew, in one patch that holds only for the object as it was read.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.core import fieldsets
from ci_gitops.core.conflicts import is_kubectl
from ci_gitops.core.fieldsets import Path, read
from ci_gitops.core.secret_values import LAST_APPLIED

_OUTDATED = re.compile(
    r"failed to prune fields|failed to convert|to convert CR to an invalid group/version"
    r"|failed to create manager for existing fields"
)
#: An entry of managedFields as it stands.
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Migration:
    """A JSON patch, and what it means. Where the object has changed since it was read, it is answered with 409."""

    operations: tuple[Mapping[str, Any], ...]
    managers: tuple[str, ...]  # those that give up their fields
    owned: frozenset[Path]  # what becomes ours: what we do not declare of it goes with our next apply
    versions: tuple[str, ...]  # of the API, which no entry names any more


def outdated(message: str) -> bool:
    """Whether a refusal of server-side apply comes from entries in another version of the API."""
    return bool(_OUTDATED.search(message))


def migration(live: Mapping[str, Any], manager: str, *, served: Collection[str] = ()) -> Migration | None:
    """What must be written before `manager` applies the object in the version of `live`; None: nothing.

    The fields of kubectl's managers are taken on first contact only: later they are somebody's changes by hand.
    `served` are the API versions of the group that the server knows: an entry of others may name any of them. After
    an `outdated` refusal none are given, since then the fields of those entries do not fit each other.
    """
    entries: list[Entry] = list((live.get("metadata") or {}).get("managedFields") or ())
    ours = [entry for entry in entries if _writes(entry) and entry.get("manager") == manager]
    applied = [entry for entry in ours if entry.get("operation") == "Apply"]
    older = [entry for entry in entries if not applied and _writes(entry) and is_kubectl(str(entry.get("manager")))]
    merged = [*applied, *(entry for entry in ours if entry not in applied), *older]
    kept = [entry for entry in entries if entry not in merged]
    version = str(live.get("apiVersion"))
    renewed = [entry if _fits(entry, version, served) else {**entry, "apiVersion": version} for entry in kept]
    written = [_merged(merged, manager, version), *renewed] if merged else renewed
    if written == (applied + kept if merged else kept):
        return None
    return Migration(
        operations=_operations(live, written, drop=bool(older)),
        managers=tuple(dict.fromkeys(str(entry["manager"]) for entry in merged if entry not in applied)),
        owned=frozenset(path for entry in merged if entry not in applied for path in read(entry.get("fieldsV1") or {})),
        versions=tuple(sorted(_versions(entries) - _versions(written))),
    )


def migrated(live: Mapping[str, Any], manager: str) -> Mapping[str, Any]:
    """The object as it is after the migration: who holds what then."""
    found = migration(live, manager)
    if found is None:
        return live
    return {**live, "metadata": {**live["metadata"], "managedFields": found.operations[0]["value"]}}


def leaving(live: Mapping[str, Any], answer: Mapping[str, Any], manager: str) -> tuple[Path, ...]:
    """The fields that go with the first apply after the migration, which `answer` to a dry run before it still has."""
    found = migration(live, manager)
    if found is None:
        return ()
    kept = [
        entry
        for entry in fieldsets.entries(answer)
        if entry.manager not in found.managers
        or entry.subresource
        or (entry.manager, entry.operation) == (manager, "Apply")
    ]
    staying = {path[:length] for entry in kept for path in entry.paths for length in range(len(path) + 1)}
    going = found.owned - staying - {("metadata", "annotations", LAST_APPLIED)}
    return tuple(sorted((path for path in going if path[:-1] not in going), key=fieldsets.text))


def _writes(entry: Entry) -> bool:
    """Whether it is about the object itself, and not about its status or scale."""
    return not entry.get("subresource")


def _fits(entry: Entry, version: str, served: Collection[str]) -> bool:
    return entry.get("apiVersion") == version or entry.get("apiVersion") in served


def _versions(entries: list[Entry]) -> set[str]:
    return {str(entry.get("apiVersion")) for entry in entries}


def _merged(entries: list[Entry], manager: str, version: str) -> Entry:
    """One entry by server-side apply that owns what all of them own, but for the copy of `kubectl apply`."""
    fields: dict[str, Any] = {}
    for entry in entries:
        fields = _union(fields, entry.get("fieldsV1") or {})
    annotations = (fields.get("f:metadata") or {}).get("f:annotations") or {}
    annotations.pop(f"f:{LAST_APPLIED}", None)
    times = sorted(str(entry["time"]) for entry in entries if entry.get("time"))
    return {
        "manager": manager, "operation": "Apply", "apiVersion": version, **({"time": times[-1]} if times else {}),
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    }  # fmt: skip


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Of two tries. An empty node is a field that is owned; one with others below is so only with a `.`."""
    found = {key: dict(value) for key, value in one.items()}
    for key, value in other.items():
        if key not in found:
            found[key] = _union({}, value)
        elif bool(found[key]) != bool(value):
            found[key] = {".": {}, **found[key], **_union({}, value)}
        else:
            found[key] = _union(found[key], value)
    return found


def _operations(live: Mapping[str, Any], written: list[Entry], *, drop: bool) -> tuple[Mapping[str, Any], ...]:
    metadata = live["metadata"]
    operations: list[Mapping[str, Any]] = [
        {"op": "replace", "path": "/metadata/managedFields", "value": written},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
    ]
    if drop and LAST_APPLIED in (metadata.get("annotations") or {}):
        operations.append({"op": "remove", "path": f"/metadata/annotations/{LAST_APPLIED.replace('/', '~1')}"})
    return tuple(operations)
