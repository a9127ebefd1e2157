"""Fields of older writers become ours, in one patch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.fieldsets import read, text
from ci_gitops.core.migration import _union, leaving, migration, outdated

US = "ci-gitops"
LAST = "kubectl.kubernetes.io/last-applied-configuration"


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", **more: str) -> dict[str, Any]:
    return {
        "manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-11-21T10:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields, **more,
    }  # fmt: skip


def live(*entries: dict[str, Any], **annotations: str) -> dict[str, Any]:
    metadata = {"name": "a", "resourceVersion": "7", "managedFields": list(entries), "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def data(*names: str) -> dict[str, Any]:
    return {"f:data": {f"f:{name}": {} for name in names}}


def written(document: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    found = migration(document, US, **options)
    assert found is not None
    value: list[dict[str, Any]] = found.operations[0]["value"]
    return value


def test_what_is_ours_alone_needs_nothing() -> None:
    assert migration(live(entry(US, data("a"), "Apply")), US) is None
    assert migration(live(), US) is None
    assert migration({"apiVersion": "v1", "metadata": {}}, US) is None


def test_fields_of_others_stay_theirs() -> None:
    others = (entry("helm", data("a")), entry("argocd-controller", data("b"), "Apply"))
    assert migration(live(*others), US) is None
    assert migration(live(entry(US, data("c"), "Apply"), *others), US) is None


@pytest.mark.parametrize(
    ("manager", "operation"),
    [
        ("kubectl-client-side-apply", "Update"), ("kubectl", "Update"), ("kubectl", "Apply"),
        ("kubectl-edit", "Update"), ("before-first-apply", "Update"), (US, "Update"),
    ],
)  # fmt: skip
def test_on_first_contact_older_fields_become_ours(manager: str, operation: str) -> None:
    helm = entry("helm", data("theirs"))
    found = migration(live(entry(manager, data("a", "b"), operation), helm), US)
    assert found is not None
    assert found.operations == (
        {"op": "replace", "path": "/metadata/managedFields", "value": [entry(US, data("a", "b"), "Apply"), helm]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
    )
    assert (found.managers, sorted(map(text, found.owned))) == ((manager,), ["data.a", "data.b"])


def test_later_a_change_by_hand_stays_a_change_by_hand() -> None:
    assert migration(live(entry(US, data("a"), "Apply"), entry("kubectl-edit", data("b"))), US) is None
    assert written(live(entry(US, data("a"), "Apply"), entry(US, data("b")), entry("kubectl", data("c")))) == [
        entry(US, data("a", "b"), "Apply"),
        entry("kubectl", data("c")),
    ]


def test_status_and_scale_are_left_alone() -> None:
    status = entry("kubectl", {"f:status": {"f:phase": {}}}, subresource="status")
    assert migration(live(status), US) is None
    assert written(live(status, entry("kubectl", data("a")))) == [entry(US, data("a"), "Apply"), status]


def test_the_copy_of_kubectl_apply_goes() -> None:
    fields = {"f:metadata": {"f:annotations": {".": {}, f"f:{LAST}": {}, "f:more": {}}}, **data("a")}
    found = migration(live(entry("kubectl-client-side-apply", fields), **{LAST: "{}", "more": "1"}), US)
    assert found is not None
    assert found.operations[2] == {
        "op": "remove",
        "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
    }
    assert found.operations[0]["value"][0]["fieldsV1"] == {
        "f:metadata": {"f:annotations": {".": {}, "f:more": {}}},
        **data("a"),
    }


def test_entries_of_other_versions() -> None:
    old = entry(US, data("a"), "Apply", apiVersion="v1beta1")
    others = entry("helm", data("b"), apiVersion="v1alpha1"), entry("other", data("c"), apiVersion="v1beta1")
    found = migration(live(old, *others), US, served=("v1", "v1beta1"))
    assert found is not None
    assert [each["apiVersion"] for each in found.operations[0]["value"]] == ["v1", "v1", "v1beta1"]
    assert (found.versions, found.managers, found.owned) == (("v1alpha1",), (), frozenset())
    assert migration(live(entry(US, data("a"), "Apply"), others[1]), US, served=("v1", "v1beta1")) is None
    assert written(live(entry(US, data("a"), "Apply"), others[1])) == [
        entry(US, data("a"), "Apply"),
        entry("other", data("c")),
    ]


def test_what_leaves_with_the_first_apply() -> None:
    items = {'k:{"name":"a"}': {".": {}, "f:name": {}}, 'k:{"name":"b"}': {".": {}, "f:name": {}}}
    theirs = entry("kubectl", {**data("kept", "shared", "gone"), "f:list": items})
    helm = entry("helm", {**data("shared"), "f:list": {'k:{"name":"b"}': {"f:value": {}}}})
    answer = live(theirs, helm, entry(US, data("kept"), "Apply"))
    assert list(map(text, leaving(live(theirs, helm), answer, US))) == [
        "data.gone",
        'list[name="a"]',
        'list[name="b"].name',
    ]
    assert leaving(live(helm), answer, US) == ()


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("failed to prune fields: failed to convert merged object to last applied version: .spec.c: field not", True),
        ("failed to convert new object: .spec.c: field not declared in schema", True),
        ("request to convert CR to an invalid group/version: k.example.com/v1beta1", True),
        ("failed to create typed patch object (x; v1): .spec.c: field not declared in schema", False),
    ],
)
def test_refusals_that_come_from_old_entries(message: str, answer: bool) -> None:
    assert outdated(message) is answer


TRIES = st.recursive(
    st.just({}),
    lambda below: st.dictionaries(st.sampled_from([".", "f:a", "f:b", 'k:{"name":"x"}', 'v:"y"']), below, max_size=3),
).map(lambda trie: json.loads(json.dumps(trie)))


@given(TRIES, TRIES)
def test_a_union_owns_what_either_owns(one: dict[str, Any], other: dict[str, Any]) -> None:
    one, other = _plain(one), _plain(other)
    assert read(_union(one, other)) == read(one) | read(other)


def _plain(trie: dict[str, Any]) -> dict[str, Any]:
    """As servers write it: `.` has nothing below it."""
    return {key: {} if key == "." else _plain(value) for key, value in trie.items()}
