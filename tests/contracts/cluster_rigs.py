"""One rig for each cluster that passes the contract suite: a way to it, and namespaces of a test's own.

A new cluster joins by a class here and its name in `CLUSTER_RIGS`.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from ci_gitops.adapters.cluster.base import Cluster, Document, Resource
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.cluster.simulated import Simulated
from ci_gitops.errors import CiGitopsError

_MARK = "contract.example.com/run"
_RUN = uuid.uuid4().hex[:8]


class ClusterRig(Protocol):
    tended: bool  # whether controllers empty namespaces and take away what is owned

    def cluster(self, namespace: str) -> Cluster:
        """The cluster as a new run sees it; objects without a namespace go to this one."""
        ...

    def close(self) -> None: ...


class KubernetesRig:
    """A real API server."""

    def __init__(self, kubeconfig: Path, tended: bool) -> None:
        self._kubeconfig = kubeconfig
        self.tended = tended

    def cluster(self, namespace: str) -> Cluster:
        return Kubernetes(Access(None, str(self._kubeconfig)), namespace)

    def close(self) -> None:
        pass


def _kubernetes(request: pytest.FixtureRequest) -> ClusterRig:
    cluster = request.getfixturevalue("cluster")
    return KubernetesRig(cluster.kubeconfig, cluster.tended)


class SimulatedRig:
    """A cluster in a file, which each run opens anew."""

    tended = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def cluster(self, namespace: str) -> Cluster:
        return Simulated(self._path, namespace)

    def close(self) -> None:
        pass


def _simulated(request: pytest.FixtureRequest) -> ClusterRig:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("simulated")
    return SimulatedRig(folder / "cluster.json")


CLUSTER_RIGS: dict[str, Callable[[pytest.FixtureRequest], ClusterRig]] = {
    "kubernetes": _kubernetes,
    "simulated": _simulated,
}


class Place:
    """A cluster and a namespace of the test's own in it, with what tests do all the time."""

    def __init__(self, rig: ClusterRig) -> None:
        self.rig = rig
        self.namespace = f"contract-{uuid.uuid4().hex[:8]}"
        self.cluster = rig.cluster(self.namespace)
        self._left_behind: list[tuple[str, str, str]] = []
        self.apply(namespace(self.namespace))

    def apply(self, document: Document, **options: Any) -> Document:
        return self.cluster.apply(document, **options)

    def create(self, document: Document, **options: Any) -> Document:
        return self.cluster.create(document, **options)

    def resource(self, kind: str) -> Resource:
        found = self.cluster.resource(KINDS[kind], kind)
        assert found, kind
        return found

    def get(self, kind: str, name: str) -> Document | None:
        return self.cluster.get(self.resource(kind), self.namespace, name)

    def live(self, kind: str, name: str) -> Document:
        found = self.get(kind, name)
        assert found is not None, f"{kind} {name}"
        return found

    def names(self, kind: str, *, labels: str = "", fields: str = "") -> list[str]:
        listed = self.cluster.list(self.resource(kind), self.namespace, labels=labels, fields=fields)
        return sorted(item["metadata"]["name"] for item in listed.items)

    def delete(self, kind: str, name: str, **options: Any) -> bool:
        return self.cluster.delete(self.resource(kind), self.namespace, name, **options)

    def patch(self, kind: str, name: str, *operations: Document) -> Document:
        return self.cluster.patch(self.resource(kind), self.namespace, name, operations)

    def behind(self, api_version: str, kind: str, name: str) -> None:
        """Remove this object of the whole cluster at the end."""
        self._left_behind.append((api_version, kind, name))

    def close(self) -> None:
        for api_version, kind, name in self._left_behind:
            with contextlib.suppress(CiGitopsError):
                if resource := self.cluster.resource(api_version, kind):
                    self.cluster.delete(resource, "", name)
        self.cluster.close()


def clear(rig: ClusterRig) -> None:
    """Delete the suite's namespaces at the end, so that no test waits behind the others' deletions."""
    cluster = rig.cluster("default")
    spaces = cluster.resource("v1", "Namespace")
    assert spaces
    for item in cluster.list(spaces, labels=f"{_MARK}={_RUN}").items:
        cluster.delete(spaces, "", item["metadata"]["name"])
    cluster.close()


#: kind -> apiVersion, of all that the suite writes
KINDS = {
    "ConfigMap": "v1", "Secret": "v1", "Service": "v1", "ServiceAccount": "v1", "Namespace": "v1", "Pod": "v1",
    "PersistentVolumeClaim": "v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1", "ReplicaSet": "apps/v1",
    "Job": "batch/v1", "Ingress": "networking.k8s.io/v1", "NetworkPolicy": "networking.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1", "ClusterRole": "rbac.authorization.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2", "Lease": "coordination.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
}  # fmt: skip


def until(held: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Look again until it holds: the clusters' own controllers act a moment later."""
    end = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < end, f"not in {seconds:.0f} s: {what}"
        time.sleep(0.02)


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {_MARK: _RUN}}}


def named(kind: str, name: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": KINDS[kind], "kind": kind, "metadata": {"name": name}, **content}


def config(name: str = "settings", **data: str) -> dict[str, Any]:
    return named("ConfigMap", name, **({"data": data} if data else {}))


def deployment(*containers: dict[str, Any], name: str = "web", **spec: Any) -> dict[str, Any]:
    """With the pods' labels as they must be; a container `web` where none is given."""
    pods = {"metadata": {"labels": {"app": name}}, "spec": {"containers": list(containers or (container(),))}}
    return named("Deployment", name, spec={"selector": {"matchLabels": {"app": name}}, "template": pods, **spec})


def container(name: str = "web", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", **more}


def service(*ports: dict[str, Any], name: str = "web") -> dict[str, Any]:
    return named("Service", name, spec={"selector": {"app": name}, "ports": list(ports or ({"port": 80},))})


def definition(plural: str, schema: dict[str, Any], **version: Any) -> dict[str, Any]:
    """A CustomResourceDefinition of kind `Gear`-like names: `gears` gives kind `Gear`."""
    kind = plural.removesuffix("s").capitalize()
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return named(
        "CustomResourceDefinition", f"{plural}.contract.example.com",
        spec={
            "group": "contract.example.com", "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural.removesuffix("s"), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{
                "name": "v1", "served": True, "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema, "status": status}}},
                **version,
            }],
        },
    )  # fmt: skip
