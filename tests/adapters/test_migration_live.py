"""After the migration a field that leaves Git goes, on a real API server."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, ApiError, Document
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.core.fieldsets import applied, entries, text
from ci_gitops.core.migration import migration, outdated
from tests.contracts.cluster_rigs import config, deployment, until
from tests.rig.cluster import Cluster


@pytest.fixture
def target(cluster: Cluster, namespace: str) -> Iterator[Kubernetes]:
    made = Kubernetes(Access(None, str(cluster.kubeconfig)), namespace, tell=print)
    yield made
    made.close()


def by_kubectl(cluster: Cluster, namespace: str, document: Document, *options: str) -> None:
    program = str(cluster.programs / "kubectl") if cluster.programs else "kubectl"
    command = [program, "--kubeconfig", str(cluster.kubeconfig), "apply", "-n", namespace, "-f", "-", *options]
    subprocess.run(command, input=json.dumps(document), text=True, capture_output=True, check=True)


def live(target: Kubernetes, document: Document) -> Document:
    resource = target.resource(document["apiVersion"], document["kind"])
    assert resource
    found = target.get(resource, target.namespace, document["metadata"]["name"])
    assert found is not None
    return found


def migrate(target: Kubernetes, document: Document, *served: str) -> Document:
    resource = target.resource(document["apiVersion"], document["kind"])
    assert resource
    while True:
        found = migration(live(target, document), FIELD_MANAGER, served=served)
        assert found is not None
        try:
            return target.patch(resource, target.namespace, document["metadata"]["name"], found.operations)
        except ApiError as error:
            if error.status != 409:  # a controller was first
                raise


@pytest.mark.parametrize("options", [(), ("--server-side",)], ids=["client side", "server side"])
def test_what_kubectl_applied_goes_when_it_leaves_git(
    cluster: Cluster, target: Kubernetes, namespace: str, options: tuple[str, ...]
) -> None:
    by_kubectl(cluster, namespace, config(keep="1", drop="2"), *options)
    assert target.apply(config(keep="1"), force=True, dry_run=True)["data"] == {"keep": "1", "drop": "2"}  # the trap
    migrate(target, config())
    after = target.apply(config(keep="1"))
    assert after["data"] == {"keep": "1"}
    assert "annotations" not in after["metadata"]
    assert [entry.manager for entry in entries(after)] == [FIELD_MANAGER]


def test_a_workload_that_kubectl_applied(cluster: Cluster, target: Kubernetes, namespace: str) -> None:
    side = {"name": "side", "image": "side:1", "env": [{"name": "A", "value": "1"}]}
    web = {"name": "web", "image": "web:1", "args": ["-v"], "ports": [{"containerPort": 80}]}
    by_kubectl(cluster, namespace, deployment(web, side, replicas=0))
    before = live(target, deployment())
    after = migrate(target, deployment())
    assert after["spec"] == before["spec"]
    changed = target.apply(deployment({"name": "web", "image": "web:2"}, replicas=0))
    (found,) = changed["spec"]["template"]["spec"]["containers"]
    assert (found["image"], "args" in found, "ports" in found) == ("web:2", False, False)
    assert (
        target.apply(deployment({"name": "web", "image": "web:2"}, replicas=0), dry_run=True)["spec"] == changed["spec"]
    )


def test_our_own_writes_without_apply(target: Kubernetes) -> None:
    target.create(config(keep="1", drop="2"))
    migrate(target, config())
    assert target.apply(config(keep="1"))["data"] == {"keep": "1"}


def test_what_others_own_stays(cluster: Cluster, target: Kubernetes, namespace: str) -> None:
    by_kubectl(cluster, namespace, config(keep="1"))
    target.apply(config(theirs="1"), manager="somebody")
    migrate(target, config())
    assert target.apply(config(keep="1"))["data"] == {"keep": "1", "theirs": "1"}


def test_an_object_that_changed_meanwhile_is_not_written(cluster: Cluster, target: Kubernetes, namespace: str) -> None:
    by_kubectl(cluster, namespace, config(keep="1"))
    found = migration(live(target, config()), FIELD_MANAGER)
    assert found is not None
    target.apply(config(more="1"), manager="somebody")
    resource = target.resource("v1", "ConfigMap")
    assert resource
    with pytest.raises(ApiError, match="has been modified") as caught:
        target.patch(resource, namespace, "settings", found.operations)
    assert caught.value.status == 409


def gear_definition(name: str, *versions: tuple[str, str, bool]) -> dict[str, Any]:
    """Versions as (name, the field beside `teeth` that it has, whether it is the stored one)."""

    def schema(field: str) -> dict[str, Any]:
        fields = {"teeth": {"type": "integer"}, field: {"type": "string"}}
        return {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}

    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.migration.example.com"},
        "spec": {
            "group": "migration.example.com", "scope": "Namespaced",
            "names": {"plural": f"{name}s", "singular": name, "kind": name.capitalize()},
            "versions": [
                {"name": version, "served": True, "storage": stored, "schema": {"openAPIV3Schema": schema(field)}}
                for version, field, stored in versions
            ],
        },
    }  # fmt: skip


@pytest.fixture
def kind(target: Kubernetes) -> Iterator[str]:
    name = f"gear{uuid.uuid4().hex[:8]}"
    yield name
    definitions = target.resource("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert definitions
    target.delete(definitions, "", f"{name}s.migration.example.com")


def gear(kind: str, version: str, **spec: Any) -> dict[str, Any]:
    api_version = f"migration.example.com/{version}"
    return {"apiVersion": api_version, "kind": kind.capitalize(), "metadata": {"name": "big"}, "spec": spec}


def define(target: Kubernetes, kind: str, *versions: tuple[str, str, bool]) -> None:
    target.apply(gear_definition(kind, *versions))

    def served() -> bool:
        target.forget()
        return all(target.resource(f"migration.example.com/{each[0]}", kind.capitalize()) for each in versions)

    until(served, "all versions are served")


def test_a_newer_version_of_the_api(target: Kubernetes, kind: str) -> None:
    define(target, kind, ("v1beta1", "colour", True))
    target.apply(gear(kind, "v1beta1", teeth=3, colour="red"))
    target.apply(gear(kind, "v1beta1", teeth=3), manager="somebody")
    define(target, kind, ("v1beta1", "colour", False), ("v1", "finish", True))
    newer = gear(kind, "v1", teeth=3, finish="matt")

    def refused() -> bool:
        with pytest.raises(ApiError) as caught:
            target.apply(newer, dry_run=True)
        return outdated(caught.value.message)

    until(refused, "the new schema is in force")
    migrate(target, newer)
    after = target.apply(newer)
    assert after["spec"] == {"teeth": 3, "finish": "matt"}
    ours = applied(after, FIELD_MANAGER)
    assert ours is not None
    assert sorted(text(path) for path in ours.paths) == ["spec.finish", "spec.teeth"]
