"""What a deploy would do to one object, from what is declared, what is live and what the server says.

The server computes what an object would become, by server-side apply in a dry run with our manager; here its answer
is compared with the live object at exactly the fields that we own before or after. Fields of others, the status and
what the server keeps for itself are no differences; nor are finalizers and owner references, which controllers add.
`core/plan.py` makes the plan of a target from these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ci_gitops.core.fieldsets import (
    MISSING,
    Item,
    Member,
    Owners,
    Path,
    applied,
    ends,
    leaves,
    owned,
    same,
    text,
    value_at,
)
from ci_gitops.core.lazily import Lazily
from ci_gitops.core.secret_values import LAST_APPLIED
from ci_gitops.core.text import counted

#: `unknown` is an object that could not be compared: it is never taken for one that is in sync.
Operation = Literal["create", "update", "delete", "unchanged", "skipped", "unknown"]
_NOT_GIVEN = {
    "name",
    "namespace",
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
}
_MAPS = (("metadata", "labels"), ("metadata", "annotations"))


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that changes; MISSING is a value that is not there. `manager` is who else holds it now."""

    path: Path
    old: Any
    new: Any
    manager: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One object and what is to be done to it. Holds secrets as they are: it is never shown, plans are."""

    document: Mapping[str, Any]  # as it would be: declared, or the server's answer; live where nothing is declared
    operation: Operation
    differences: Sequence[Difference] = ()
    reason: str | None = None
    drift: bool = False  # nothing new in Git: somebody changed the object
    live: Mapping[str, Any] | None = None  # as it is; None where it is not there, or where that is of no interest


def created(manifest: Mapping[str, Any]) -> Compared:
    """An object that is not there: all that is declared is new."""
    return Compared(manifest, "create", Lazily(lambda: _given(manifest)))


def _given(manifest: Mapping[str, Any]) -> list[Difference]:
    paths = sorted(filter(_is_given, leaves(manifest)), key=text)
    return [Difference(path, MISSING, value_at(manifest, path)) for path in paths]


def updated(live: Mapping[str, Any], answer: Mapping[str, Any], manager: str) -> Compared:
    """An object that is there, and the server's `answer` to applying it in a dry run as `manager`."""
    before, after = _owned(live, manager), _owned(answer, manager)
    owners = Owners(live, manager)
    found = [_difference(path, live, answer, owners) for path in ends(before | after)]
    found += _orders(before | after, live, answer)
    differences = tuple(difference for difference in found if difference)
    reason = _ownership(before, after, live, answer, manager)
    if not differences and reason is None:
        return Compared(answer, "unchanged")
    return Compared(answer, "update", differences, reason, live=live)


def recreated(live: Mapping[str, Any], manifest: Mapping[str, Any], reason: str) -> Compared:
    """An object that is deleted and created again, since a field cannot be changed in place."""
    paths = sorted(filter(_is_given, leaves(manifest)), key=text)
    pairs = [(path, value_at(live, path), value_at(manifest, path)) for path in paths]
    found = tuple(Difference(path, old, new) for path, old, new in pairs if not same(old, new))
    return Compared(manifest, "update", found, reason, live=live)


def unchanged(live: Mapping[str, Any]) -> Compared:
    return Compared(live, "unchanged")


def deleted(live: Mapping[str, Any], reason: str | None = None) -> Compared:
    return Compared(live, "delete", reason=reason, live=live)


def skipped(document: Mapping[str, Any], reason: str) -> Compared:
    """An object that differs, or would go, and is left alone on purpose."""
    return Compared(document, "skipped", reason=reason)


def unknown(document: Mapping[str, Any], words: str) -> Compared:
    """An object that could not be compared, in the server's words."""
    return Compared(document, "unknown", reason=words)


def _is_given(path: Path) -> bool:
    """Whether a declared field is more than a name, or what the server alone writes."""
    if path[:1] in (("apiVersion",), ("kind",), ("status",), ()):
        return False
    return path[:1] != ("metadata",) or (len(path) > 1 and path[1] not in _NOT_GIVEN)


def _owned(document: Mapping[str, Any], manager: str) -> frozenset[Path]:
    return frozenset(path for path in owned(document, manager) if _is_compared(path))


def _is_compared(path: Path) -> bool:
    if path[:1] == ("metadata",):
        # A map of ours that ends here was given empty: what it holds is of others.
        return path[:2] in _MAPS and len(path) > 2 and path[2] != LAST_APPLIED
    return path[:1] != ("status",)


def _difference(path: Path, live: Any, answer: Any, owners: Owners) -> Difference | None:
    old, new = value_at(live, path), value_at(answer, path)
    if _is_nothing(old) and _is_nothing(new):
        return None
    return None if same(old, new) else Difference(path, old, new, owners.of(path))


def _is_nothing(value: Any) -> bool:
    return value is MISSING or value is None


def _orders(paths: frozenset[Path], live: Any, answer: Any) -> list[Difference]:
    """Lists whose items stay and change places: the order of containers' variables or of rules has a meaning."""
    lists: dict[Path, set[Item | Member]] = {}
    for path in paths:
        for length, step in enumerate(path):
            if isinstance(step, Item | Member):
                lists.setdefault(path[:length], set()).add(step)
    found = []
    for path in sorted(lists, key=str):
        old, new = _places(value_at(live, path), lists[path]), _places(value_at(answer, path), lists[path])
        stayed = [step for step in old if step in new], [step for step in new if step in old]
        if stayed[0] != stayed[1]:
            found.append(Difference(path, list(map(str, stayed[0])), list(map(str, stayed[1]))))
    return found


def _places(values: Any, steps: set[Item | Member]) -> list[Item | Member]:
    """The items that we own, in the order in which they stand."""
    items = values if isinstance(values, list) else []
    return [step for item in items for step in sorted(steps, key=str) if step.fits(item)]


def _ownership(
    before: frozenset[Path], after: frozenset[Path], live: Mapping[str, Any], answer: Mapping[str, Any], manager: str
) -> str | None:
    """What changes in who owns what, where values alone do not show it."""
    old, new = applied(live, manager), applied(answer, manager)
    taken, left = (
        [path for path in ends(paths) if same(value_at(live, path), value_at(answer, path))]
        for paths in (after - before, before - after)
    )
    words = []
    if taken:
        owners = Owners(live, manager)
        others = sorted({other for other in map(owners.of, taken) if other})
        words.append(f"takes ownership of {counted(len(taken), 'field')}{' of ' + ', '.join(others) if others else ''}")
    if left:
        words.append(f"gives up {counted(len(left), 'field')}")
    if old and new and old.api_version != new.api_version:
        words.append(f"its fields are recorded in {old.api_version}")
    return "; ".join(words) or None
