"""Other people's trees: what was deployed plans nothing, twice in a row, and not because nothing was asked."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, Cluster
from ci_gitops.core.differences import updated
from ci_gitops.core.inventory import Key
from ci_gitops.core.manifests import Manifest, parse, text
from ci_gitops.core.settled import is_settled
from tests.conftest import SEED
from tests.steps.planner import Planner, changes

FEW = 6
IDLE: dict[str, dict[str, Any]] = {
    "Deployment": {"replicas": 0}, "StatefulSet": {"replicas": 0}, "ReplicaSet": {"replicas": 0},
    "Job": {"suspend": True}, "CronJob": {"suspend": True},
}  # fmt: skip


def trees(corpus: Path) -> list[str]:
    return (corpus / "buildable.txt").read_text().split()


def here(cluster: Cluster, manifest: Manifest, namespace: str) -> Manifest | None:
    """The object in a namespace of its own and without pods; None where the cluster does not know it, or shares it."""
    resource = cluster.resource(manifest.api_version, manifest.kind)
    if resource is None or not resource.namespaced or manifest.kind in ("Pod", "DaemonSet"):
        return None
    document = dict(manifest.document)
    document["metadata"] = {**document["metadata"], "namespace": namespace}
    if manifest.kind in IDLE:
        document["spec"] = {**document["spec"], **IDLE[manifest.kind]}
    return Manifest(manifest.api_version, manifest.kind, namespace, manifest.name, document)


def built(kustomize: str, folder: Path, cluster: Cluster, namespace: str) -> str:
    """What kustomize makes of the tree, as far as it can live in one namespace."""
    done = subprocess.run([kustomize, "build", str(folder)], capture_output=True, text=True, check=False)
    found = (here(cluster, each, namespace) for each in parse(done.stdout, folder.name)) if done.returncode == 0 else ()
    return text({Key.of(each.document): each for each in found if each}.values())


def is_quiet_and_asked(planner: Planner, manifests: str) -> None:
    """The plan is empty, and the server says so of every object that is settled."""
    planned = planner.plan(manifests)
    assert planned.plan.is_empty, changes(planned)
    for document in planned.prepared.documents:
        resource = planner.cluster.resource(document["apiVersion"], document["kind"])
        assert resource
        live = planner.cluster.get(resource, planner.namespace, document["metadata"]["name"])
        assert live
        if not is_settled(document, live, FIELD_MANAGER):
            continue  # it was asked already
        answer = planner.cluster.apply(document, dry_run=True, force=True)
        found = updated(live, answer, FIELD_MANAGER)
        assert found.operation == "unchanged", (document, found)


def deployed_twice(planner: Planner, kustomize: str, folder: Path) -> int:
    """How many objects there were."""
    manifests = built(kustomize, folder, planner.cluster, planner.namespace)
    if not manifests:
        return 0
    created = planner.plan(manifests, try_new=True)
    if created.troubles:
        return 0  # the cluster does not take what the tree declares
    planner.deploy(manifests)
    for _ in range(2):
        is_quiet_and_asked(planner, manifests)
    for document in created.prepared.documents:
        resource = planner.cluster.resource(document["apiVersion"], document["kind"])
        assert resource
        planner.cluster.delete(resource, planner.namespace, document["metadata"]["name"])
    return len(created.prepared.documents)


def sampled(corpus: Path, number: int) -> Iterator[Path]:
    for tree in random.Random(SEED).sample(trees(corpus), number):
        yield corpus / tree


def test_a_few_trees_plan_nothing_when_they_are_there(planner: Planner, kustomize: str, corpus: Path) -> None:
    for folder in sampled(corpus, FEW):
        deployed_twice(planner.forgets(), kustomize, folder)


@pytest.mark.full
def test_every_tree_plans_nothing_when_it_is_there(planner: Planner, kustomize: str, corpus: Path) -> None:
    found = {tree: deployed_twice(planner.forgets(), kustomize, corpus / tree) for tree in trees(corpus)}
    assert sum(1 for number in found.values() if number) > len(found) / 2, found
