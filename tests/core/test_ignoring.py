"""What `ignore` rules leave to others: alike for new objects, for fields of ours and for fields of others."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.ignoring import Rule, leave

OURS = "ci-gitops"


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {"a/b": "1", "kept": "2"}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", "image": "a:1"}]}}, **spec},
    }


IMAGE = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {
    ".": {}, "f:name": {}, "f:image": {}}}}}}}  # fmt: skip
REPLICAS = {"f:spec": {"f:replicas": {}}}


def live(document: dict[str, Any], **managers: Any) -> dict[str, Any]:
    """`document` as it lives: what each manager holds; our own applies, others update."""
    fields = [
        {"manager": name.replace("_", "-"), "operation": "Apply" if name == "ci_gitops" else "Update",
         "apiVersion": "apps/v1", "fieldsV1": held}
        for name, held in managers.items()
    ]  # fmt: skip
    return {**document, "metadata": {**document["metadata"], "managedFields": fields}}


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(kind="Deployment", name="web"), True),
        (Rule(kind="Deployment", name="w*", namespace="sh?p"), True),
        (Rule(kind="Deployment", name="api"), False),
        (Rule(kind="StatefulSet"), False),
        (Rule(namespace="other"), False),
        (Rule(), True),
    ],
)
def test_all_that_a_rule_gives_must_fit(rule: Rule, fits: bool) -> None:
    assert rule.fits(deployment()) is fits


def test_a_whole_object_is_left() -> None:
    left = leave(deployment(), None, [Rule(kind="Deployment")], OURS)
    assert left.sent is None
    assert left.notes == ("left to others by the ignore rule (kind: Deployment)",)


def test_a_field_of_a_new_object_is_left_out_and_told() -> None:
    left = leave(deployment(), None, [Rule(pointers=("/spec/replicas", "/metadata/annotations/a~1b"))], OURS)
    assert left.sent
    assert "replicas" not in left.sent["spec"]
    assert left.sent["metadata"]["annotations"] == {"kept": "2"}
    assert 'spec.replicas, metadata.annotations["a/b"] left to others' in left.notes[0]


def test_a_pointer_to_nothing_is_no_mistake() -> None:
    left = leave(deployment(), None, [Rule(pointers=("/spec/nothing/there", "/spec/template/spec/containers/9"))], OURS)
    assert (left.sent, left.notes) == (deployment(), ())


def test_what_somebody_else_holds_is_not_sent() -> None:
    found = live(deployment(replicas=7), someone=REPLICAS)
    left = leave(deployment(), found, [Rule(pointers=("/spec/replicas",))], OURS)
    assert left.sent
    assert "replicas" not in left.sent["spec"]
    assert left.notes


def test_what_only_we_hold_is_sent_as_it_is_live() -> None:
    found = live(deployment(replicas=7), ci_gitops=REPLICAS)
    for declared in (deployment(), {**deployment(), "spec": {"paused": True}}):
        left = leave(declared, found, [Rule(pointers=("/spec/replicas",))], OURS)
        assert left.sent
        assert left.sent["spec"]["replicas"] == 7


def test_the_item_of_a_list_is_found_by_its_key_where_it_moved() -> None:
    side = {"name": "side", "image": "s:1"}
    found = live(deployment(template={"spec": {"containers": [side, {"name": "web", "image": "a:9"}]}}), someone=IMAGE)
    left = leave(deployment(), found, [Rule(pointers=("/spec/template/spec/containers/0/image",))], OURS)
    assert left.sent
    assert left.sent["spec"]["template"]["spec"]["containers"] == [{"name": "web"}]
    assert 'containers[name="web"].image' in left.notes[0]


def test_managers_that_hold_nothing_here_leave_nothing() -> None:
    found = live(deployment(replicas=7), someone=REPLICAS)
    rule = Rule(pointers=("/spec/replicas",), managers=("keda-*",))
    assert leave(deployment(), found, [rule], OURS).sent == deployment()
    assert leave(deployment(), None, [rule], OURS).sent == deployment()


def test_a_manager_keeps_what_it_holds_and_no_more() -> None:
    found = live(deployment(replicas=7), keda_operator=REPLICAS, someone=IMAGE)
    left = leave(deployment(), found, [Rule(managers=("keda-*",))], OURS)
    assert left.sent
    assert "replicas" not in left.sent["spec"]
    assert left.sent["spec"]["template"] == deployment()["spec"]["template"]


def test_the_name_of_an_item_stays_whoever_holds_it() -> None:
    found = live(deployment(), someone=IMAGE)
    left = leave(deployment(), found, [Rule(managers=("someone",))], OURS)
    assert left.sent
    assert left.sent["spec"]["template"]["spec"]["containers"] == [{"name": "web"}]
    assert left.notes == ()  # both say the same image


def test_the_manifest_itself_stays() -> None:
    document = deployment()
    leave(document, live(deployment(replicas=7), someone=REPLICAS), [Rule(pointers=("/spec/replicas",))], OURS)
    assert document == deployment()
