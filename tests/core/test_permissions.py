from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ci_gitops.core.permissions import Extent, Right, Subject, rights, roles


@dataclass(frozen=True)
class Kind:
    plural: str
    namespaced: bool = True


def served(api_version: str, kind: str) -> Kind | None:
    known = {"Namespace": Kind("namespaces", False), "ClusterRole": Kind("clusterroles", False),
             "Deployment": Kind("deployments"), "Secret": Kind("secrets"), "ConfigMap": Kind("configmaps"),
             "Role": Kind("roles"), "RoleBinding": Kind("rolebindings"), "Job": Kind("jobs")}  # fmt: skip
    return known.get(kind)


def thing(kind: str, group: str = "", namespace: str = "shop", **rest: Any) -> dict[str, Any]:
    metadata = {"name": "a", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata, **rest}


def needed(*documents: dict[str, Any], hooks: tuple[dict[str, Any], ...] = (), **extent: Any) -> set[str]:
    found = rights(documents, hooks, served, Extent(**{"records": "records", **extent}))
    return {str(right) for right in found if right.namespace != "records"}


def test_applying_takes_a_patch_and_a_creation_and_pruning_a_deletion() -> None:
    verbs = {"get", "list", "watch", "create", "patch"}
    events = {"list events in shop"}
    assert needed(thing("ConfigMap")) == {f"{verb} configmaps in shop" for verb in verbs} | events
    assert (
        needed(thing("ConfigMap"), prune=True) == {f"{verb} configmaps in shop" for verb in (*verbs, "delete")} | events
    )
    assert "delete configmaps in shop" in needed(hooks=(thing("ConfigMap"),))


def test_what_comes_from_an_object_is_read() -> None:
    found = needed(thing("Deployment", "apps", spec={"replicas": 1}))
    assert found >= {"list replicasets.apps in shop", "list pods in shop", "get pods/log in shop",
                     "list horizontalpodautoscalers.autoscaling in shop"}  # fmt: skip
    assert "get pods/log in shop" in needed(hooks=(thing("Job", "batch"),))


def test_records_take_config_maps_a_lease_and_with_secrets_a_key() -> None:
    kept = {str(right) for right in rights((), (), served, Extent("records"))}
    assert kept == {
        *(f"{verb} configmaps in records" for verb in ("get", "list", "create", "update", "delete")),
        *(f"{verb} leases.coordination.k8s.io in records" for verb in ("get", "create", "update", "delete")),
    }
    with_secret = {str(right) for right in rights((thing("Secret"),), (), served, Extent("records"))}
    assert with_secret >= {"get secrets ci-gitops-plan-key in records", "create secrets in records"}


def test_nobody_gives_away_what_they_do_not_have() -> None:
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "resourceNames": ["a"], "verbs": ["create"]}
    group = "rbac.authorization.k8s.io"
    assert "create pods/exec a in shop" in needed(thing("Role", group, rules=[rule]))
    assert "create pods/exec a in the cluster" in needed(thing("ClusterRole", group, "", rules=[rule]))
    bound = needed(thing("RoleBinding", group, roleRef={"kind": "ClusterRole", "name": "view"}))
    assert f"bind clusterroles.{group} view in shop" in bound
    gathered = needed(thing("ClusterRole", group, "", aggregationRule={"clusterRoleSelectors": []}))
    assert f"escalate clusterroles.{group} a in the cluster" in gathered


def test_a_namespace_is_created_only_where_that_is_asked_for() -> None:
    assert "create namespaces in the cluster" not in needed(thing("ConfigMap"))
    assert "create namespaces in the cluster" in needed(thing("ConfigMap"), create_namespace="shop")


def test_roles_hold_exactly_the_rights() -> None:
    found = rights([thing("Deployment", "apps"), thing("Namespace", namespace=""), thing("Secret")], (), served,
                   Extent("shop"))  # fmt: skip
    made = roles(found, "ci-gitops-production", Subject("ServiceAccount", "deployer", "ci"))
    assert [(each["kind"], each["metadata"].get("namespace")) for each in made] == [
        ("ServiceAccount", "ci"), ("ClusterRole", None), ("ClusterRoleBinding", None), ("Role", "shop"),
        ("RoleBinding", "shop"),
    ]  # fmt: skip
    held = {
        (each["metadata"].get("namespace", ""), group, resource, verb)
        for each in made for rule in each.get("rules", ()) for group in rule["apiGroups"]
        for resource in rule["resources"] for verb in rule["verbs"]
    }  # fmt: skip
    assert held == {(right.namespace, right.group, right.full_resource, right.verb) for right in found}
    assert made[2]["subjects"] == [{"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"}]
    by_name = roles(found, "x", Subject("User", "alice"))
    assert [each["kind"] for each in by_name] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    assert by_name[1]["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}]


def test_a_right_is_said_so_that_it_can_be_granted() -> None:
    assert str(Right("", "apps", "deployments", "list")) == "list deployments.apps in the cluster"
