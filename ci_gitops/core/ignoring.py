"""What a configuration leaves to others: `ignore` rules, applied to what is sent.

Diff, apply and healing all send what comes out of here, so that a rule acts alike in them. A field that is left keeps
its live value: it is not sent where somebody else holds it, sent as it is live where only we do, and left out of an
object that is new. In a rule all that is given must fit.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ci_gitops.core.fieldsets import MISSING, Item, Member, Path, Step, ends, entries, owned, same, text, value_at


@dataclass(frozen=True, slots=True)
class Rule:
    """One `ignore` rule. Patterns know `*`; None and () are not given."""

    kind: str | None = None
    name: str | None = None
    namespace: str | None = None
    pointers: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()

    def fits(self, document: Mapping[str, Any]) -> bool:
        metadata = document.get("metadata") or {}
        asked = (
            (self.kind, document.get("kind")),
            (self.name, metadata.get("name")),
            (self.namespace, metadata.get("namespace")),
        )
        return all(pattern is None or fnmatchcase(str(value or ""), pattern) for pattern, value in asked)

    def __str__(self) -> str:
        given = [f"{name}: {value}" for name in ("kind", "name", "namespace") if (value := getattr(self, name))]
        given += [f"{name}: {', '.join(value)}" for name in ("pointers", "managers") if (value := getattr(self, name))]
        return "; ".join(given) or "everything"


@dataclass(frozen=True, slots=True)
class Left:
    """What is sent when rules were heard; None: nothing at all. `notes` say which rule hid which difference."""

    sent: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()


def leave(
    manifest: Mapping[str, Any],
    live: Mapping[str, Any] | None,
    rules: Iterable[Rule],
    manager: str,
    *,
    after: Mapping[str, Any] | None = None,
) -> Left:
    """`manifest` without what the rules that fit it leave to others.

    `after` is the live object as it is when `manifest` is sent, where other managers give up their fields before.
    """
    sent: Mapping[str, Any] = manifest
    notes: list[str] = []
    for rule in rules:
        if not rule.fits(manifest):
            continue
        if not rule.pointers and not rule.managers:
            return Left(None, (f"left to others by the ignore rule ({rule})",))
        paths = _paths(rule, manifest, live, manager)
        sent = without(sent, paths, after or live, manager)
        hidden = [path for path in paths if _differs(manifest, live, path)]
        if hidden:
            notes.append(f"{', '.join(map(text, hidden))} left to others by the ignore rule ({rule})")
    return Left(sent, tuple(notes))


def _differs(manifest: Mapping[str, Any], live: Mapping[str, Any] | None, path: Path) -> bool:
    declared = value_at(manifest, path)
    if live is None:
        return declared is not MISSING
    return declared is not MISSING and not same(declared, value_at(live, path))


def _paths(rule: Rule, manifest: Mapping[str, Any], live: Mapping[str, Any] | None, manager: str) -> list[Path]:
    """The fields that a rule leaves on this object."""
    if live is None:
        return [] if rule.managers else [_place(pointer, [manifest], frozenset()) for pointer in rule.pointers]
    others = [entry for entry in entries(live) if (entry.manager, entry.operation) != (manager, "Apply")]
    known = frozenset(path for entry in entries(live) for path in entry.paths)
    places = [_place(pointer, [manifest, live], known) for pointer in rule.pointers] or [()]
    if not rule.managers:
        return places
    held = {
        path
        for entry in others
        if any(fnmatchcase(entry.manager, pattern) for pattern in rule.managers)
        for path in entry.paths
    }
    return [path for path in ends(held) if any(path[: len(place)] == place for place in places) and _is_free(path)]


def _is_free(path: Path) -> bool:
    """Whether it may be left out without losing what names the object, or the item of a list."""
    if path[:1] in (("apiVersion",), ("kind",), ("status",)) or path[:2] in (
        ("metadata", "name"), ("metadata", "namespace"),
    ):  # fmt: skip
        return False
    above = path[-2] if len(path) > 1 else None
    return not (isinstance(above, Item) and any(name == path[-1] for name, _ in above.keys))


def _place(pointer: str, documents: Sequence[Any], known: frozenset[Path]) -> Path:
    """The path of a JSON pointer; the item of a list by what marks it, where the server says what that is."""
    path: tuple[Step, ...] = ()
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        values = [value for document in documents if (value := value_at(document, path)) is not MISSING]
        items = next((value for value in values if isinstance(value, list)), None)
        path = (*path, _step(items, int(name), path, known) if items is not None and name.isdigit() else name)
    return path


def _step(items: list[Any], index: int, above: Path, known: frozenset[Path]) -> Step:
    if index < len(items):
        for path in known:
            step = path[len(above)] if len(path) > len(above) and path[: len(above)] == above else None
            if isinstance(step, Item | Member) and step.fits(items[index]):
                return step
    return index


def without(
    sent: Mapping[str, Any], paths: Sequence[Path], live: Mapping[str, Any] | None, manager: str
) -> Mapping[str, Any]:
    """A copy without the values at `paths`, but with the live ones of those that are ours and nobody else's."""
    changed = copy.deepcopy(dict(sent))
    kept: list[Path] = []
    if live is not None:
        others = {
            path
            for entry in entries(live)
            if (entry.manager, entry.operation) != (manager, "Apply")
            for path in entry.paths
        }
        ours = [path for path in ends(owned(live, manager)) if path not in others]
        kept = [path for path in ours if any(path[: len(left)] == left for left in paths)]
    for path in paths:
        _remove(changed, path)
    for path in kept:
        if (value := value_at(live, path)) is not MISSING:
            _put(changed, path, copy.deepcopy(value))
    return changed


def _remove(node: Any, path: Path) -> None:
    """Take out the value at `path`, and maps above it that hold nothing any more."""
    step, rest = path[0], path[1:]
    inner = value_at(node, (step,))
    if inner is MISSING:
        return
    if rest:
        _remove(inner, rest)
        if inner or not isinstance(step, str):
            return
    if isinstance(node, dict):
        del node[step]
    else:
        node.remove(inner)


def _put(node: Any, path: Path, value: Any) -> None:
    step, rest = path[0], path[1:]
    if not rest and isinstance(node, dict):
        node[step] = value
        return
    if isinstance(node, list):
        inner = value_at(node, (step,))
        if inner is MISSING and isinstance(step, Item):
            inner = {name: json.loads(found) for name, found in step.keys}
            node.append(inner)
        elif inner is MISSING and isinstance(step, Member):
            node.append(value)
    else:
        inner = node.setdefault(step, [] if isinstance(rest[0], Item | Member) else {})
    if rest and isinstance(inner, dict | list):
        _put(inner, rest, value)
