"""What a new cluster holds."""

from __future__ import annotations

from typing import Any

from ci_gitops.core.api.server import Sender, Server
from ci_gitops.core.api.state import State

NODE = "simulated"
NODE_LABELS = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_CAPACITY = {"cpu": "8", "memory": "16Gi", "pods": "110"}


def furnish(state: State, now: float) -> None:
    """The namespaces, the node and the storage class that are there from the beginning."""
    server = Server(state, now)
    for name in _NAMESPACES:
        _make(server, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "kube-apiserver")
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": NODE_LABELS}}
    made = _make(server, node, "kubelet")
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
             "lastHeartbeatTime": server.time, "lastTransitionTime": server.time}  # fmt: skip
    made["status"] = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": [ready],
                      "nodeInfo": made["status"].get("nodeInfo", {})}  # fmt: skip
    state.put(made, now)
    _make(server, {
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "simulated",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    }, "kube-apiserver")  # fmt: skip


def _make(server: Server, document: dict[str, Any], manager: str) -> dict[str, Any]:
    kind = server.kind(document["apiVersion"], document["kind"])
    assert kind is not None
    return server.create(kind, "", document, Sender(manager))
