"""Pure parts of the simulated API server, as tables. Its answers are compared with a real one's elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.api import definitions, quantities, selectors, typed
from ci_gitops.core.api.patches import PatchError, patched
from ci_gitops.core.api.schemas import schema
from ci_gitops.core.controllers.schedules import next_time
from ci_gitops.core.fieldsets import read, trie


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1000m", "1"), ("1", "1"), ("1000", "1k"), ("0.5", "500m"), (".5", "500m"), ("1500m", "1500m"),
        ("0.1", "100m"), ("0.5Gi", "512Mi"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("100Ki", "100Ki"),
        ("0.3Ki", "307200m"),
        ("1e3", "1e3"), ("12e6", "12e6"), ("1E", "1E"), ("0", "0"), ("-1", "-1"), ("1n", "1n"), ("100000000", "100M"),
    ],
)  # fmt: skip
def test_quantities(text: str, written: str) -> None:
    assert quantities.canonical(text) == written
    assert quantities.canonical(written) == written


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "Gi", "1e", "--1"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantities.canonical(text)


@pytest.mark.parametrize(
    ("operation", "made"),
    [
        ({"op": "add", "path": "/a/b", "value": 1}, {"a": {"b": 1}, "l": [1, 2]}),
        ({"op": "add", "path": "/l/-", "value": 3}, {"a": {}, "l": [1, 2, 3]}),
        ({"op": "add", "path": "/l/0", "value": 0}, {"a": {}, "l": [0, 1, 2]}),
        ({"op": "remove", "path": "/l/0"}, {"a": {}, "l": [2]}),
        ({"op": "replace", "path": "/a", "value": 1}, {"a": 1, "l": [1, 2]}),
        ({"op": "replace", "path": "/new", "value": 1}, {"a": {}, "l": [1, 2], "new": 1}),
        ({"op": "add", "path": "/a/x~1y~0z", "value": 1}, {"a": {"x/y~z": 1}, "l": [1, 2]}),
        ({"op": "move", "from": "/l/0", "path": "/a/b"}, {"a": {"b": 1}, "l": [2]}),
        ({"op": "copy", "from": "/l/0", "path": "/a/b"}, {"a": {"b": 1}, "l": [1, 2]}),
        ({"op": "test", "path": "/l", "value": [1, 2.0]}, {"a": {}, "l": [1, 2]}),
    ],
)
def test_patches(operation: dict[str, Any], made: Any) -> None:
    before = {"a": {}, "l": [1, 2]}
    assert patched(before, [operation]) == made
    assert before == {"a": {}, "l": [1, 2]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"}, {"op": "add", "path": "/l/9", "value": 1}, {"op": "remove", "path": "/l/9"},
        {"op": "test", "path": "/a", "value": 1}, {"op": "replace", "path": "/l/9", "value": 1},
        {"op": "what", "path": "/a"},
        {"op": "add", "path": "a", "value": 1}, {"op": "add", "path": "/none/a", "value": 1},
        {"op": "copy", "from": "/none", "path": "/a"},
    ],
)  # fmt: skip
def test_patches_that_cannot_be_made(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        patched({"a": {}, "l": [1, 2]}, [operation])


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01"),
        ("*/15 * * * *", "2026-01-01T00:15", "2026-01-01T00:30"),
        ("0 9 * * mon-fri", "2026-01-02T09:00", "2026-01-05T09:00"),
        ("30 4 1 jan,jul *", "2026-01-01T04:30", "2026-07-01T04:30"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 13 * 5", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("0 12 * * 7", "2026-01-01T00:00", "2026-01-04T12:00"),
        ("@daily", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("5-10/5 0 * * *", "2026-01-01T00:05", "2026-01-01T00:10"),
    ],
)
def test_the_next_time_of_a_schedule(schedule: str, after: str, expected: str) -> None:
    assert next_time(schedule, at(after)) == at(expected)


@pytest.mark.parametrize("schedule", ["", "x", "61 * * * *", "* * * *", "*/0 * * * *", "0 0 31 2 *", "5-1 * * * *"])
def test_schedules_without_a_next_time(schedule: str) -> None:
    assert next_time(schedule, at("2026-01-01T00:00")) is None


def test_selectors_of_objects() -> None:
    labels = {"app": "web", "tier": "front"}
    assert selectors.selects({"matchLabels": {"app": "web"}}, labels)
    assert selectors.selects({}, labels)
    assert not selectors.selects(None, labels)
    assert selectors.selects({"app": "web"}, labels)
    expressions = [{"key": "tier", "operator": "In", "values": ["front"]}, {"key": "x", "operator": "DoesNotExist"}]
    assert selectors.selects({"matchExpressions": expressions}, labels)
    assert not selectors.selects(
        {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}, labels
    )
    with pytest.raises(ValueError, match="unable to parse"):
        selectors.labels("a b")


@pytest.mark.parametrize(
    ("names", "preferred"),
    [
        (["v1beta1", "v1", "v2alpha1", "v2"], ["v2", "v1", "v1beta1", "v2alpha1"]),
        (["x", "v10", "v9"], ["v10", "v9", "x"]),
    ],
)
def test_the_order_of_versions(names: list[str], preferred: list[str]) -> None:
    assert sorted(names, key=definitions.priority) == preferred


# Merging

_LEAF = st.sampled_from(["x", "y", "z"])
_ITEM = st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"value": _LEAF})
_ITEMS = st.lists(_ITEM, unique_by=lambda item: item["name"])
_VALUES = st.fixed_dictionaries({}, optional={"items": _ITEMS, "labels": st.dictionaries(_LEAF, _LEAF), "one": _LEAF})
_SCHEMA = schema(definitions.converted({
    "type": "object",
    "properties": {
        "one": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
            "type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}},
    },
}), custom=True)  # fmt: skip


@given(_VALUES, _VALUES)
def test_what_is_merged_holds_all_that_is_new(old: Any, new: Any) -> None:
    merged = typed.merge(_SCHEMA, old, new)
    assert typed.paths(_SCHEMA, new) <= typed.paths(_SCHEMA, merged) | {("items",), ("labels",)}
    compared = typed.compare(_SCHEMA, merged, typed.merge(_SCHEMA, merged, new))
    assert compared.is_same
    order = [item["name"] for item in merged.get("items", []) if item in new.get("items", [])]
    assert [item["name"] for item in new.get("items", []) if item["name"] in order] == order


@given(_VALUES, _VALUES)
def test_what_is_taken_away_is_what_differs(old: Any, new: Any) -> None:
    compared = typed.compare(_SCHEMA, old, new)
    back = typed.compare(_SCHEMA, new, old)
    assert (compared.added, compared.removed, compared.modified) == (back.removed, back.added, back.modified)


@given(_VALUES)
def test_fields_are_read_as_they_are_written(value: Any) -> None:
    paths = typed.paths(_SCHEMA, value)
    assert read(trie(paths)) == paths


def test_recorded_fields_have_the_servers_order_and_marks() -> None:
    value = {"items": [{"name": "b"}, {"name": "a", "value": "x"}], "labels": {"z": "x"}}
    assert trie(typed.paths(_SCHEMA, value)) == {
        "f:items": {
            'k:{"name":"a"}': {".": {}, "f:name": {}, "f:value": {}},
            'k:{"name":"b"}': {".": {}, "f:name": {}},
        },
        "f:labels": {"f:z": {}},
    }
