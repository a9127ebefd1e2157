"""Values merged, compared and cut by their schema, as server-side apply does it.

The rules are those of https://github.com/kubernetes-sigs/structured-merge-diff: a list is merged by the keys of its
items, as a set, or replaced as a whole; a map is merged or replaced as a whole; null is a value that says nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci_gitops.core.api.schemas import ANYTHING, Schema
from ci_gitops.core.fieldsets import MISSING, Item, Member, Path, Step, same

Paths = frozenset[Path]
#: Steps below which something is held; the step None says that the node itself is.
Trie = dict[Step | None, "Trie"]


class TypedError(Exception):
    """A value that does not fit its schema; one line for each place, as the server words it."""

    def __init__(self, places: list[str]) -> None:
        super().__init__("\n".join(places))
        self.places = places


@dataclass(slots=True)
class Comparison:
    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    @property
    def is_same(self) -> bool:
        return not (self.added or self.modified or self.removed)


def dotted(path: Path) -> str:
    """A path as the server writes it, names of fields as they are."""
    return "".join(f".{step}" if isinstance(step, str) else f"[{step}]" if isinstance(step, int) else str(step)
                   for step in path)  # fmt: skip


# ---- the shape of a value


def form(schema: Schema, value: Any) -> str:
    """`map`, `list` or `scalar`: by the schema, and where that leaves it open by the value."""
    if schema.shape in ("object", "map"):
        return "map"
    if schema.shape == "list":
        return "list"
    if schema.shape != "any":
        return "scalar"
    return "map" if value is None or isinstance(value, Mapping) else "list" if isinstance(value, list) else "scalar"


def _is_atomic(schema: Schema, shape: str) -> bool:
    if schema.shape == "any":
        return shape == "list" or schema.atomic
    return schema.atomic


def _below(schema: Schema, name: str) -> Schema:
    return schema.below(name) or ANYTHING


def step_of(schema: Schema, item: Any) -> Step:
    """What marks an item of a list that is merged. TypedError where it has no mark."""
    if schema.is_set:
        if item is None or isinstance(item, Mapping | list):
            raise TypedError(["associative list without keys has an element that's a map type"])
        return Member.of(item)
    if item is None:
        raise TypedError(["associative list with keys may not have a null element"])
    if not isinstance(item, Mapping):
        raise TypedError(["associative list with keys may not have non-map elements"])
    keys = {}
    for key in schema.keys:
        if key in item:
            keys[key] = item[key]
            continue
        declared = schema.item.below(key)
        if declared is not None and declared.default is not None:
            keys[key] = declared.default
    if not keys:
        wanted = " ".join(f'"{key}"' for key in schema.keys)
        told = f"omits all key fields [{wanted}] (and doesn't have default values for any key fields)"
        raise TypedError([f"associative list with keys has an element that {told}"])
    return Item.of(keys)


def _items(schema: Schema, values: Any) -> list[tuple[Step, Any]]:
    return [(step_of(schema, value), value) for value in values] if isinstance(values, list) else []


# ---- checks


def check(schema: Schema, value: Any, *, duplicates: bool = False) -> None:
    """TypedError where the value does not fit. `duplicates` lets items with one mark stand, as live objects may."""
    places = list(_errors(schema, value, (), duplicates))
    if places:
        raise TypedError(places)


def _errors(schema: Schema, value: Any, path: Path, duplicates: bool) -> Iterator[str]:
    where = f"{dotted(path)}: " if path else ""
    if value is None:
        return
    shape = form(schema, value)
    if shape == "scalar":
        wrong = _scalar_error(schema, value)
        if wrong:
            yield where + wrong
    elif shape == "list":
        if not isinstance(value, list):
            yield f"{where}expected list, got {_shown(value)}"
        else:
            yield from _list_errors(schema, value, path, duplicates)
    elif not isinstance(value, Mapping):
        yield f"{where}expected map, got {_shown(value)}"
    else:
        for name, inner in sorted(value.items()):
            below = schema.below(name)
            if below is None:
                yield f"{dotted((*path, name))}: field not declared in schema"
            else:
                yield from _errors(below, inner, (*path, name), duplicates)


def unknown(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """The fields that the schema does not have, as the reading of JSON names them."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below, where = schema.below(name), f"{path}.{name}" if path else name
            if below is None:
                yield where
            else:
                yield from unknown(below, inner, where)
    elif isinstance(value, list) and schema.shape == "list":
        for number, inner in enumerate(value):
            yield from unknown(schema.item, inner, f"{path}[{number}]")


def _list_errors(schema: Schema, values: list[Any], path: Path, duplicates: bool) -> Iterator[str]:
    seen: set[Step] = set()
    for number, value in enumerate(values):
        step: Step = number
        if not schema.atomic and schema.shape == "list":
            try:
                step = step_of(schema, value)
            except TypedError as error:
                yield f"{dotted(path)}: element {number}: {error}"
                continue
            if step in seen and not duplicates:
                yield f"{dotted(path)}: duplicate entries for key {step}"
            seen.add(step)
        yield from _errors(schema.item if schema.shape == "list" else ANYTHING, value, (*path, step), duplicates)


def _scalar_error(schema: Schema, value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if schema.shape in ("integer", "number") and not is_number:
        return f"expected numeric (int or float), got {_go_type(value)}"
    if schema.shape == "string" and not isinstance(value, str):
        if schema.format == "quantity" and is_number:
            return None
        return f"expected string, got &value.valueUnstructured{{Value:{_printed(value)}}}"
    if schema.shape == "boolean" and not isinstance(value, bool):
        return f"expected boolean, got {_shown(value)}"
    if schema.shape == "int-or-string" and isinstance(value, Mapping | list):
        return f"expected any scalar, got {_shown(value)}"
    return None


def _go_type(value: Any) -> str:
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    return "[]interface {}" if isinstance(value, list) else "bool" if isinstance(value, bool) else "string"


def _shown(value: Any) -> str:
    """As Go prints a value behind a pointer."""
    return f"&{{{_printed(value)}}}"


def _printed(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{_printed(inner)}' for name, inner in sorted(value.items()))}]"
    return f"[{' '.join(map(_printed, value))}]" if isinstance(value, list) else str(value)


# ---- the paths of a value


def paths(schema: Schema, value: Any) -> Paths:
    """What somebody who gives this value owns."""
    found: set[Path] = set()
    _collect(schema, value, (), found)
    return frozenset(found)


def _collect(schema: Schema, value: Any, path: Path, found: set[Path]) -> None:
    shape = form(schema, value)
    if shape == "scalar" or _is_atomic(schema, shape):
        found.add(path)
    elif shape == "list":
        for step, inner in _items(schema, value):
            _collect(schema.item, inner, (*path, step), found)
            found.add((*path, step))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            below = (*path, name)
            _collect(_below(schema, name), inner, below, found)
            if inner is None or inner == {} or name not in schema.fields:
                found.add(below)


# ---- merging


def merge(schema: Schema, old: Any, new: Any) -> Any:
    """`new` written over `old`, each of which may be MISSING."""
    shape = form(schema, old if new is MISSING else new)
    if shape == "scalar" or _is_atomic(schema, shape):
        return old if new is MISSING else new
    if shape == "list":
        return _merged_list(schema, old, new)
    olds, news = (value if isinstance(value, Mapping) else {} for value in (old, new))
    if not olds and not news:
        return old if new is MISSING else new
    return {
        name: merge(_below(schema, name), olds.get(name, MISSING), news.get(name, MISSING))
        for name in [*olds, *(name for name in news if name not in olds)]
    }


def _merged_list(schema: Schema, old: Any, new: Any) -> Any:
    """The new items in their order, with old ones that are not among them kept where they stood."""
    olds, news = _items(schema, old), _items(schema, new)
    if not olds and not news:
        return old if new is MISSING else new
    return _Zip(schema.item, olds, news).merged()


class _Zip:
    """Two lists of marked items on their way into one."""

    def __init__(self, item: Schema, olds: list[tuple[Step, Any]], news: list[tuple[Step, Any]]) -> None:
        self._item = item
        self._olds, self._news = olds, news
        self._old_values: dict[Step, Any] = {}
        for step, value in olds:
            # Items that share a mark are not merged with: the new one replaces them.
            self._old_values[step] = MISSING if step in self._old_values else value
        self._new_values = dict(news)
        self._shared = deque(step for step, _ in news if step in self._old_values)
        self._done: set[Step] = set()
        self._made: list[Any] = []

    def merged(self) -> list[Any]:
        left = right = 0
        while left < len(self._olds) or right < len(self._news):
            if left < len(self._olds):
                step, value = self._olds[left]
                if right < len(self._news) and step == self._news[right][0]:
                    self._take(step)
                    left, right = left + 1, right + 1
                    continue
                if step not in self._new_values:
                    self._made.append(merge(self._item, value, MISSING))
                    left += 1
                    continue
                if right < len(self._news) and self._shared and self._shared[0] != step:
                    left += 1  # it has its turn when the new list reaches it
                    continue
                if step in self._done:
                    left += 1
            if right < len(self._news):
                self._take(self._news[right][0])
                right += 1
        return self._made

    def _take(self, step: Step) -> None:
        self._done.add(step)
        self._made.append(merge(self._item, self._old_values.get(step, MISSING), self._new_values[step]))
        if self._shared and self._shared[0] == step:
            self._shared.popleft()


# ---- comparing


def compare(schema: Schema, old: Any, new: Any) -> Comparison:
    found = Comparison()
    _compare(schema, old, new, (), found)
    return found


def _compare(schema: Schema, old: Any, new: Any, path: Path, found: Comparison) -> None:
    shapes = {form(schema, value) for value in (old, new) if value is not MISSING}
    leaf = False
    for shape in sorted(shapes):
        leaf = _compare_as(shape, schema, old, new, path, found) or leaf
    if leaf:
        if old is MISSING:
            found.added.add(path)
        elif new is MISSING:
            found.removed.add(path)
        elif not same(old, new):
            found.modified.add(path)
    elif old is MISSING:
        found.added.add(path)
    elif new is MISSING:
        found.removed.add(path)


def _compare_as(shape: str, schema: Schema, old: Any, new: Any, path: Path, found: Comparison) -> bool:
    """Go below; or say that the value is a leaf."""
    if shape == "scalar":
        return True
    kind = Mapping if shape == "map" else list
    olds, news = (value if isinstance(value, kind) else None for value in (old, new))
    if _is_atomic(schema, shape) or not (olds or news):
        return True
    if shape == "map":
        before, after = dict(olds or {}), dict(news or {})
        for name in {**before, **after}:
            below = _below(schema, name)
            _compare(below, before.get(name, MISSING), after.get(name, MISSING), (*path, name), found)
        return False
    before_items, after_items = _grouped(schema, olds), _grouped(schema, news)
    for step in {**before_items, **after_items}:
        one, other = before_items.get(step, []), after_items.get(step, [])
        if len(one) > 1 or len(other) > 1:
            if not same(one, other):
                (found.removed if not other else found.added if not one else found.modified).add((*path, step))
            continue
        before_one, after_one = (values[0] if values else MISSING for values in (one, other))
        _compare(schema.item, before_one, after_one, (*path, step), found)
    return False


def _grouped(schema: Schema, values: Any) -> dict[Step, list[Any]]:
    found: dict[Step, list[Any]] = {}
    for step, value in _items(schema, values):
        found.setdefault(step, []).append(value)
    return found


# ---- cutting


def without(schema: Schema, value: Any, removed: Paths) -> Any:
    """The value without what stands at these paths. A map or list of which nothing is left becomes null."""
    trie: Trie = {}
    for path in removed:
        node = trie
        for step in path:
            node = node.setdefault(step, {})
        node[None] = {}
    return _without(schema, value, trie)


def _without(schema: Schema, value: Any, trie: Trie) -> Any:
    shape = form(schema, value)
    if shape == "scalar":
        return value
    if _is_atomic(schema, shape) or not value or not isinstance(value, Mapping | list):
        return None
    if isinstance(value, list):
        items = []
        for step, inner in _items(schema, value):
            below = trie.get(step)
            if below is None or None not in below:
                items.append(inner if not below else _without(schema.item, inner, below))
        return items or None
    kept = {}
    for name, inner in value.items():
        below = trie.get(name)
        if below is None or None not in below:
            kept[name] = inner if not below else _without(_below(schema, name), inner, below)
    return kept or None


def with_named(schema: Schema, held: Paths) -> Paths:
    """The paths, and those of declared fields above them."""
    found = set(held)
    for path in held:
        at: Schema = schema
        for length, step in enumerate(path[:-1], 1):
            if isinstance(step, str):
                if step in at.fields:
                    found.add(path[:length])
                at = _below(at, step)
            else:
                at = at.item if at.shape == "list" else ANYTHING
    return frozenset(found)
