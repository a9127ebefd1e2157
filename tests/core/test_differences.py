"""What would change of one object: at the fields that we own, and nowhere else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.differences import Compared, Difference, created, deleted, unchanged, unknown, updated
from ci_gitops.core.fieldsets import MISSING, ends, owned, text, value_at

OURS = "ci-gitops"


def trie(value: Any) -> dict[str, Any]:
    """The fields of a value whose maps are merged and whose lists of named items are merged by name."""
    if isinstance(value, dict):
        return {f"f:{name}": trie(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        return {f'k:{{"name":"{item["name"]}"}}': {".": {}, **trie(item)} for item in value}
    return {}


def entry(fields: dict[str, Any], manager: str = OURS, operation: str = "Apply", **about: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **about}


def live(spec: Any, *entries: dict[str, Any], labels: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    found = {"name": "a", "resourceVersion": "7", "uid": "u", "managedFields": list(entries), **metadata}
    if labels is not None:
        found["labels"] = labels
    return {"apiVersion": "v1", "kind": "Thing", "metadata": found, "spec": spec, "status": {"ready": 1}}


def ours(spec: Any, **metadata: Any) -> dict[str, Any]:
    return live(spec, entry({"f:spec": trie(spec)}), **metadata)


def shown(compared: Compared) -> list[tuple[str, Any, Any, str | None]]:
    return [(text(each.path), each.old, each.new, each.manager) for each in compared.differences]


def test_a_changed_field() -> None:
    compared = updated(ours({"a": 1, "b": 2}), ours({"a": 1, "b": 3}), OURS)
    assert compared.operation == "update"
    assert shown(compared) == [("spec.b", 2, 3, None)]
    assert compared.reason is None


def test_fields_that_come_and_go() -> None:
    compared = updated(ours({"a": 1, "b": {"c": 2}}), ours({"a": 1, "d": {"e": 3}}), OURS)
    assert shown(compared) == [("spec.b.c", 2, MISSING, None), ("spec.d.e", MISSING, 3, None)]


def test_items_that_come_and_go() -> None:
    before = {"boxes": [{"name": "web", "image": "w:1"}, {"name": "side", "image": "s:1"}]}
    after = {"boxes": [{"name": "web", "image": "w:2"}]}
    assert shown(updated(ours(before), ours(after), OURS)) == [
        ('spec.boxes[name="side"].image', "s:1", MISSING, None),
        ('spec.boxes[name="side"].name', "side", MISSING, None),
        ('spec.boxes[name="web"].image', "w:1", "w:2", None),
    ]


def test_items_that_change_places() -> None:
    before = {"env": [{"name": "A"}, {"name": "B"}, {"name": "C"}]}
    after = {"env": [{"name": "B"}, {"name": "A"}, {"name": "C"}]}
    (difference,) = updated(ours(before), ours(after), OURS).differences
    assert difference == Difference(
        ("spec", "env"), ['[name="A"]', '[name="B"]', '[name="C"]'], ['[name="B"]', '[name="A"]', '[name="C"]']
    )


def test_drift_names_who_changed_it() -> None:
    taken = live({"a": 5, "b": 2}, entry({"f:spec": {"f:b": {}}}),
                 entry({"f:spec": {"f:a": {}}}, "kubectl-edit", "Update", time="2026-01-02T00:00:00Z"))  # fmt: skip
    compared = updated(taken, ours({"a": 1, "b": 2}), OURS)
    assert shown(compared) == [("spec.a", 5, 1, "kubectl-edit")]
    assert compared.reason is None


@pytest.mark.parametrize(
    ("was", "becomes", "reason"),
    [
        (
            live({"a": 1}, entry({"f:spec": {"f:a": {}}}, "kubectl", "Update")),
            ours({"a": 1}),
            "takes ownership of 1 field of kubectl",
        ),
        (live({"a": 1, "b": 1}), ours({"a": 1, "b": 1}), "takes ownership of 2 fields"),
        (ours({"a": 1, "b": 2}), live({"a": 1, "b": 2}, entry({"f:spec": {"f:a": {}}})), "gives up 1 field"),
        (
            live({"a": 1}, entry({"f:spec": {"f:a": {}}}, apiVersion="v1beta1")),
            ours({"a": 1}),
            "its fields are recorded in v1beta1",
        ),
    ],
)
def test_ownership_alone_is_an_update_with_a_reason(was: Any, becomes: Any, reason: str) -> None:
    compared = updated(was, becomes, OURS)
    assert (compared.operation, compared.differences, compared.reason) == ("update", (), reason)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        pytest.param(ours({"a": 1}, generation=1), ours({"a": 1}, generation=2), id="what the server keeps"),
        pytest.param(ours({"a": 1}), {**ours({"a": 1}), "status": {"ready": 0}}, id="the status"),
        pytest.param(live({"a": 1, "x": 1}, entry({"f:spec": {"f:a": {}}})),
                     live({"a": 1, "x": 2}, entry({"f:spec": {"f:a": {}}})), id="a field of others"),
        pytest.param(ours({"a": 1}), ours({"a": 1.0}), id="one number"),
        pytest.param(live({}, entry({"f:metadata": {"f:labels": {}}})),
                     live({}, entry({"f:metadata": {"f:labels": {}}}), labels={}), id="no labels"),
        pytest.param(live({}, entry({"f:metadata": {"f:finalizers": {'v:"a"': {}}}}), finalizers=["a"]),
                     live({}, entry({"f:metadata": {"f:finalizers": {'v:"b"': {}}}}), finalizers=["a", "b"]),
                     id="finalizers"),
        pytest.param(live({}, entry({"f:status": {"f:x": {}}})), live({}, entry({})), id="a status that was ours"),
        pytest.param(live({"a": None}, entry({"f:spec": {"f:a": {}}})), live({}, entry({"f:spec": {"f:a": {}}})),
                     id="null and nothing"),
    ],
)  # fmt: skip
def test_what_is_no_difference(was: Any, becomes: Any) -> None:
    assert updated(was, becomes, OURS).operation == "unchanged"


def test_labels_and_annotations_are_differences() -> None:
    fields = {"f:metadata": {"f:labels": {"f:a.b/c": {}}}}
    compared = updated(
        live({}, entry(fields), labels={"a.b/c": "1"}), live({}, entry(fields), labels={"a.b/c": "2"}), OURS
    )
    assert shown(compared) == [('metadata.labels["a.b/c"]', "1", "2", None)]


def test_an_object_that_is_not_there_is_all_new() -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Thing",
        "spec": {"a": [1], "b": {}},
        "status": {},
        "metadata": {"name": "a", "namespace": "n", "creationTimestamp": None, "labels": {"c": "d"}},
    }
    compared = created(manifest)
    assert compared.operation == "create"
    assert shown(compared) == [
        ("metadata.labels.c", MISSING, "d", None),
        ("spec.a[0]", MISSING, 1, None),
        ("spec.b", MISSING, {}, None),
    ]


def test_the_other_operations() -> None:
    assert deleted(ours({}), "left Git").reason == "left Git"
    assert unchanged(ours({})).operation == "unchanged"
    assert unknown(ours({}), "admission webhook denied").reason == "admission webhook denied"


NAMES = st.sampled_from("abcd")
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "y"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.dictionaries(NAMES, inner, max_size=3)
        | st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=3).map(
            lambda items: [{"name": name, "value": value} for name, value in items.items()]
        )
    ),
    max_leaves=10,
)
SPECS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


@given(SPECS)
def test_an_object_against_itself_is_unchanged(spec: dict[str, Any]) -> None:
    assert updated(ours(spec), ours(copy.deepcopy(spec)), OURS).operation == "unchanged"


@given(SPECS, st.data())
def test_any_owned_value_that_differs_is_found_and_nothing_else(spec: dict[str, Any], data: st.DataObject) -> None:
    was, becomes = ours(spec), ours(copy.deepcopy(spec))
    becomes["metadata"]["managedFields"] = was["metadata"]["managedFields"]
    path = data.draw(st.sampled_from(ends(owned(was, OURS))))
    if path[-1] == "name":  # the key of an item: another name is another item
        return
    value_at(becomes, path[:-1])[path[-1]] = "changed"
    compared = updated(was, becomes, OURS)
    assert [(each.path, each.new) for each in compared.differences] == [(path, "changed")]
