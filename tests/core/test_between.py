"""What changes between two revisions, by declarations alone."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.between import between
from ci_gitops.core.fieldsets import MISSING, text
from tests.core.test_plan import config

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "n"},
    "spec": {
        "replicas": 2,
        "template": {"spec": {"containers": [{"name": "web", "image": "a:1", "args": ["-v"]}, {"name": "side"}]}},
    },
}


def changed(**spec: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DEPLOYMENT), "spec": {**copy.deepcopy(DEPLOYMENT["spec"]), **spec}}


def test_objects_that_come_go_and_stay() -> None:
    found = between(
        [config("old"), config("same"), config("other")], [config("same"), config("other", "c"), config("n")]
    )
    assert [(each.operation, each.document["metadata"]["name"]) for each in found] == [
        ("unchanged", "same"), ("update", "other"), ("create", "n"), ("delete", "old"),
    ]  # fmt: skip


def fields(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    (found,) = between([old], [new])
    return [(text(each.path), each.old, each.new) for each in found.differences]


def test_items_of_lists_are_told_apart_by_their_names() -> None:
    new = changed()
    containers = new["spec"]["template"]["spec"]["containers"]
    containers[0] |= {"image": "a:2", "args": ["-v", "-v"]}
    containers[1] = {"name": "log", "image": "l"}
    path = "spec.template.spec.containers"
    assert fields(DEPLOYMENT, new) == [
        (f'{path}[name="log"].image', MISSING, "l"),
        (f'{path}[name="log"].name', MISSING, "log"),
        (f'{path}[name="side"].name', "side", MISSING),
        (f'{path}[name="web"].args', ["-v"], ["-v", "-v"]),
        (f'{path}[name="web"].image', "a:1", "a:2"),
    ]


def test_items_that_changed_places() -> None:
    new = changed()
    new["spec"]["template"]["spec"]["containers"].reverse()
    assert fields(DEPLOYMENT, new) == [
        ("spec.template.spec.containers", ['[name="web"]', '[name="side"]'], ['[name="side"]', '[name="web"]'])
    ]


def test_another_version_is_the_same_object() -> None:
    (found,) = between([config()], [{**config(), "apiVersion": "v2"}])
    assert [text(each.path) for each in found.differences] == ["apiVersion"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a", "b"]), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_there_is_a_difference_exactly_where_there_is_one(one: Any, other: Any) -> None:
    old, new = changed(value=one), changed(value=other)
    (found,) = between([old], [new])
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)  # to Python True is 1
    assert (found.operation == "unchanged") == alike
