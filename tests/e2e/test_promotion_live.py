"""A promotion from real pods to real pods: what the merge request, its gates, production and the way back tell."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.forge_roads import GitLabRoad
from tests.rig import cluster as rig
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer
from tests.rig.parts import missing
from tests.rig.registry import RegistryServer

CONFIG = """\
version: 1
name: {name}
apps:
  shop: {{path: "deploy/{{environment}}"}}
environments:
  staging: {{write: push, destination: {{namespace: {name}-staging}}, createNamespace: true}}
  production:
    write: merge-request
    destination: {{namespace: {name}-production}}
    createNamespace: true
    gates: {{healthy: true, soak: 1s, approvals: 1}}
    rollback: {{gates: {{approvals: 1}}}}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: web, image: "{image}", command: [/bin/busybox, sleep, "1000"]}}]
"""
BUILD = {
    "CI_COMMIT_SHA": "4f1a" * 10, "CI_PROJECT_PATH": "group/shop", "CI_PIPELINE_ID": "812",
    "CI_COMMIT_TIMESTAMP": "2026-11-21T10:00:00+00:00",
}  # fmt: skip


@pytest.fixture
def name(cluster: rig.Cluster) -> Iterator[str]:
    made = f"test-{uuid.uuid4().hex[:8]}"
    yield made
    both = (f"{made}-staging", f"{made}-production")
    cluster.kubectl("delete", "namespace", *both, "--ignore-not-found", "--wait=false")


@pytest.fixture
def road(git_server: GitServer, cli: Cli, tmp_path: Path, cluster: rig.Cluster) -> Iterator[GitLabRoad]:
    made = GitLabRoad(git_server, cli, tmp_path)
    made.variables = {"KUBECONFIG": str(cluster.kubeconfig)}
    yield made
    made.close()


def done(ran: Ran) -> Ran:
    if ran.code:
        pytest.fail(f"{ran.out[-3000:]}\n{ran.err[-3000:]}")
    return ran


def gates(road: GitLabRoad) -> dict[str, str]:
    (item,) = done(road("gates", "--environment", "production", "--repo", road.url)).json["items"]
    return {gate["gate"]: gate["state"] for gate in item["gates"]}


@pytest.mark.full
def test_from_healthy_pods_to_production_and_back(
    road: GitLabRoad, cluster: rig.Cluster, name: str, busybox: Path
) -> None:
    if cluster.registry is None:
        missing("a cluster that runs pods", rig.HOW)
    registry, image = RegistryServer(cluster.registry, Path()), f"{cluster.registry}/{name}/web"
    program = {"bin/busybox": busybox.read_bytes()}
    first = f"{image}:1@{registry.push(f'{name}/web', '1', files=program)}"
    second = f"{image}:2@{registry.push(f'{name}/web', '2', {'tag': '2'}, files=program)}"
    declared = {
        f"deploy/{each}/web.yaml": DEPLOYMENT.format(image=first).encode() for each in ("staging", "production")
    }
    road.push({".ci-gitops.yaml": CONFIG.format(name=name).encode(), **declared}, message="Declare")

    def deploy(environment: str) -> None:
        done(road("deploy", "--environment", environment, "--repo", road.url, "--timeout", "240s"))

    def runs() -> str:
        found = cluster.get("deployment", "web", f"{name}-production")
        assert found["status"]["readyReplicas"] == 1
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    deploy("staging")
    deploy("production")
    assert runs() == first
    done(road("update", second, "--environment", "staging", "--repo", road.url, **BUILD))
    promote = ("promote", "--from", "staging", "--to", "production", "--repo", road.url)
    assert done(road(*promote)).json["outcome"] == "unchanged"  # it is not deployed yet
    deploy("staging")
    assert done(road(*promote)).json["outcome"] == "opened"

    (request,) = road.open
    text = request.description
    for words in ("What a deploy would do now", ": 1 to update", "update deployment/web", first, second, "1s)"):
        assert words in text, text
    assert gates(road)["approvals"] == "waiting"
    road.rig.approve("alice", request.iid, request.head_sha)
    assert {"approvals", "healthy", "soak"} <= {*gates(road)}
    merged = done(road.merge("--wait", "--timeout", "60s"))
    assert [one["mr"] for one in merged.json["merged"]] == [1]
    deploy("production")
    assert runs() == second

    why = done(road("why", "--environment", "production", "--app", "shop", "--repo", road.url)).json
    (told,) = why["images"]
    assert (told["source"]["project"], told["source"]["pipeline"]) == ("group/shop", 812)
    assert told["through"]["target"] == "staging/shop"
    assert told["mergeRequest"]["approvers"] == ["alice"]

    done(road("rollback", "--environment", "production", "--repo", road.url))
    (back,) = road.open
    road.rig.approve("alice", back.iid, back.head_sha)
    assert [one["mr"] for one in done(road.merge()).json["merged"]] == [2]
    deploy("production")
    assert runs() == first
    held = done(road("gates", "--environment", "production", "--repo", road.url)).json["gates"]
    assert [f"{second} in shop is held" in gate["reason"] for gate in held if gate["gate"] == "hold"] == [True]
