"""Replicas under an autoscaler are its own: what a deploy sends leaves them as they are.

A workload is autoscaled where a live or declared autoscaler of Kubernetes, of KEDA or a vertical one targets it, and
only there: what a person scaled by hand is drift. The same answer holds for diff, apply and healing, since all of
them send what `leave_replicas` gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.fieldsets import MISSING, Owners, Path, owned, value_at

REPLICAS: Path = ("spec", "replicas")
#: Group and kind of an autoscaler -> where it names its target, and what it means where it names no group and kind.
AUTOSCALERS = {
    ("autoscaling", "HorizontalPodAutoscaler"): "scaleTargetRef",
    ("keda.sh", "ScaledObject"): "scaleTargetRef",
    ("autoscaling.k8s.io", "VerticalPodAutoscaler"): "targetRef",
}
_DEFAULT_KIND = "Deployment"  # of KEDA
_SCALABLE = {"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"}


@dataclass(frozen=True, slots=True)
class Workload:
    """What an autoscaler targets; `group` is None where it names none."""

    group: str | None
    kind: str
    namespace: str
    name: str


def autoscaled(objects: Iterable[Mapping[str, Any]]) -> frozenset[Workload]:
    """The workloads that the autoscalers among `objects` target; each object names its namespace."""
    return frozenset(workload for document in objects for workload in _targets(document))


def _targets(document: Mapping[str, Any]) -> Iterator[Workload]:
    group = str(document.get("apiVersion")).rpartition("/")[0]
    field = AUTOSCALERS.get((group, str(document.get("kind"))))
    target = value_at(document, ("spec", field)) if field else None
    if not isinstance(target, Mapping) or not target.get("name"):
        return
    version = target.get("apiVersion")
    yield Workload(
        str(version).rpartition("/")[0] if version else None,
        str(target.get("kind") or _DEFAULT_KIND),
        str(value_at(document, ("metadata", "namespace")) or ""),
        str(target["name"]),
    )


def may_be_scaled(document: Mapping[str, Any]) -> bool:
    """Whether it is worth a look for autoscalers that target the object."""
    return document.get("kind") in _SCALABLE or value_at(document, REPLICAS) is not MISSING


def is_autoscaled(document: Mapping[str, Any], workloads: Collection[Workload]) -> bool:
    group, kind = str(document.get("apiVersion")).rpartition("/")[0], str(document.get("kind"))
    namespace, name = (str(value_at(document, ("metadata", field))) for field in ("namespace", "name"))
    return any(Workload(each, kind, namespace, name) in workloads for each in (group, None))


def leave_replicas(
    manifest: Mapping[str, Any], live: Mapping[str, Any] | None, workloads: Collection[Workload], manager: str
) -> Mapping[str, Any]:
    """What to send as `manager` for an object: its replicas left out, or as they are live, where it is autoscaled.

    They are left out where another manager holds them, where nobody does, and where the object is new. Where they are
    ours and nobody else's, leaving them out would set them back to 1: then they are sent as they are live.
    """
    if not is_autoscaled(manifest, workloads):
        return manifest
    value = value_at(live, REPLICAS) if live is not None else MISSING
    ours = live is not None and REPLICAS in owned(live, manager)
    if live is not None and Owners(live, manager).of(REPLICAS):
        value = MISSING
    spec = manifest.get("spec")
    kept = {key: given for key, given in spec.items() if key != "replicas"} if isinstance(spec, Mapping) else {}
    if value is not MISSING and ours:
        kept["replicas"] = value
    return {**manifest, "spec": kept} if isinstance(spec, Mapping) else manifest
