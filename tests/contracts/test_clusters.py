"""What every cluster must do when objects are written: server-side apply, ownership, dry runs, refusals.

The promises are those of `ci_gitops/adapters/cluster/base.py`; what is expected is what a real API server does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, ApiError, Document
from ci_gitops.core.fieldsets import applied, ends, entries, owned, text
from ci_gitops.errors import ClusterError
from tests.contracts.cluster_rigs import Place, config, container, deployment, named, service

OTHER = "somebody"


def fields(document: Document, manager: str = FIELD_MANAGER) -> set[str]:
    """The values that a manager gave, as people read them."""
    return {text(path) for path in ends(owned(document, manager))}


def containers(document: Document) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["spec"]["template"]["spec"]["containers"]
    return found


def refused(place: Place, document: Document, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        place.apply(document, **options)
    return caught.value


# Server-side apply and who owns what


def test_a_new_object_gets_what_the_server_gives(place: Place) -> None:
    made = place.apply(config(mode="calm"))
    metadata = made["metadata"]
    assert metadata["uid"]
    assert metadata["resourceVersion"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["namespace"] == place.namespace
    assert made["data"] == {"mode": "calm"}
    assert place.get("ConfigMap", "settings") == made


def test_what_was_applied_is_recorded(place: Place) -> None:
    made = place.apply(config(mode="calm") | {"metadata": {"name": "settings", "labels": {"tier": "front"}}})
    entry = applied(made, FIELD_MANAGER)
    assert entry is not None
    assert (entry.api_version, entry.subresource) == ("v1", "")
    assert entry.fields == {"f:data": {"f:mode": {}}, "f:metadata": {"f:labels": {"f:tier": {}}}}
    assert made["metadata"]["managedFields"][0]["fieldsType"] == "FieldsV1"


def test_the_same_again_changes_nothing(place: Place) -> None:
    first = place.apply(service())
    assert place.apply(service()) == first


def test_a_changed_value_is_written(place: Place) -> None:
    first = place.apply(config(mode="calm"))
    second = place.apply(config(mode="wild"))
    assert second["data"] == {"mode": "wild"}
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert second["metadata"]["uid"] == first["metadata"]["uid"]


def test_generation_counts_changes_of_the_spec_only(place: Place) -> None:
    assert place.apply(deployment(replicas=1))["metadata"]["generation"] == 1
    assert place.apply(deployment(replicas=2))["metadata"]["generation"] == 2
    labelled = deployment(replicas=2)
    labelled["metadata"]["labels"] = {"tier": "front"}
    assert place.apply(labelled)["metadata"]["generation"] == 2


def test_managers_own_fields_of_one_object_side_by_side(place: Place) -> None:
    place.apply(config(ours="1"))
    both = place.apply(config(theirs="2"), manager=OTHER)
    assert both["data"] == {"ours": "1", "theirs": "2"}
    assert fields(both) == {"data.ours"}
    assert fields(both, OTHER) == {"data.theirs"}


def test_a_field_that_we_no_longer_give_goes(place: Place) -> None:
    place.apply(config(keep="1", drop="2"))
    assert place.apply(config(keep="1"))["data"] == {"keep": "1"}


def test_a_field_that_another_still_gives_stays(place: Place) -> None:
    place.apply(config(shared="1", ours="2"))
    place.apply(config(shared="1"), manager=OTHER)
    kept = place.apply(config())
    assert kept["data"] == {"shared": "1"}
    assert fields(kept) == set()
    assert fields(kept, OTHER) == {"data.shared"}


def test_the_last_owner_takes_the_map_with_it(place: Place) -> None:
    place.apply(config(only="1"))
    assert "data" not in place.apply(named("ConfigMap", "settings"))


def test_another_value_of_anothers_field_is_a_conflict(place: Place) -> None:
    place.apply(config(mode="theirs", level="1"), manager=OTHER)
    error = refused(place, config(mode="ours", level="2", free="3"))
    assert (error.status, error.reason) == (409, "Conflict")
    assert sorted(error.causes) == [
        (".data.level", f'conflict with "{OTHER}"'),
        (".data.mode", f'conflict with "{OTHER}"'),
    ]
    assert place.live("ConfigMap", "settings")["data"] == {"mode": "theirs", "level": "1"}


def test_force_takes_the_field_and_its_ownership(place: Place) -> None:
    place.apply(config(mode="theirs", more="1"), manager=OTHER)
    taken = place.apply(config(mode="ours"), force=True)
    assert taken["data"] == {"mode": "ours", "more": "1"}
    assert fields(taken) == {"data.mode"}
    assert fields(taken, OTHER) == {"data.more"}


def test_a_conflict_with_what_was_written_without_apply_names_the_way(place: Place) -> None:
    place.create(config(mode="created"))
    error = refused(place, config(mode="applied"), manager=OTHER)
    ((field, message),) = error.causes
    assert field == ".data.mode"
    assert message.startswith(f'conflict with "{FIELD_MANAGER}" using v1')


def test_our_own_writes_without_apply_conflict_with_our_apply(place: Place) -> None:
    """They are another entry, which is why they are migrated on first contact."""
    place.create(config(mode="created"))
    assert refused(place, config(mode="applied")).status == 409


def test_lists_with_keys_are_merged(place: Place) -> None:
    place.apply(deployment(container("web", env=[{"name": "A", "value": "1"}])))
    theirs = deployment(container("web", env=[{"name": "B", "value": "2"}]), container("side"))
    both = place.apply(theirs, manager=OTHER)
    web, side = containers(both)
    assert (web["name"], side["name"]) == ("web", "side")
    assert web["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    less = place.apply(deployment(container("web")))
    assert containers(less)[0]["env"] == [{"name": "B", "value": "2"}]
    assert len(containers(less)) == 2


def test_an_item_that_we_no_longer_give_goes(place: Place) -> None:
    place.apply(deployment(container("web"), container("side")))
    assert [each["name"] for each in containers(place.apply(deployment(container("web"))))] == ["web"]


def test_the_order_of_items_is_ours(place: Place) -> None:
    place.apply(deployment(container("web"), container("side")))
    turned = place.apply(deployment(container("side"), container("web")))
    assert [each["name"] for each in containers(turned)] == ["side", "web"]


def test_ports_are_told_apart_by_number_and_protocol(place: Place) -> None:
    ports = [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    made = place.apply(deployment(container("web", ports=ports)))
    assert containers(made)[0]["ports"] == ports
    entry = applied(made, FIELD_MANAGER)
    assert entry is not None
    web = entry.fields["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert web["f:ports"] == {
        'k:{"containerPort":53,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
        'k:{"containerPort":53,"protocol":"UDP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
    }


def test_a_key_that_is_left_out_has_its_default(place: Place) -> None:
    made = place.apply(service({"port": 80}))
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    entry = applied(made, FIELD_MANAGER)
    assert entry is not None
    assert entry.fields["f:spec"]["f:ports"] == {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}


def test_sets_are_united(place: Place) -> None:
    ours = config() | {"metadata": {"name": "settings", "finalizers": ["example.com/ours"]}}
    theirs = config() | {"metadata": {"name": "settings", "finalizers": ["example.com/theirs"]}}
    place.apply(ours)
    both = place.apply(theirs, manager=OTHER)
    assert sorted(both["metadata"]["finalizers"]) == ["example.com/ours", "example.com/theirs"]
    entry = applied(both, FIELD_MANAGER)
    assert entry is not None
    assert entry.fields["f:metadata"]["f:finalizers"] == {'v:"example.com/ours"': {}}
    assert place.apply(config())["metadata"]["finalizers"] == ["example.com/theirs"]
    assert "finalizers" not in place.apply(config(), manager=OTHER)["metadata"]


def test_atomic_lists_belong_to_one_manager(place: Place) -> None:
    place.apply(deployment(container("web", args=["-v"])))
    error = refused(place, deployment(container("web", args=["-v", "-x"])), manager=OTHER)
    ((field, _),) = error.causes
    assert field == '.spec.template.spec.containers[name="web"].args'
    taken = place.apply(deployment(container("web", args=["-x"])), manager=OTHER, force=True)
    assert containers(taken)[0]["args"] == ["-x"]


def test_atomic_maps_belong_to_one_manager(place: Place) -> None:
    made = place.apply(service())
    entry = applied(made, FIELD_MANAGER)
    assert entry is not None
    assert entry.fields["f:spec"]["f:selector"] == {}
    other = service()
    other["spec"]["selector"] = {"app": "web", "tier": "front"}
    ((field, _),) = refused(place, other, manager=OTHER).causes
    assert field == ".spec.selector"


def test_the_shape_of_a_workloads_fields(place: Place) -> None:
    made = place.apply(deployment(container("web", env=[{"name": "A", "value": "1"}], args=["-v"]), replicas=2))
    entry = applied(made, FIELD_MANAGER)
    assert entry is not None
    assert entry.api_version == "apps/v1"
    web = {
        ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
    }  # fmt: skip
    template = {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:containers": {'k:{"name":"web"}': web}}}
    assert entry.fields == {"f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": template}}


def test_null_stands_for_nothing(place: Place) -> None:
    document = config(mode="calm") | {"metadata": {"name": "settings", "creationTimestamp": None, "labels": None}}
    made = place.apply(document)
    assert made["metadata"]["creationTimestamp"]
    assert "labels" not in made["metadata"]


def test_an_empty_map_is_owned_as_such(place: Place) -> None:
    spec = {"template": {"spec": {"containers": [container("web", resources={})]}}}
    made = place.apply(deployment(*spec["template"]["spec"]["containers"]))
    assert any(path.endswith(".resources") for path in fields(made))


def test_owners_are_merged_by_their_uid(place: Place) -> None:
    owner = place.apply(config("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    made = place.apply(config() | {"metadata": {"name": "settings", "ownerReferences": [reference]}})
    entry = applied(made, FIELD_MANAGER)
    assert entry is not None
    (key,) = entry.fields["f:metadata"]["f:ownerReferences"]
    assert key == f'k:{{"uid":"{owner["metadata"]["uid"]}"}}'
    kept = place.apply(config(a="1"), manager=OTHER)
    assert kept["metadata"]["ownerReferences"] == [reference]
    assert "ownerReferences" not in place.apply(config())["metadata"]


def test_an_object_is_created_by_the_first_apply_of_several(place: Place) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda name: place.apply(config(**{name: "1"}), manager=name), "abcd"))
    assert len({each["metadata"]["uid"] for each in made}) == 1
    live = place.live("ConfigMap", "settings")
    assert live["data"] == {"a": "1", "b": "1", "c": "1", "d": "1"}
    assert [fields(live, name) for name in "abcd"] == [{f"data.{name}"} for name in "abcd"]


# What the server adds


def test_defaults_are_filled_in_and_nobodys(place: Place) -> None:
    made = place.apply(deployment())
    spec = made["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    pods = spec["template"]["spec"]
    assert (pods["restartPolicy"], pods["dnsPolicy"], pods["schedulerName"]) == (
        "Always", "ClusterFirst", "default-scheduler",
    )  # fmt: skip
    assert pods["terminationGracePeriodSeconds"] == 30
    assert pods["securityContext"] == {}
    (web,) = pods["containers"]
    assert (web["imagePullPolicy"], web["terminationMessagePolicy"], web["resources"]) == ("IfNotPresent", "File", {})
    assert not any("replicas" in path or "imagePullPolicy" in path for path in fields(made))


@pytest.mark.parametrize(("image", "policy"), [("web", "Always"), ("web:latest", "Always"), ("web:1", "IfNotPresent")])
def test_the_pull_policy_goes_by_the_tag(place: Place, image: str, policy: str) -> None:
    assert containers(place.apply(deployment({"name": "web", "image": image})))[0]["imagePullPolicy"] == policy


def test_a_service_gets_an_address(place: Place) -> None:
    spec = place.apply(service({"port": 80, "targetPort": "http"}))["spec"]
    assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "None")
    assert spec["clusterIP"] == spec["clusterIPs"][0]
    assert spec["ports"][0]["targetPort"] == "http"
    again = place.apply(service({"port": 81}))["spec"]
    assert again["clusterIP"] == spec["clusterIP"]


def test_a_secrets_text_is_encoded(place: Place) -> None:
    made = place.apply(named("Secret", "login", stringData={"user": "alice"}))
    assert made["data"] == {"user": "YWxpY2U="}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


def test_numbers_and_quantities_are_written_in_one_way(place: Place) -> None:
    made = place.apply(deployment(container("web", resources={"limits": {"cpu": "1000m", "memory": "1024Mi"}})))
    assert containers(made)[0]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}


# What the server refuses


def test_an_unknown_kind(place: Place) -> None:
    with pytest.raises(ClusterError, match=r"no kind Flange in absent\.example\.com/v1"):
        place.apply({"apiVersion": "absent.example.com/v1", "kind": "Flange", "metadata": {"name": "x"}})


def test_an_unknown_field(place: Place) -> None:
    document = deployment()
    document["spec"]["replicaz"] = 2
    assert ".spec.replicaz: field not declared in schema" in refused(place, document).message
    assert place.get("Deployment", "web") is None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (named("ConfigMap", "settings", data=["calm"]), r".data: expected map"),
        (deployment(replicas="two"), r".spec.replicas: expected numeric"),
    ],
)
def test_a_value_of_the_wrong_type(place: Place, document: Document, said: str) -> None:
    assert said in refused(place, document).message


def test_the_same_item_twice(place: Place) -> None:
    error = refused(place, deployment(container("web"), container("web")))
    assert "duplicate entries for key" in error.message


@pytest.mark.parametrize(
    ("document", "causes"),
    [
        (deployment(replicas=-1), {"spec.replicas"}),
        (named("ConfigMap", "Not_A_Name"), {"metadata.name"}),
        (deployment({"name": "web"}), {"spec.template.spec.containers[0].image"}),
        (service({"port": 70000, "targetPort": 80}), {"spec.ports[0].port"}),
        (config() | {"metadata": {"name": "x", "labels": {"a": "not a value"}}}, {"metadata.labels"}),
        (named("Secret", "login", type="kubernetes.io/tls", data={}), {"data[tls.crt]", "data[tls.key]"}),
    ],
    ids=["below zero", "name", "required", "out of range", "label", "keys of a type"],
)
def test_an_object_that_is_not_valid_names_its_fields(place: Place, document: Document, causes: set[str]) -> None:
    error = refused(place, document)
    assert (error.status, error.reason) == (422, "Invalid")
    assert {field for field, _ in error.causes} == causes


def test_labels_must_fit_the_selector(place: Place) -> None:
    document = deployment()
    document["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    error = refused(place, document)
    assert [field for field, _ in error.causes] == ["spec.template.metadata.labels"]


def job(image: str = "job:1") -> dict[str, Any]:
    pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "job", "image": image}]}}
    return named("Job", "job", spec={"suspend": True, "template": pods})


def claim(size: str = "1Gi", mode: str = "ReadWriteOnce") -> dict[str, Any]:
    return named(
        "PersistentVolumeClaim", "disk",
        spec={"accessModes": [mode], "storageClassName": "none", "resources": {"requests": {"storage": size}}},
    )  # fmt: skip


def selecting(app: str) -> dict[str, Any]:
    document = deployment()
    document["spec"]["selector"] = {"matchLabels": {"app": app}}
    document["spec"]["template"]["metadata"]["labels"] = {"app": app}
    return document


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        (selecting("web"), selecting("other"), "spec.selector"),
        (job(), job("job:2"), "spec.template"),
        (claim(), claim(mode="ReadOnlyMany"), "spec"),
        (named("Secret", "x", type="Opaque"), named("Secret", "x", type="example.com/other"), "type"),
        (config(a="1") | {"immutable": True}, config(a="2") | {"immutable": True}, "data"),
    ],
    ids=["selector", "job", "claim", "secret", "immutable"],
)
def test_fields_that_never_change(place: Place, first: Document, second: Document, field: str) -> None:
    place.apply(first)
    error = refused(place, second, force=True)
    assert (error.status, error.reason) == (422, "Invalid")
    assert field in {each for each, _ in error.causes}
    assert "immutable" in error.message


def test_managed_fields_cannot_be_applied(place: Place) -> None:
    made = place.apply(config(mode="calm"))
    error = refused(place, made)
    assert error.status == 400
    assert "metadata.managedFields must be nil" in error.message


@pytest.mark.parametrize(
    ("given", "status"), [({"resourceVersion": "1"}, 409), ({"uid": "00000000-0000-0000-0000-000000000000"}, 422)]
)
def test_apply_heeds_what_it_is_told_of_the_object(place: Place, given: dict[str, str], status: int) -> None:
    place.apply(config(mode="calm"))
    document = config(mode="wild")
    document["metadata"].update(given)
    assert refused(place, document).status == status
    assert place.live("ConfigMap", "settings")["data"] == {"mode": "calm"}


# Dry runs


def test_a_dry_run_leaves_nothing(place: Place) -> None:
    would = place.apply(deployment(), dry_run=True)
    assert would["spec"]["replicas"] == 1
    assert would["metadata"]["uid"]
    assert fields(would)
    assert place.get("Deployment", "web") is None
    assert place.create(config(a="1"), dry_run=True)["data"] == {"a": "1"}
    assert place.get("ConfigMap", "settings") is None


def test_a_dry_run_shows_what_would_be(place: Place) -> None:
    live = place.apply(config(keep="1", drop="2"))
    would = place.apply(config(keep="3"), dry_run=True)
    assert would["data"] == {"keep": "3"}
    assert fields(would) == {"data.keep"}
    assert place.live("ConfigMap", "settings") == live


def test_a_dry_run_is_refused_as_the_write_would_be(place: Place) -> None:
    place.apply(config(mode="theirs"), manager=OTHER)
    assert refused(place, config(mode="ours"), dry_run=True).status == 409
    assert refused(place, deployment(replicas=-1), dry_run=True).status == 422
    assert place.apply(config(mode="ours"), dry_run=True, force=True)["data"] == {"mode": "ours"}
    assert fields(place.live("ConfigMap", "settings"), OTHER) == {"data.mode"}


def test_a_dry_run_of_a_deletion_leaves_the_object(place: Place) -> None:
    place.apply(config(mode="calm"))
    assert place.delete("ConfigMap", "settings", dry_run=True)
    assert place.get("ConfigMap", "settings") is not None


# Writes that are no apply


def test_create_is_for_what_is_not_there(place: Place) -> None:
    made = place.create(config(mode="calm"))
    (entry,) = entries(made)
    assert (entry.manager, entry.operation) == (FIELD_MANAGER, "Update")
    with pytest.raises(ApiError, match="already exists") as caught:
        place.create(config(mode="wild"))
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")


def test_a_generated_name_is_another_each_time(place: Place) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}}
    names = {place.create(document)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


def test_replace_writes_the_whole_object(place: Place) -> None:
    place.create(config(mode="calm", more="1"))
    assert place.cluster.replace(config(mode="wild"))["data"] == {"mode": "wild"}


def test_replace_heeds_the_version(place: Place) -> None:
    first = place.create(config(mode="calm"))
    second = place.cluster.replace({**first, "data": {"mode": "wild"}})
    with pytest.raises(ApiError, match="the object has been modified") as caught:
        place.cluster.replace({**first, "data": {"mode": "late"}})
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    assert place.live("ConfigMap", "settings") == second


def test_replace_needs_the_object(place: Place) -> None:
    with pytest.raises(ApiError, match="not found") as caught:
        place.cluster.replace(config(mode="calm"))
    assert caught.value.status == 404


def test_a_patch_does_all_or_nothing(place: Place) -> None:
    made = place.apply(config(mode="calm"))
    version = made["metadata"]["resourceVersion"]
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    patched = place.patch("ConfigMap", "settings", test, {"op": "replace", "path": "/data/mode", "value": "wild"})
    assert patched["data"] == {"mode": "wild"}
    with pytest.raises(ApiError) as caught:
        place.patch("ConfigMap", "settings", {"op": "remove", "path": "/data/mode"}, test)
    assert caught.value.status == 422
    assert place.live("ConfigMap", "settings")["data"] == {"mode": "wild"}


def test_a_patch_of_an_older_object_is_a_conflict(place: Place) -> None:
    old = place.apply(config(mode="calm"))["metadata"]["resourceVersion"]
    place.apply(config(mode="wild"))
    stale = {"op": "replace", "path": "/metadata/resourceVersion", "value": old}
    with pytest.raises(ApiError) as caught:
        place.patch("ConfigMap", "settings", {"op": "replace", "path": "/data/mode", "value": "late"}, stale)
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    assert place.live("ConfigMap", "settings")["data"] == {"mode": "wild"}


def test_a_patch_of_what_is_not_there(place: Place) -> None:
    with pytest.raises(ApiError, match="not found") as caught:
        place.patch("ConfigMap", "settings", {"op": "add", "path": "/data", "value": {}})
    assert caught.value.status == 404


def test_a_patch_takes_the_field_without_asking(place: Place) -> None:
    place.apply(config(mode="theirs"), manager=OTHER)
    patched = place.patch("ConfigMap", "settings", {"op": "replace", "path": "/data/mode", "value": "ours"})
    assert fields(patched, OTHER) == set()
    assert [(entry.manager, entry.operation) for entry in entries(patched) if "f:data" in entry.fields] == [
        (FIELD_MANAGER, "Update")
    ]


def test_managed_fields_can_be_rewritten(place: Place) -> None:
    """How the fields of client-side apply are taken over."""
    made = place.create(config(mode="calm"))
    entry = {**made["metadata"]["managedFields"][0], "operation": "Apply"}
    place.patch("ConfigMap", "settings", {"op": "replace", "path": "/metadata/managedFields", "value": [entry]})
    after = place.apply(named("ConfigMap", "settings"))
    assert "data" not in after
