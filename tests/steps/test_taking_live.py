"""What others applied before us becomes ours: the plan says what goes, the apply takes it away, then all is settled."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from tests.adapters.test_migration_live import by_kubectl, define, gear, kind, target
from tests.contracts.cluster_rigs import config, deployment
from tests.rig.cluster import Cluster
from tests.steps.planner import Planner, changes, fields

__all__ = ["kind", "target"]  # fixtures


@pytest.fixture
def planner(cluster: Cluster, namespace: str) -> Iterator[Planner]:
    made = Kubernetes(Access(None, str(cluster.kubeconfig)), namespace)
    yield Planner(made, namespace)
    made.close()


@pytest.mark.parametrize("options", [(), ("--server-side",)], ids=["client side", "server side"])
def test_d16_what_kubectl_applied_is_adopted_whole(
    planner: Planner, cluster: Cluster, namespace: str, options: tuple[str, ...]
) -> None:
    by_kubectl(cluster, namespace, config(keep="1", change="2", drop="3"), *options)
    declared = json.dumps(config(keep="1", change="4"))
    planned = planner.plan(declared)
    assert fields(planned)["data.change"] == ("2", "4")
    assert fields(planned)["data.drop"][0] == "3"
    assert "adopts" in str(changes(planned)[0].reason)
    planner.deploy(declared)
    assert cluster.get("configmap", "settings", namespace)["data"] == {"keep": "1", "change": "4"}
    assert changes(planner.plan(declared)) == []
    assert changes(planner.plan(declared)) == []


def test_d16_a_container_that_is_not_in_git_goes(planner: Planner, cluster: Cluster, namespace: str) -> None:
    web, side = {"name": "web", "image": "web:1"}, {"name": "side", "image": "side:1"}
    by_kubectl(cluster, namespace, deployment(web, side, replicas=0))
    declared = json.dumps(deployment(web, replicas=0))
    assert any('containers[name="side"]' in path for path in fields(planner.plan(declared)))
    planner.deploy(declared)
    spec = cluster.get("deployment", "web", namespace)["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["containers"]] == ["web"]
    assert changes(planner.plan(declared)) == []


def test_d17_a_newer_version_is_planned_and_applied(planner: Planner, target: Kubernetes, kind: str) -> None:
    define(target, kind, ("v1beta1", "colour", True))
    planner.cluster.forget()
    planner.deploy(json.dumps(gear(kind, "v1beta1", teeth=3, colour="red")))
    define(target, kind, ("v1beta1", "colour", False), ("v1", "finish", True))
    planner.cluster.forget()
    newer = json.dumps(gear(kind, "v1", teeth=3, finish="matt"))
    planned = planner.plan(newer)
    assert fields(planned) == {"spec.finish": (None, "matt")}
    assert "another version than migration.example.com/v1" in str(changes(planned)[0].reason)
    planner.deploy(newer)
    assert changes(planner.plan(newer)) == []
