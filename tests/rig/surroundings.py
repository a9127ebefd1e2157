"""What the addresses of a guide stand for: a registry on the loopback and no cluster, or those of a real cluster.

    around.registry.host                 instead of registry.example.com
    around.kubeconfig(folder)            whose contexts have the environments' names
    around.runs(manifests, digest)       what Git declares, brought there by kubectl where somebody else deploys

A test that asks for `around` runs twice; on the real cluster in the full tests.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.rig import cluster as clusters
from tests.rig.cluster import Cluster
from tests.rig.deploying import digests
from tests.rig.parts import missing
from tests.rig.registry import RegistryServer


@dataclass(frozen=True)
class Surroundings:
    registry: RegistryServer
    cluster: Cluster | None = None
    namespace: str = "shop"
    busybox: Path | None = None

    def push(self, repository: str, tag: str) -> str:
        """An image, which lives where there are pods, and its digest."""
        files = {"bin/busybox": self.busybox.read_bytes()} if self.busybox else {"page": b"hello\n"}
        return self.registry.push(repository, tag, {"version": tag}, files=files)

    def kubeconfig(self, folder: Path, *contexts: str) -> Path:
        assert self.cluster
        known = yaml.safe_load(self.cluster.kubeconfig.read_text())
        (first,) = (each["context"] for each in known["contexts"] if each["name"] == known["current-context"])
        known["contexts"] = [{"name": name, "context": first} for name in contexts]
        known.pop("current-context")
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(known))
        return path

    def make_namespace(self) -> None:
        assert self.cluster
        self.cluster.make_namespace(self.namespace)

    def runs(self, manifests: Sequence[object], digest: str) -> None:
        """As Flux or Argo CD would apply it: the Deployment `web` gets healthy with this image."""
        assert self.cluster
        self.make_namespace()
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=listed)
        assert digests(self.cluster, self.namespace, "web") == {digest}


@pytest.fixture(params=["alone", pytest.param("kubernetes", marks=pytest.mark.full)])
def around(request: pytest.FixtureRequest) -> Iterator[Surroundings]:
    if request.param == "alone":
        yield Surroundings(request.getfixturevalue("registry"))
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    if not cluster.registry:
        missing("a cluster that runs pods (CLUSTER_REGISTRY)", clusters.HOW)
    name = f"shop-{uuid.uuid4().hex[:8]}"
    yield Surroundings(RegistryServer(cluster.registry, Path()), cluster, name, request.getfixturevalue("busybox"))
    cluster.drop_namespace(name)
