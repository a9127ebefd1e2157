"""managedFields as paths. The tries are what a real API server wrote for the objects of the live tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.fieldsets import (
    MISSING,
    Item,
    Member,
    Owners,
    ends,
    entries,
    leaves,
    owned,
    read,
    same,
    text,
    value_at,
)

PORTS = {
    'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
}
TRIE: dict[str, Any] = {
    "f:metadata": {"f:labels": {".": {}, "f:a.b/c": {}}, "f:finalizers": {'v:"a/b"': {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}, "f:ports": PORTS}}},
        "f:rules": {"i:1": {}},
        "x:unknown": {},
    },
}
LIVE: dict[str, Any] = {
    "metadata": {"labels": {"a.b/c": "x"}, "finalizers": ["z", "a/b"]},
    "spec": {
        "replicas": 2,
        "template": {
            "containers": [
                {"name": "side", "image": "s:1"},
                {"name": "web", "image": "w:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
            ]
        },
        "rules": ["a", "b"],
    },
}


def test_paths_are_read_and_written_as_people_read_them() -> None:
    assert sorted(map(text, read(TRIE))) == [
        'metadata.finalizers[="a/b"]',
        "metadata.labels",
        'metadata.labels["a.b/c"]',
        "spec.replicas",
        "spec.rules[1]",
        'spec.template.containers[name="web"]',
        'spec.template.containers[name="web"].image',
        'spec.template.containers[name="web"].name',
        'spec.template.containers[name="web"].ports[containerPort=80,protocol="TCP"]',
        'spec.template.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort',
    ]


def test_ends_leave_out_what_only_holds_others() -> None:
    shown = [text(path) for path in ends(read(TRIE))]
    assert 'spec.template.containers[name="web"]' not in shown
    assert "metadata.labels" not in shown
    assert "spec.replicas" in shown
    assert len(shown) == 7


def test_values_at_paths() -> None:
    values = {text(path): value_at(LIVE, path) for path in ends(read(TRIE))}
    assert values == {
        'metadata.finalizers[="a/b"]': "a/b",
        'metadata.labels["a.b/c"]': "x",
        "spec.replicas": 2,
        "spec.rules[1]": "b",
        'spec.template.containers[name="web"].image': "w:1",
        'spec.template.containers[name="web"].name': "web",
        'spec.template.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort': 80,
    }


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "nothing"),
        ("spec", "replicas", "deeper"),
        ("spec", "rules", 7),
        ("spec", "replicas", 0),
        ("metadata", "labels", "a.b/c", 0),
        ("spec", "template", "containers", Item.of({"name": "gone"})),
        ("metadata", "finalizers", Member('"gone"')),
    ],
)
def test_what_is_not_there(path: Any) -> None:
    assert value_at(LIVE, path) is MISSING


def managed(*given: tuple[str, str, str, dict[str, Any]]) -> dict[str, Any]:
    found = [
        {"manager": manager, "operation": operation, "time": time, "apiVersion": "v1", "fieldsV1": fields}
        for manager, operation, time, fields in given
    ]
    return {"metadata": {"managedFields": found}}


def test_owners_are_told_apart() -> None:
    data = {"f:data": {"f:a": {}}}
    live = managed(
        ("ci-gitops", "Apply", "2026-01-02T00:00:00Z", {"f:data": {"f:b": {}}}),
        ("kubectl-edit", "Update", "2026-01-03T00:00:00Z", data),
        ("keda", "Update", "2026-01-01T00:00:00Z", data),
        ("ci-gitops", "Update", "2026-01-01T00:00:00Z", {"f:data": {"f:c": {}}}),
    )
    assert owned(live, "ci-gitops") == {("data", "b")}
    assert owned(live, "kubectl-edit") == frozenset()  # it never applied
    assert owned({"metadata": {}}, "ci-gitops") == frozenset()
    owners = Owners(live, "ci-gitops")
    assert owners.of(("data", "a")) == "kubectl-edit"
    assert owners.of(("data", "b")) is None
    assert owners.of(("data", "c")) == "ci-gitops"  # what webhooks set on our requests is an Update of ours


def test_an_entry_of_a_subresource_is_not_the_objects() -> None:
    live = managed(("ci-gitops", "Apply", "", {"f:spec": {"f:replicas": {}}}))
    live["metadata"]["managedFields"][0]["subresource"] = "scale"
    assert owned(live, "ci-gitops") == frozenset()
    assert entries(live)[0].subresource == "scale"


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        ([1, {"a": 2}], [1.0, {"a": 2}], True),
        ([1], [1, 2], False),
        ({"a": None}, {}, False),
    ],
)
def test_values_are_compared_as_json(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=5), JSON, min_size=1, max_size=4))
def test_leaves_are_all_values_of_a_document(document: dict[str, Any]) -> None:
    paths = leaves(document)
    assert len(set(map(text, paths))) == len(paths)
    for path in paths:
        value = value_at(document, path)
        assert value is not MISSING
        assert not value or not isinstance(value, dict | list)


KEYS = st.one_of(
    st.text(max_size=4).map(lambda name: f"f:{name}"),
    st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), min_size=1, max_size=2).map(
        lambda keys: "k:" + json.dumps(keys, sort_keys=True)
    ),
    st.text(max_size=3).map(lambda value: "v:" + json.dumps(value)),
)
TRIES = st.recursive(st.just({}), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=10)


@given(TRIES)
def test_every_end_of_a_trie_is_one_path(trie: dict[str, Any]) -> None:
    def count(node: dict[str, Any]) -> int:
        return sum(count(below) if below else 1 for below in node.values())

    paths = read(trie)
    assert len(paths) == count(trie)
    assert set(ends(paths)) == paths
