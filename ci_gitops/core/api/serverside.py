"""Server-side apply and ownership on update, on values: who gets which field, what goes, who is in the way.

The algorithm is https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/merge/update.go; one version of
a kind at a time, since versions that we serve differ in nothing that is merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ci_gitops.core.api import typed
from ci_gitops.core.api.ownership import Holder, Holding, Managers, capped, owned
from ci_gitops.core.api.schemas import Schema
from ci_gitops.core.api.typed import Comparison, Paths
from ci_gitops.core.fieldsets import Path, key_of

#: Fields that a way of writing leaves alone: the status, or all but it.
Ignored = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    holder: Holder
    path: Path

    @property
    def field(self) -> str:
        return typed.dotted(self.path)


class ConflictError(Exception):
    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__(_words(conflicts))
        self.conflicts = conflicts


def _words(conflicts: list[Conflict]) -> str:
    if len(conflicts) == 1:
        return f"Apply failed with 1 conflict: conflict with {conflicts[0].holder}: {conflicts[0].field}"
    lines = []
    for holder in sorted({str(conflict.holder) for conflict in conflicts}):
        lines.append(f"conflicts with {holder}:")
        lines.extend(f"- {conflict.field}" for conflict in conflicts if str(conflict.holder) == holder)
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Write:
    """One write: who, in which version, when, and what this way of writing does not touch."""

    schema: Schema
    holder: Holder
    version: str
    time: str
    ignored: Ignored = ()


def apply(
    write: Write, live: Mapping[str, Any], config: Mapping[str, Any], managers: Managers, *, force: bool
) -> tuple[Any, Managers]:
    """The object as it is then and who owns what. `config` holds nothing but what is declared."""
    schema = write.schema
    merged = typed.merge(schema, live, config)
    last = managers.get(write.holder)
    everything = typed.paths(schema, config)
    given = owned(everything, write.ignored)
    if last is not None and last.paths:
        held = everything.union(*(holding.paths for holder, holding in managers.items() if holder != write.holder))
        merged = _pruned(schema, merged, held, last.paths)
    changed = {**managers, write.holder: Holding(write.version, given, last.time if last else write.time)}
    compared = typed.compare(schema, live, merged)
    changed = _moved(write, compared, changed, force=force)
    if write.holder in changed and not (compared.is_same and last is not None and last.paths == given):
        changed[write.holder] = replace(changed[write.holder], time=write.time)
    return merged, changed


def update(write: Write, live: Any, new: Any, managers: Managers) -> Managers:
    """Who owns what after a plain write of `new` over `live`."""
    compared = typed.compare(write.schema, live, new)
    changed = _moved(write, compared, dict(managers), force=True)
    before = changed.get(write.holder)
    taken = owned(compared.added | compared.modified, write.ignored)
    if taken:
        paths = taken | (before.paths if before else frozenset())
        changed[write.holder] = Holding(write.version, paths, write.time)
    if before:
        kept = changed[write.holder]
        changed[write.holder] = replace(kept, paths=kept.paths - compared.removed)
    return capped({holder: holding for holder, holding in changed.items() if holding.paths})


def _moved(write: Write, compared: Comparison, managers: Managers, *, force: bool) -> Managers:
    """Others give up what was changed or removed. ConflictError where they must be asked first."""
    touched = owned(compared.modified | compared.added, write.ignored)
    conflicts = [
        Conflict(holder, path)
        for holder, holding in managers.items() if holder != write.holder
        for path in sorted(holding.paths & touched, key=_place)
    ]  # fmt: skip
    if conflicts and not force:
        raise ConflictError(conflicts)
    gone = touched | compared.removed
    left = {
        holder: holding if holder == write.holder else replace(holding, paths=holding.paths - gone)
        for holder, holding in managers.items()
    }
    return {holder: holding for holder, holding in left.items() if holding.paths}


def _place(path: Path) -> list[tuple[bool, str]]:
    """Where a set of fields tells a path: what is held at one level comes before what is held below it."""
    return [(length < len(path), key_of(step)) for length, step in enumerate(path, 1)]


def _pruned(schema: Schema, merged: Any, held: Paths, last: Paths) -> Any:
    """Without what the manager gave last time and nobody holds now."""

    def named(paths: Paths) -> Paths:
        return typed.with_named(schema, paths)

    before = named(typed.paths(schema, merged))
    pruned = typed.without(schema, merged, named(last))
    # What somebody holds comes back, and with it what stands above.
    pruned = typed.without(schema, merged, before - (named(typed.paths(schema, pruned)) | named(held)))
    # What went although the manager never gave it comes back, too.
    gone = before - named(typed.paths(schema, pruned))
    return typed.without(schema, merged, gone & named(last))
