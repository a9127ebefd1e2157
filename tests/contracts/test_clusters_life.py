"""What every cluster must do beside writing: discovery, lists, watches, deletion, namespaces, kinds of one's own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, ApiError, Cluster, Document, Event, Question
from ci_gitops.core.fieldsets import applied
from ci_gitops.errors import ClusterError
from tests.contracts.cluster_rigs import KINDS, Place, config, definition, deployment, named, namespace, service, until

SERVED = [
    ("v1", "Namespace", "namespaces", False),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", True),
    ("v1", "ResourceQuota", "resourcequotas", True),
    ("v1", "LimitRange", "limitranges", True),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", True),
    ("v1", "ServiceAccount", "serviceaccounts", True),
    ("v1", "Secret", "secrets", True),
    ("v1", "ConfigMap", "configmaps", True),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", False),
    ("v1", "PersistentVolume", "persistentvolumes", False),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", True),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", False),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", True),
    ("v1", "Service", "services", True),
    ("apps/v1", "DaemonSet", "daemonsets", True),
    ("v1", "Pod", "pods", True),
    ("v1", "ReplicationController", "replicationcontrollers", True),
    ("apps/v1", "ReplicaSet", "replicasets", True),
    ("apps/v1", "Deployment", "deployments", True),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True),
    ("apps/v1", "StatefulSet", "statefulsets", True),
    ("batch/v1", "Job", "jobs", True),
    ("batch/v1", "CronJob", "cronjobs", True),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", False),
    ("networking.k8s.io/v1", "Ingress", "ingresses", True),
    ("apiregistration.k8s.io/v1", "APIService", "apiservices", False),
    ("coordination.k8s.io/v1", "Lease", "leases", True),
]


# What there is


@pytest.fixture
def cluster_here(place: Place) -> Cluster:
    return place.cluster


def test_the_kinds_that_are_served(cluster_here: Cluster) -> None:
    found = {(each, kind): cluster_here.resource(each, kind) for each, kind, _, _ in SERVED}
    assert [
        (api_version, kind, resource.plural, resource.namespaced)
        for (api_version, kind), resource in found.items()
        if resource
    ] == SERVED
    assert all(resource and "list" in resource.verbs for resource in found.values())


def test_what_is_not_served(cluster_here: Cluster) -> None:
    assert cluster_here.resource("extensions/v1beta1", "Deployment") is None
    assert cluster_here.resource("policy/v1beta1", "PodSecurityPolicy") is None
    assert cluster_here.resource("absent.example.com/v1", "Flange") is None
    assert cluster_here.preferred("absent.example.com", "Flange") is None
    assert cluster_here.stale == ()


def test_the_preferred_version(cluster_here: Cluster) -> None:
    autoscaler = cluster_here.preferred("autoscaling", "HorizontalPodAutoscaler")
    assert autoscaler is not None
    assert autoscaler.api_version == "autoscaling/v2"
    pod = cluster_here.preferred("", "Pod")
    assert pod is not None
    assert pod.api_version == "v1"


def test_what_charts_ask_for(cluster_here: Cluster) -> None:
    assert {"v1", "v1/ConfigMap", "apps/v1", "apps/v1/Deployment", "batch/v1/Job"} <= set(cluster_here.api_versions)
    assert cluster_here.version.startswith("v1.")


def test_an_administrator_may_do_everything(place: Place) -> None:
    questions = [Question("get", "", "pods", place.namespace), Question("delete", "apps", "deployments")]
    assert place.cluster.may(questions) == (True, True)
    assert place.cluster.may(()) == ()


# Lists


def test_a_list_is_of_one_namespace_or_of_all(place: Place) -> None:
    mark = uuid.uuid4().hex[:8]
    for each in ("a", "b"):
        place.apply(config(each) | {"metadata": {"name": each, "labels": {"mark": mark}}})
    listed = place.cluster.list(place.resource("ConfigMap"), place.namespace, labels=f"mark={mark}")
    assert [item["metadata"]["name"] for item in listed.items] == ["a", "b"]
    assert {(item["apiVersion"], item["kind"]) for item in listed.items} == {("v1", "ConfigMap")}
    assert listed.resource_version
    assert place.cluster.list(place.resource("ConfigMap"), labels=f"mark={mark}").items == listed.items
    assert place.cluster.list(place.resource("ConfigMap"), "nowhere", labels=f"mark={mark}").items == ()


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("tier=front", ["web"]),
        ("tier==front", ["web"]),
        ("tier!=front", ["api", "plain"]),
        ("tier in (front,back)", ["api", "web"]),
        ("tier notin (front)", ["api", "plain"]),
        ("tier", ["api", "web"]),
        ("!tier", ["plain"]),
        ("tier=front,canary=true", []),
        ("tier,canary=true", ["api"]),
    ],
)
def test_label_selectors(place: Place, selector: str, names: list[str]) -> None:
    labels = {"web": {"tier": "front"}, "api": {"tier": "back", "canary": "true"}, "plain": {}}
    for name, given in labels.items():
        place.apply(named("Secret", name) | {"metadata": {"name": name, "labels": given}})
    assert place.names("Secret", labels=selector) == names


def test_field_selectors(place: Place) -> None:
    for name in ("web", "api"):
        place.apply(named("Secret", name))
    assert place.names("Secret", fields="metadata.name=web") == ["web"]
    assert place.names("Secret", fields="metadata.name!=web") == ["api"]


def test_an_absent_object_is_none(place: Place) -> None:
    assert place.get("ConfigMap", "nothing") is None
    assert place.cluster.get(place.resource("ConfigMap"), "nowhere", "nothing") is None
    assert place.cluster.get(place.resource("Namespace"), "", "nowhere") is None


def test_the_log_of_an_absent_pod(place: Place) -> None:
    with pytest.raises(ApiError, match="not found") as caught:
        place.cluster.log(place.namespace, "web", "web")
    assert caught.value.status == 404


# Watches


def seen(events: Iterator[Event], count: int) -> list[tuple[str, str]]:
    found = []
    for event in events:
        found.append((event.type, event.document["metadata"]["name"]))
        if len(found) == count:
            break
    return found


def test_a_watch_tells_what_happened_since(place: Place) -> None:
    place.apply(named("Secret", "before"))
    since = place.cluster.list(place.resource("Secret"), place.namespace).resource_version
    place.apply(named("Secret", "web"))
    place.apply(named("Secret", "web", stringData={"a": "1"}))
    place.delete("Secret", "web")
    events = place.cluster.watch(place.resource("Secret"), place.namespace, since=since, seconds=20)
    assert seen(events, 3) == [("ADDED", "web"), ("MODIFIED", "web"), ("DELETED", "web")]


def test_a_watch_tells_what_happens_meanwhile(place: Place) -> None:
    since = place.cluster.list(place.resource("Secret"), place.namespace).resource_version
    with ThreadPoolExecutor(1) as pool:
        events = place.cluster.watch(place.resource("Secret"), place.namespace, since=since, seconds=20)
        found = pool.submit(seen, events, 2)
        place.apply(named("Secret", "web"))
        place.delete("Secret", "web")
        assert found.result(30) == [("ADDED", "web"), ("DELETED", "web")]


def test_a_watch_of_one_object_sees_no_other(place: Place) -> None:
    since = place.cluster.list(place.resource("Secret"), place.namespace).resource_version
    for name in ("other", "web"):
        place.apply(named("Secret", name))
    place.delete("Secret", "other")
    place.delete("Secret", "web")
    events = place.cluster.watch(place.resource("Secret"), place.namespace, since=since, name="web", seconds=20)
    assert seen(events, 2) == [("ADDED", "web"), ("DELETED", "web")]


def test_a_watch_ends_in_its_time(place: Place) -> None:
    since = place.cluster.list(place.resource("Secret"), place.namespace).resource_version
    assert list(place.cluster.watch(place.resource("Secret"), place.namespace, since=since, seconds=1)) == []


def test_a_watch_from_too_long_ago(place: Place) -> None:
    """A kind's history begins with the kind."""
    gears(place)
    gear = place.cluster.resource("contract.example.com/v1", place_kind(place))
    assert gear is not None
    with pytest.raises(ApiError) as caught:
        list(place.cluster.watch(gear, place.namespace, since="1", seconds=5))
    assert caught.value.status == 410


# Leases


def lease(holder: str) -> dict[str, Any]:
    return named("Lease", "writer", spec={"holderIdentity": holder, "leaseDurationSeconds": 15})


def test_one_of_two_takes_a_lease(place: Place) -> None:
    first = place.create(lease("nobody"))

    def take(holder: str) -> str:
        try:
            return str(place.cluster.replace({**first, "spec": lease(holder)["spec"]})["spec"]["holderIdentity"])
        except ApiError as error:
            return str(error.status)

    with ThreadPoolExecutor(4) as pool:
        took = sorted(pool.map(take, "abcd"))
    assert took[:3] == ["409"] * 3
    assert place.live("Lease", "writer")["spec"]["holderIdentity"] == took[3]


def test_a_lease_is_taken_over_by_its_version_alone(place: Place) -> None:
    held = place.create(lease("first"))
    renewed = place.cluster.replace({**held, "spec": {**held["spec"], "renewTime": "2026-11-21T10:00:00.000000Z"}})
    assert renewed["spec"]["renewTime"] == "2026-11-21T10:00:00.000000Z"
    assert renewed["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]
    with pytest.raises(ApiError) as caught:
        place.cluster.replace({**held, "spec": lease("second")["spec"]})
    assert caught.value.status == 409
    taken = place.cluster.replace({**renewed, "spec": lease("second")["spec"]})
    assert "renewTime" not in taken["spec"]


# Deletion


def test_deleting_what_is_not_there(place: Place) -> None:
    assert place.delete("ConfigMap", "nothing") is False


def test_a_deletion_means_one_object_only(place: Place) -> None:
    old = place.apply(config(mode="calm"))
    assert place.delete("ConfigMap", "settings", uid=old["metadata"]["uid"]) is True
    new = place.apply(config(mode="calm"))
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert place.delete("ConfigMap", "settings", uid=old["metadata"]["uid"]) is False
    assert place.live("ConfigMap", "settings") == new


def test_a_finalizer_holds_the_object(place: Place) -> None:
    held = config(mode="calm")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    place.apply(held)
    assert place.delete("ConfigMap", "settings")
    leaving = place.live("ConfigMap", "settings")
    assert leaving["metadata"]["deletionTimestamp"]
    assert leaving["data"] == {"mode": "calm"}
    place.patch("ConfigMap", "settings", {"op": "remove", "path": "/metadata/finalizers"})
    assert place.get("ConfigMap", "settings") is None


def owner_and_child(place: Place) -> None:
    owner = place.apply(config("owner"))
    child = config("child")
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"],
         "blockOwnerDeletion": True}
    ]  # fmt: skip
    place.apply(child)


def test_what_an_object_owns_goes_with_it(tended: Place) -> None:
    owner_and_child(tended)
    assert tended.delete("ConfigMap", "owner")
    assert tended.get("ConfigMap", "owner") is None
    until(lambda: tended.get("ConfigMap", "child") is None, "the child is gone")


def test_in_the_foreground_it_goes_first(tended: Place) -> None:
    owner_and_child(tended)
    since = tended.cluster.list(tended.resource("ConfigMap"), tended.namespace).resource_version
    assert tended.delete("ConfigMap", "owner", propagation="Foreground")
    events = tended.cluster.watch(tended.resource("ConfigMap"), tended.namespace, since=since, seconds=30)
    gone: list[str] = []
    marked: Document = {}
    for event in events:
        name = event.document["metadata"]["name"]
        if (event.type, name) == ("MODIFIED", "owner"):
            marked = marked or event.document
        if event.type == "DELETED":
            gone.append(name)
        if len(gone) == 2:
            break
    assert gone == ["child", "owner"]
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert marked["metadata"]["deletionTimestamp"]


def test_orphans_stay(tended: Place) -> None:
    owner_and_child(tended)
    assert tended.delete("ConfigMap", "owner", propagation="Orphan")
    until(lambda: tended.get("ConfigMap", "owner") is None, "the owner is gone")
    assert "ownerReferences" not in tended.live("ConfigMap", "child")["metadata"]


# Namespaces


def test_a_missing_namespace_is_named(place: Place) -> None:
    document = config(mode="calm")
    document["metadata"]["namespace"] = f"{place.namespace}-not"
    for dry_run in (False, True):
        with pytest.raises(ApiError, match=f'namespaces "{place.namespace}-not" not found') as caught:
            place.apply(document, dry_run=dry_run)
        assert caught.value.status == 404
        assert "declare it" in str(caught.value.hint)


def test_a_namespace_takes_its_contents_with_it(tended: Place) -> None:
    inner = f"{tended.namespace}-inner"
    space, maps = tended.resource("Namespace"), tended.resource("ConfigMap")
    tended.apply(namespace(inner))
    tended.apply(config(mode="calm") | {"metadata": {"name": "settings", "namespace": inner}})
    assert tended.cluster.delete(space, "", inner)
    until(lambda: tended.cluster.get(space, "", inner) is None, "the namespace is gone", 120)
    assert tended.cluster.list(maps, inner).items == ()


def test_a_namespace_that_leaves_takes_nothing_new(tended: Place) -> None:
    inner = f"{tended.namespace}-inner"
    space, maps = tended.resource("Namespace"), tended.resource("ConfigMap")
    tended.apply(namespace(inner))
    held = {"name": "settings", "namespace": inner, "finalizers": ["example.com/wait"]}
    tended.apply(config(mode="calm") | {"metadata": held})
    assert tended.cluster.delete(space, "", inner)
    leaving = tended.cluster.get(space, "", inner)
    assert leaving is not None
    assert leaving["metadata"]["deletionTimestamp"]
    assert leaving["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError, match="because it is being terminated") as caught:
        tended.apply(config("late") | {"metadata": {"name": "late", "namespace": inner}})
    assert caught.value.status == 403

    def marked() -> bool:
        found = tended.cluster.get(maps, inner, "settings")
        return found is not None and "deletionTimestamp" in found["metadata"]

    until(marked, "its contents leave", 120)
    tended.cluster.patch(maps, inner, "settings", [{"op": "remove", "path": "/metadata/finalizers"}])
    assert tended.cluster.get(maps, inner, "settings") is None


def test_objects_of_the_whole_cluster_are_in_no_namespace(place: Place) -> None:
    name = f"contract-{uuid.uuid4().hex[:8]}"
    place.behind(KINDS["ClusterRole"], "ClusterRole", name)
    made = place.apply(named("ClusterRole", name, rules=[]))
    assert "namespace" not in made["metadata"]
    assert place.cluster.get(place.resource("ClusterRole"), "", name) == made


# Kinds of one's own

GEAR = {
    "type": "object",
    "required": ["teeth"],
    "properties": {
        "teeth": {"type": "integer", "minimum": 3},
        "material": {"type": "string", "enum": ["steel", "brass"], "default": "steel"},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "parts": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"],
                      "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}}},
        },
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "port": {"x-kubernetes-int-or-string": True},
    },
}  # fmt: skip


def place_kind(place: Place) -> str:
    """A kind of the test's own, since two tests at once share the cluster."""
    return f"Gear{place.namespace.removeprefix('contract-')}"


def gears(place: Place, **version: Any) -> None:
    """Define the kind, and wait until it is served."""
    name = f"{place_kind(place).lower()}s"
    place.behind(KINDS["CustomResourceDefinition"], "CustomResourceDefinition", f"{name}.contract.example.com")
    place.apply(definition(name, GEAR, **version))

    def served() -> bool:
        place.cluster.forget()
        resource = place.cluster.resource("contract.example.com/v1", place_kind(place))
        return resource is not None and resource.namespaced

    until(served, "the kind is served")
    established = {"type": "Established", "status": "True"}
    until(lambda: _has(place, f"{name}.contract.example.com", established), "it is established")


def _has(place: Place, name: str, wanted: dict[str, str]) -> bool:
    found = place.cluster.get(place.resource("CustomResourceDefinition"), "", name) or {}
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(wanted.items() <= condition.items() for condition in conditions)


def gear(place: Place, name: str = "big", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "contract.example.com/v1", "kind": place_kind(place), "metadata": {"name": name},
        "spec": {"teeth": 12, **spec},
    }  # fmt: skip


def test_a_kind_of_ones_own(place: Place) -> None:
    gears(place)
    parts = [{"name": "axle"}]
    made = place.apply(gear(place, tags=["a"], parts=parts, sizes=[1], free={"any": {"thing": 1}}, port="http"))
    assert made["spec"] == {
        "teeth": 12, "material": "steel", "tags": ["a"], "parts": [{"name": "axle", "count": 1}], "sizes": [1],
        "free": {"any": {"thing": 1}}, "port": "http",
    }  # fmt: skip
    assert made["metadata"]["generation"] == 1
    entry = applied(made, FIELD_MANAGER)
    assert entry is not None
    assert entry.fields["f:spec"] == {
        "f:teeth": {}, "f:tags": {'v:"a"': {}}, "f:sizes": {}, "f:port": {},
        "f:parts": {'k:{"name":"axle"}': {".": {}, "f:name": {}}},
        "f:free": {"f:any": {".": {}, "f:thing": {}}},
    }  # fmt: skip


def test_its_lists_are_merged_as_its_schema_says(place: Place) -> None:
    gears(place)
    place.apply(gear(place, tags=["a"], parts=[{"name": "axle", "count": 2}], sizes=[1], labels={"x": "1"}))
    theirs = gear(place, tags=["b"], parts=[{"name": "bolt"}], labels={"y": "2"})
    both = place.apply(theirs, manager="somebody")["spec"]
    assert sorted(both["tags"]) == ["a", "b"]
    assert both["parts"] == [{"name": "axle", "count": 2}, {"name": "bolt", "count": 1}]
    assert both["labels"] == {"x": "1", "y": "2"}
    with pytest.raises(ApiError) as caught:
        place.apply(gear(place, sizes=[2]), manager="somebody")
    assert [field for field, _ in caught.value.causes] == [".spec.sizes"]


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        ({"teeth": 2}, 422, "spec.teeth"),
        ({"material": "wood"}, 422, "spec.material"),
        ({"colour": "red"}, 500, "spec.colour: field not declared in schema"),
        ({"sizes": ["one"]}, 500, "spec.sizes[0]: expected numeric"),
    ],
    ids=["minimum", "enum", "unknown", "type"],
)
def test_its_schema_is_heeded(place: Place, spec: dict[str, Any], status: int, said: str) -> None:
    gears(place)
    with pytest.raises(ApiError) as caught:
        place.apply(gear(place, **spec))
    assert (caught.value.status, said in caught.value.message) == (status, True), caught.value.message


def test_its_status_is_written_apart(place: Place) -> None:
    gears(place, subresources={"status": {}})
    made = place.apply(gear(place))
    assert "status" not in place.apply({**gear(place), "status": {"phase": "Ready"}})
    assert place.apply(gear(place, teeth=13))["metadata"]["generation"] == made["metadata"]["generation"] + 1


def test_a_definition_takes_its_objects_with_it(place: Place) -> None:
    gears(place)
    place.apply(gear(place))
    definitions, name = place.resource("CustomResourceDefinition"), f"{place_kind(place).lower()}s.contract.example.com"
    assert place.cluster.delete(definitions, "", name)
    until(lambda: place.cluster.get(definitions, "", name) is None, "the definition is gone")

    def unknown() -> bool:
        place.cluster.forget()
        return place.cluster.resource("contract.example.com/v1", place_kind(place)) is None

    until(unknown, "the kind is gone")
    with pytest.raises(ClusterError, match="knows no kind"):
        place.apply(gear(place))


def test_a_definition_needs_a_structural_schema(place: Place) -> None:
    name = f"{place_kind(place).lower()}s"
    with pytest.raises(ApiError, match="must not be empty for specified object fields") as caught:
        place.apply(definition(name, {"properties": {"a": {"type": "string"}}}))
    assert caught.value.status == 422


def test_what_applications_have_is_read_back_as_it_was_written(place: Place) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    documents = [
        deployment(), service(), config("web", mode="calm"), named("ServiceAccount", "web"),
        named("Role", "web", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
        named("NetworkPolicy", "web", spec={"podSelector": {}, "policyTypes": ["Ingress"]}),
        named("Ingress", "web", spec={"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}),
        named("HorizontalPodAutoscaler", "web", spec={"maxReplicas": 3, "scaleTargetRef": target}),
    ]  # fmt: skip
    for document in documents:
        place.apply(document)
        live = place.live(document["kind"], "web")
        assert (live["apiVersion"], live["kind"]) == (document["apiVersion"], document["kind"])
        assert applied(place.apply(document), FIELD_MANAGER) == applied(live, FIELD_MANAGER)
