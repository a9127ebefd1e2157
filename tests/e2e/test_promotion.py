"""The whole road on every forge: an image, staging, healthy, promoted by a merge request, production, and back.

The three forges must leave the same files behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.forge_roads import ROADS, Road
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer, run_git
from tests.rig.registry import RegistryServer

CONFIG = """\
version: 1
name: acme
apps:
  shop: {path: "apps/shop/{environment}"}
environments:
  staging: {write: push, destination: {to: "simulated:live.json", namespace: staging}, createNamespace: true}
  production:
    write: merge-request
    destination: {to: "simulated:live.json", namespace: production}
    createNamespace: true
    gates: {healthy: true, approvals: 1}
    rollback: {gates: {approvals: 1}}
"""
OVERLAY = "resources: [deployment.yaml]\nimages:\n- name: web\n  newName: IMAGE\n  newTag: '1'  # the pipeline's\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web}]
"""
FOLDER = "apps/shop/{}"


@pytest.fixture(params=["gitlab", *(pytest.param(name, marks=pytest.mark.full) for name in ("local", "github"))])
def road(request: pytest.FixtureRequest, git_server: GitServer, cli: Cli, tmp_path: Path) -> Iterator[Road]:
    made = ROADS[request.param](git_server, cli, tmp_path)
    yield made
    made.close()


def done(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err
    return ran


def production(road: Road) -> str:
    """The kustomization on the branch that is deployed."""
    return road.server.read(road.name, f"{FOLDER.format('production')}/kustomization.yaml").decode()


def running(road: Road) -> list[str]:
    status = done(road("status", "--environment", "production", "--repo", road.url))
    return [image for item in status.json["items"] for image in item["images"]]


def test_from_an_image_to_production_and_back(road: Road, registry: RegistryServer) -> None:
    image = f"{registry.host}/forges/web"
    registry.push("forges/web", "1")
    second = registry.push("forges/web", "2", {"tag": "2"})
    files = {f"{FOLDER.format(name)}/{file}": text.replace("IMAGE", image).encode()
             for name in ("staging", "production")
             for file, text in (("kustomization.yaml", OVERLAY), ("deployment.yaml", DEPLOYMENT))}  # fmt: skip
    road.push({".ci-gitops.yaml": CONFIG.encode(), **files}, message="Declare")
    before = production(road)

    def deploy(environment: str) -> Ran:
        return road("deploy", "--environment", environment, "--repo", road.url)

    for environment in ("staging", "production"):
        assert done(deploy(environment)).json["outcome"] == "succeeded"
    build = {"CI_PROJECT_PATH": "group/shop", "CI_COMMIT_SHA": "4f1a" * 10, "CI_PIPELINE_ID": "812"}
    done(road("update", f"web={image}:2@{second}", "--environment", "staging", "--repo", road.url, **build))
    early = road("promote", "--to", "production", "--repo", road.url)
    assert f"{image}:2" not in production(road), early.out
    assert done(deploy("staging")).json["outcome"] == "succeeded"

    promoted = done(road("promote", "--from", "staging", "--to", "production", "--repo", road.url))
    (request,) = road.open
    assert (promoted.json["outcome"], request.target) == ("opened", "main")
    again = done(road("promote", "--from", "staging", "--to", "production", "--repo", road.url))
    assert (again.json["outcome"], len(road.open)) == ("unchanged", 1)
    waiting = done(road.merge())
    assert [one["gate"] for one in waiting.json["waiting"]] == ["approvals"]
    road.rig.approve("alice", request.iid, request.head_sha)
    assert [one["mr"] for one in done(road.merge()).json["merged"]] == [1]
    assert production(road) == before.replace("'1'  # the pipeline's", f"'2'  # the pipeline's\n  digest: {second}")
    assert done(deploy("production")).json["outcome"] == "succeeded"
    assert running(road) == [f"{image}:2@{second}"]
    (why,) = done(road("why", "--environment", "production", "--repo", road.url)).json["images"]
    assert (why["source"]["pipeline"], why["through"]["target"]) == (812, "staging/shop")

    done(road("rollback", "--environment", "production", "--repo", road.url, "--message", "Take it back"))
    (back,) = road.open
    assert [one["gate"] for one in done(road.merge()).json["waiting"]] == ["approvals"]
    road.rig.approve("alice", back.iid, back.head_sha)
    assert [one["mr"] for one in done(road.merge()).json["merged"]] == [2]
    assert production(road) == before
    assert done(deploy("production")).json["outcome"] == "succeeded"
    assert running(road) == [f"{image}:1"]
    held = road("promote", "--from", "staging", "--to", "production", "--repo", road.url)
    assert (held.code, production(road)) == (0, before), held.err
    assert "held" in held.out
    assert road.open == ()
    released_after_all(road, f"{image}:2@{second}")
    ruling = {".ci-gitops.yaml": CONFIG.encode(), ".ci-gitops/holds/production.yaml": b"[]\n"}
    wanted = {path: blob(text) for path, text in {**files, **ruling}.items()}
    wanted[f"{FOLDER.format('staging')}/kustomization.yaml"] = blob(
        before.replace("'1'  # the pipeline's", f"'2'  # the pipeline's\n  digest: {second}").encode()
    )
    left = tree(road)
    assert {path: left[path] for path in wanted} == wanted
    assert {*left} - {*wanted} == {"README.md", *OTHERS}


def released_after_all(road: Road, image: str) -> None:
    """What is released is promoted as before; this time people close it."""
    where = ("--environment", "production", "--repo", road.url, "--reason", "It was the network")
    done(road("release", "--app", "shop", "--image", image, *where))
    done(road("promote", "--from", "staging", "--to", "production", "--repo", road.url))
    (again,) = road.open
    assert f"Update shop in production to {image.partition('@')[0].rpartition(':')[2]}" == again.title
    road.people.close(again.iid)
    assert road.open == ()


#: What each rig's repository begins with.
OTHERS = (
    "apps/shop/kustomization.yaml",
    "apps/cart/production/kustomization.yaml",
    "apps/cart/staging/kustomization.yaml",
)


def tree(road: Road) -> dict[str, str]:
    """Each file on the branch that is deployed, by the hash of its content: the same on every forge."""
    listed = run_git("--git-dir", road.server.bare(road.name), "ls-tree", "-r", "main").splitlines()
    return {path: entry.split()[2] for entry, path in (line.split("\t") for line in listed)}


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
