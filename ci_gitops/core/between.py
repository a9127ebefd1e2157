"""What changes between two revisions of what Git declares, without a cluster.

A merge request can show this before anybody has access to a cluster. It speaks of the declarations alone: what the
server fills in, what drifted and what others hold is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ci_gitops.core.differences import Compared, Difference, created, deleted, unchanged
from ci_gitops.core.fieldsets import MISSING, Item, Path, same, text
from ci_gitops.core.inventory import Key

_KEYS = ("name", "key", "mountPath", "containerPort", "port", "ip", "type")  # by which people tell the items of a list


def between(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> list[Compared]:
    """The objects of a target at two revisions, those of the new one first."""
    before = {Key.of(document): document for document in old}
    after = {Key.of(document): document for document in new}
    found = [_compared(before.get(key), document) for key, document in after.items()]
    return found + [deleted(document, "no longer in Git") for key, document in before.items() if key not in after]


def _compared(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Compared:
    if old is None:
        return created(new)
    differences = tuple(sorted(_differences(old, new, ()), key=lambda each: text(each.path)))
    if not differences:
        return unchanged(new)
    return Compared(new, "update", differences, live=old)


def _differences(old: Any, new: Any, path: Path) -> Iterator[Difference]:
    if same(old, new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**old, **new}:
            yield from _differences(old.get(name, MISSING), new.get(name, MISSING), (*path, name))
    elif isinstance(old, list) and isinstance(new, list) and (key := _key(old, new)):
        yield from _items(old, new, key, path)
    elif isinstance(old, Mapping) and new is MISSING and old:
        for name in old:
            yield from _differences(old[name], MISSING, (*path, name))
    elif isinstance(new, Mapping) and old is MISSING and new:
        for name in new:
            yield from _differences(MISSING, new[name], (*path, name))
    else:
        yield Difference(path, old, new)


def _key(old: Sequence[Any], new: Sequence[Any]) -> str | None:
    """The field that tells the items of both lists apart; None where there is none."""
    for name in _KEYS:
        if all(_has_all(items, name) for items in (old, new)):
            return name
    return None


def _has_all(items: Sequence[Any], name: str) -> bool:
    values = [item.get(name) if isinstance(item, Mapping) else None for item in items]
    known = [value for value in values if isinstance(value, str | int)]
    return len(known) == len(items) == len(set(map(repr, known)))


def _items(old: Sequence[Any], new: Sequence[Any], key: str, path: Path) -> Iterator[Difference]:
    """Items of the same key are compared; where they only changed places, that is the difference."""
    before = {str(Item.of({key: item[key]})): item for item in old}
    after = {str(Item.of({key: item[key]})): item for item in new}
    steps = {str(Item.of({key: item[key]})): Item.of({key: item[key]}) for item in (*old, *new)}
    for name, step in steps.items():
        yield from _differences(before.get(name, MISSING), after.get(name, MISSING), (*path, step))
    stayed = [name for name in before if name in after], [name for name in after if name in before]
    if stayed[0] != stayed[1]:
        yield Difference(path, *stayed)
