"""What each kind does when an object is made or changed: its names, its generation, what the server alone writes.

https://github.com/kubernetes/kubernetes/tree/master/pkg/registry: `strategy.go` of each kind.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ci_gitops.core.api.schemas import Kind
from ci_gitops.core.fieldsets import same

Document = dict[str, Any]
#: Built-in kinds whose generation counts the changes of their specification.
_COUNTED = {
    "CronJob", "CustomResourceDefinition", "DaemonSet", "Deployment", "EndpointSlice", "Ingress", "IngressClass", "Job",
    "NetworkPolicy", "Pod", "PodDisruptionBudget", "PriorityClass", "ReplicaSet", "ReplicationController",
    "StatefulSet",
}  # fmt: skip
#: Kinds of which a replacement makes an object that is not there.
MADE_BY_REPLACING = frozenset((
    "ClusterRole", "ClusterRoleBinding", "Endpoints", "Event", "Lease", "LimitRange", "Role", "RoleBinding", "Service",
))  # fmt: skip
#: Built-in kinds of which a replacement must name the version that it replaces; custom ones all do.
VERSIONED = frozenset(("APIService", "CustomResourceDefinition", "Lease", "PodDisruptionBudget"))
#: The status that a new object has, where it has one at once.
_FIRST_STATUS: dict[str, Document] = {
    "CustomResourceDefinition": {"acceptedNames": {"kind": "", "plural": ""}, "conditions": None, "storedVersions": []},
    "DaemonSet": {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0},
    "HorizontalPodAutoscaler": {"currentMetrics": None, "desiredReplicas": 0},
    "Ingress": {"loadBalancer": {}},
    "Namespace": {"phase": "Active"},
    "PersistentVolume": {"phase": "Pending"},
    "PersistentVolumeClaim": {"phase": "Pending"},
    "Pod": {"phase": "Pending"},
    "PodDisruptionBudget": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
    "ReplicaSet": {"replicas": 0},
    "ReplicationController": {"replicas": 0},
    "Service": {"loadBalancer": {}},
    "StatefulSet": {"availableReplicas": 0, "replicas": 0},
}
_PROTECTED = {
    "PersistentVolume": "kubernetes.io/pv-protection",
    "PersistentVolumeClaim": "kubernetes.io/pvc-protection",
}
_SERVERS = (
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


def created(kind: Kind, document: Document) -> Document:
    """A new object, without what its sender may not say. `document` may be changed."""
    metadata = document["metadata"]
    for name in (*_SERVERS, "deletionGracePeriodSeconds"):
        metadata.pop(name, None)
    if not kind.namespaced:
        metadata.pop("namespace", None)
    if counts(kind):
        metadata["generation"] = 1
    if kind.custom:
        if kind.status:
            document.pop("status", None)
    elif kind.status or "status" in document:
        document["status"] = copy.deepcopy(_FIRST_STATUS.get(kind.kind, {}))
    if kind.kind == "Namespace":
        document["spec"] = {"finalizers": ["kubernetes"]}
    finalizer = _PROTECTED.get(kind.kind)
    if finalizer and not kind.custom:
        metadata["finalizers"] = [*metadata.get("finalizers", ()), finalizer]
    return document


def changed(kind: Kind, document: Document, old: Mapping[str, Any]) -> Document:
    """A changed object: what the server writes stays, and a new specification is a new generation."""
    metadata, before = document["metadata"], old["metadata"]
    for name in (*_SERVERS, "deletionGracePeriodSeconds"):
        metadata.pop(name, None)
        if name in before and name != "managedFields":
            metadata[name] = before[name]
    if kind.status:
        document.pop("status", None)
        if "status" in old:
            document["status"] = old["status"]
    if kind.kind == "Namespace" and not kind.custom:
        document["spec"] = old["spec"]
    if counts(kind) and not same(_counted(kind, document), _counted(kind, old)):
        metadata["generation"] = before.get("generation", 0) + 1
    return document


def counts(kind: Kind) -> bool:
    return kind.custom or kind.kind in _COUNTED


def ignored(kind: Kind) -> tuple[tuple[str, ...], ...]:
    """What nobody owns who writes the object itself."""
    return (("status",),) if kind.status else ()


def _counted(kind: Kind, document: Mapping[str, Any]) -> Any:
    if kind.custom:
        left_out = {"metadata", "status"} if kind.status else {"metadata"}
        return {name: value for name, value in document.items() if name not in left_out}
    if kind.kind == "Deployment":
        return document.get("spec"), document["metadata"].get("annotations")
    if "spec" in kind.schema.fields:
        return document.get("spec")
    return {name: value for name, value in document.items() if name not in ("metadata", "status")}
