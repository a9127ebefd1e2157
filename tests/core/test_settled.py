"""When a live object needs no dry run; that the server agrees is shown by the tests of fieldsets on a real one."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.settled import is_settled


def live(fields: dict[str, Any], *, api_version: str = "v1", **content: Any) -> dict[str, Any]:
    entry = {"manager": "ci-gitops", "operation": "Apply", "apiVersion": api_version, "fieldsV1": fields}
    return {"metadata": {"name": "a", "uid": "1", "managedFields": [entry]}, "status": {"x": 1}, **content}


def declared(**content: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "n"}, **content}


SPEC = {"f:spec": {"f:a": {}}}
ITEMS = {"f:spec": {"f:items": {'k:{"id":1}': {".": {}, "f:id": {}}, 'k:{"id":2}': {".": {}, "f:id": {}}}}}
TAGS = {"f:spec": {"f:tags": {'v:"a"': {}, 'v:"b"': {}}}}


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        (declared(spec={"a": 1}), live(SPEC, spec={"a": 1, "theirs": 2})),
        (declared(spec={"a": 1}), live(SPEC, spec={"a": 1.0})),
        (declared(spec={"a": [{"b": 1}]}), live(SPEC, spec={"a": [{"b": 1}]})),
        (declared(spec={"selector": {"b": [1]}}), live({"f:spec": {"f:selector": {}}}, spec={"selector": {"b": [1]}})),
        (declared(spec={"a": ""}), live(SPEC, spec={})),
        (declared(spec={"a": None}), live(SPEC, spec={})),
        (declared(spec={"a": 1}, status={"ready": 0}), live({**SPEC, "f:status": {}}, spec={"a": 1})),
        (declared(spec={"a": 1}, metadata={"name": "a", "creationTimestamp": None}), live(SPEC, spec={"a": 1})),
        (declared(spec={"items": [{"id": 1}, {"id": 2}]}), live(ITEMS, spec={"items": [{"id": 1, "x": 0}, {"id": 2}]})),
        (declared(spec={"a": 1}), live({**SPEC, "f:metadata": {"f:labels": {}, "f:annotations": {}}}, spec={"a": 1})),
        (declared(spec={"a": 1}, metadata={"name": "a", "labels": {}, "annotations": None}), live(SPEC, spec={"a": 1})),
        (
            declared(spec={"items": [{"id": 1}, {"id": 2}]}),
            live(ITEMS, spec={"items": [{"id": 1}, {"id": 9}, {"id": 2}]}),
        ),
        (declared(spec={"tags": ["a", "b"]}), live(TAGS, spec={"tags": ["z", "a", "b"]})),
    ],
)  # fmt: skip
def test_nothing_would_change(manifest: dict[str, Any], found: dict[str, Any]) -> None:
    assert is_settled(manifest, found, "ci-gitops")


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        (declared(spec={"a": 1}), live(SPEC, spec={"a": 2})),
        (declared(spec={"a": 1}), live(SPEC, spec={"a": True})),
        (declared(spec={"a": 1}), live(SPEC, spec={})),
        (declared(spec={"a": None}), live(SPEC, spec={"a": ""})),
        (declared(spec={"a": {}}), live(SPEC, spec={"a": {"theirs": 1}})),
        (declared(spec={"a": 1, "b": 2}), live(SPEC, spec={"a": 1, "b": 2})),
        (declared(spec={}), live(SPEC, spec={"a": 1})),
        (declared(), live(SPEC, spec={"a": 1})),
        (declared(spec={"a": 1}), live(SPEC, api_version="v1beta1", spec={"a": 1})),
        (declared(spec={"a": 1}), {"metadata": {}, "spec": {"a": 1}}),
        (declared(spec={"a": {"b": 1}}), live(SPEC, spec={"a": {"b": 1}})),
        (declared(spec={"items": [{"id": 1}]}), live(ITEMS, spec={"items": [{"id": 1}, {"id": 2}]})),
        (declared(spec={"items": [{"id": 2}, {"id": 1}]}), live(ITEMS, spec={"items": [{"id": 1}, {"id": 2}]})),
        (declared(spec={"items": [{"id": 1}, {"id": 1}]}), live(ITEMS, spec={"items": [{"id": 1}, {"id": 2}]})),
        (declared(spec={"items": [{"id": 1}, "odd"]}), live(ITEMS, spec={"items": [{"id": 1}, {"id": 2}]})),
        (declared(spec={"items": {"id": 1}}), live(ITEMS, spec={"items": [{"id": 1}, {"id": 2}]})),
        (declared(spec={"items": "odd"}), live(ITEMS, spec={"items": [{"id": 1}, {"id": 2}]})),
        (declared(spec={"tags": ["a", "b"]}), live(TAGS, spec={"tags": ["b", "a"]})),
        (declared(spec={"tags": ["a", "b"]}), live(TAGS, spec={"tags": ["a"]})),
    ],
)  # fmt: skip
def test_the_server_must_be_asked(manifest: dict[str, Any], found: dict[str, Any]) -> None:
    assert not is_settled(manifest, found, "ci-gitops")


@pytest.mark.parametrize("value", [{"b": 1}, ["x"]])
def test_what_others_own_below_a_field_that_was_given_empty_is_not_ours(value: Any) -> None:
    found = live({"f:spec": {"f:selector": {}}}, spec={"selector": value})
    manifest = declared(spec={"selector": value})
    assert is_settled(manifest, found, "ci-gitops")
    theirs = {"f:spec": {"f:selector": {"f:b": {}, 'v:"x"': {}}}}
    found["metadata"]["managedFields"].append({"manager": "somebody", "operation": "Update", "fieldsV1": theirs})
    assert not is_settled(manifest, found, "ci-gitops")
