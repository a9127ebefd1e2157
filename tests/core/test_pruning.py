"""Prune and its seat belts: what goes, what stays and why, and what is only forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.inventory import Inventory, Key, Member, owner_labels
from ci_gitops.core.pruning import Belts, Leaving, leaving, remaining
from ci_gitops.core.targets import Target

TARGET = Target("shop", "production", "apps/shop")
EMPTY = Inventory(TARGET, "acme", "shop")
Documents = dict[Key, dict[str, Any]]


def inventory(*members: Member) -> Inventory:
    return replace(EMPTY, members=members)


def member(
    name: str, kind: str = "ConfigMap", group: str = "", namespace: str = "shop", uid: str | None = None
) -> Member:
    return Member(Key(group, kind, namespace, name), "v1", f"uid-{name}" if uid is None else uid)


def live(one: Member, **metadata: Any) -> dict[str, Any]:
    """The object as we applied it, with what `metadata` says otherwise."""
    labels = {**owner_labels(EMPTY), **metadata.pop("labels", {})}
    found = {
        "name": one.key.name, "namespace": one.key.namespace, "uid": f"uid-{one.key.name}",
        "labels": {name: value for name, value in labels.items() if value is not None},
        "managedFields": [{"manager": "ci-gitops", "operation": "Apply"}], **metadata,
    }  # fmt: skip
    return {"apiVersion": one.api_version, "kind": one.key.kind, "metadata": found}


def decide(held: Inventory, there: Documents, declared: frozenset[Key] = frozenset(), **more: Any) -> Leaving:
    return leaving(held, declared, there.get, failed=more.pop("failed", lambda key: None), **more)


def one(found: Mapping[str, Any], kind: str = "ConfigMap", **more: Any) -> Leaving:
    """What becomes of a single object that is no longer declared, beside two that are."""
    gone, other, third = member("gone", kind), member("b"), member("c")
    there = {gone.key: live(gone, **found), other.key: live(other), third.key: live(third)}
    return decide(inventory(gone, other, third), there, frozenset({other.key, third.key}), **more)


def names(left: Leaving) -> list[str]:
    return [document["metadata"]["name"] for document in left.deletes]


def test_what_is_ours_and_no_longer_declared_goes() -> None:
    left = one({})
    assert (names(left), left.kept, left.forgotten, left.refusal) == (["gone"], (), (), None)
    assert [each.operation for each in left.compared] == ["delete"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"labels": {"ci-gitops/app": None}}, "labels"),
        ({"labels": {"applyset.kubernetes.io/part-of": None}}, "labels"),
        ({"uid": "another"}, "not the object that we applied"),
        ({"ownerReferences": [{"kind": "Deployment", "name": "x"}]}, "ownerReferences"),
        ({"annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}}, "annotation"),
        ({"annotations": {"ci-gitops/sync-options": "Prune=false"}}, "annotation"),
        ({"annotations": {"helm.sh/resource-policy": "keep"}}, "annotation"),
        ({"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}, "annotation"),
        ({"annotations": {"ci-gitops/sync-options": "Prune=confirm"}}, "approves"),
    ],
)
def test_what_stays_says_why_and_stays_in_the_inventory(found: dict[str, Any], reason: str) -> None:
    left = one(found)
    assert names(left) == []
    (kept,) = left.kept
    assert reason in kept.reason
    assert kept.warn
    assert [each.operation for each in left.compared] == ["skipped"]
    assert kept.member in remaining(inventory(kept.member), (), left, ()).members


@pytest.mark.parametrize(
    "found",
    [
        {"labels": {"ci-gitops/app": "cart"}},
        {"labels": {"ci-gitops/source": "other"}},
        {"labels": {"applyset.kubernetes.io/part-of": "applyset-of-kubectl-v1"}},
        {"annotations": {"helm.sh/hook": "pre-install"}},
        {"annotations": {"argocd.argoproj.io/hook": "Sync"}},
    ],
)
def test_what_is_somebody_elses_or_a_hook_is_left_alone_and_forgotten(found: dict[str, Any]) -> None:
    left = one(found)
    assert (names(left), left.kept, [each.key.name for each in left.forgotten]) == ([], (), ["gone"])


def test_a_confirmed_removal_goes() -> None:
    annotations = {"ci-gitops/sync-options": "Prune=confirm", "ci-gitops/deletion-approved": "2026-11-21"}
    assert names(one({"annotations": annotations})) == ["gone"]


def test_delete_asks_the_option_for_deletes() -> None:
    only_prune = {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}}
    both = {"annotations": {"helm.sh/resource-policy": "keep"}}
    assert names(one(only_prune, belts=Belts(whole=True))) == ["gone"]
    assert names(one(both, belts=Belts(whole=True))) == []


@pytest.mark.parametrize("kind", ["Namespace", "CustomResourceDefinition", "PersistentVolumeClaim"])
def test_kinds_that_take_more_with_them_must_be_named(kind: str) -> None:
    assert f"--prune-kind {kind}" in one({}, kind).kept[0].reason
    assert names(one({}, kind, belts=Belts(kinds=frozenset({kind.lower()})))) == ["gone"]


@pytest.mark.parametrize("name", ["kube-system", "kube-anything", "default"])
def test_the_namespaces_of_kubernetes_never_go(name: str) -> None:
    held = Member(Key("", "Namespace", "", name), "v1", f"uid-{name}")
    left = decide(inventory(held), {held.key: live(held)}, belts=Belts(kinds=frozenset({"Namespace"}), whole=True))
    assert "Kubernetes needs" in left.kept[0].reason


def test_an_object_that_a_killed_run_may_have_applied_goes_where_it_did() -> None:
    planned = member("gone", uid="")
    assert names(decide(inventory(planned), {planned.key: live(planned)})) == ["gone"]
    by_others = live(planned, managedFields=[{"manager": "kubectl"}])
    assert "nothing says" in decide(inventory(planned), {planned.key: by_others}).kept[0].reason


def test_nothing_goes_where_something_is_not_known() -> None:
    left = one({}, doubt="cart in production does not render")
    assert (names(left), [kept.warn for kept in left.kept]) == ([], [True])
    left = one({}, failed=lambda key: "403 Forbidden" if key.name == "gone" else None)
    assert "403 Forbidden" in left.kept[0].reason


def test_the_same_object_in_another_group_is_not_deleted() -> None:
    old = member("web", "Ingress", "extensions")
    new = Key("networking.k8s.io", "Ingress", "shop", "web")
    left = decide(inventory(old), {old.key: live(old), new: live(old)}, frozenset({new}))
    assert (names(left), left.forgotten) == ([], (old,))


def test_what_is_gone_is_forgotten_and_what_is_going_is_waited_for() -> None:
    gone, going = member("gone"), member("going")
    left = decide(inventory(gone, going), {going.key: live(going, deletionTimestamp="2026-11-21T16:00:00Z")})
    assert (names(left), left.forgotten) == ([], (gone,))
    assert [(kept.member, kept.warn) for kept in left.kept] == [(going, False)]


def test_removal_is_the_reverse_of_how_objects_come() -> None:
    held = [member("web", "Deployment", "apps"), member("settings"), member("web", "Service")]
    left = decide(inventory(*held), {each.key: live(each) for each in held}, belts=Belts(whole=True))
    assert [document["kind"] for document in left.deletes] == ["Deployment", "Service", "ConfigMap"]


@pytest.mark.parametrize(
    ("gone", "stays", "limit", "refused"),
    [
        (2, 0, None, False), (3, 3, None, False), (3, 2, None, True), (4, 3, None, True), (3, 0, None, True),
        (3, 0, 100, False), (3, 2, 60, False), (3, 2, 59, True), (3, 27, 9, True), (2, 98, 1, False), (3, 97, 0, True),
    ],
)  # fmt: skip
def test_a_mass_deletion_refuses_the_pass(gone: int, stays: int, limit: int | None, refused: bool) -> None:
    held = [member(f"m{number}") for number in range(gone + stays)]
    there = {each.key: live(each) for each in held}
    left = decide(inventory(*held), there, frozenset(each.key for each in held[gone:]), belts=Belts(limit=limit))
    assert (left.refusal is not None) is refused
    assert not decide(inventory(*held), there, belts=Belts(whole=True)).refusal


def test_the_refusal_says_how_to_allow_it() -> None:
    held = [member(f"m{number}") for number in range(5)]
    there = {each.key: live(each) for each in held}
    left = decide(inventory(*held), there, frozenset({held[0].key}))
    assert left.refusal is not None
    assert left.refusal.message == (
        "shop in production: 4 of its 5 objects would be deleted (80 %, the limit is 50 %). Nothing is written."
    )
    assert "--prune-limit 80%" in left.refusal.hint


def test_a_folder_bears_no_labels() -> None:
    held = member("gone")
    plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gone", "uid": "uid-gone"}}
    assert names(decide(inventory(held), {held.key: plain}, belts=Belts(labelled=False))) == ["gone"]
    assert names(decide(inventory(held), {held.key: plain})) == []


def test_the_inventory_afterwards() -> None:
    declared, going, stuck, kept = (member(name) for name in ("declared", "going", "stuck", "kept"))
    before = inventory(declared, going, stuck, kept)
    there = {each.key: live(each) for each in (declared, going, stuck)}
    there[kept.key] = live(kept, annotations={"helm.sh/resource-policy": "keep"})
    left = decide(before, there, frozenset({declared.key}))
    again = replace(declared, uid="uid-again")
    after = remaining(before, [again, member("new")], left, {going.key})
    assert {each.key.name: each.uid for each in after.members} == {
        "declared": "uid-again", "new": "uid-new", "stuck": "uid-stuck", "kept": "uid-kept",
    }  # fmt: skip


LABELS = st.sampled_from([None, "shop", "production", "other"])


@given(
    labels=st.dictionaries(st.sampled_from(list(owner_labels(EMPTY))), LABELS, max_size=4),
    uid=st.sampled_from(["uid-gone", "other", ""]),
    known=st.sampled_from(["uid-gone", ""]),
)
def test_nothing_goes_unless_everything_says_that_it_is_ours(labels: dict[str, str], uid: str, known: str) -> None:
    held = member("gone", uid=known)
    document = live(held, labels=labels, uid=uid)
    left = decide(inventory(held), {held.key: document})
    ours = owner_labels(EMPTY).items() <= document["metadata"]["labels"].items()
    assert bool(left.deletes) is (ours and known in ("", uid))
