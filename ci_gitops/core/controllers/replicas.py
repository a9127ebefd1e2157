"""Sets of equal pods: ReplicaSets, ReplicationControllers and DaemonSets."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

from ci_gitops.core.api.state import Document
from ci_gitops.core.controllers.first import NODE_LABELS
from ci_gitops.core.controllers.hands import Hands, is_going, owner_reference
from ci_gitops.core.controllers.pods import is_ready
from ci_gitops.core.controllers.templates import template_hash

_DAEMON_HASH = "controller-revision-hash"


def run(hands: Hands) -> None:
    for kind in ("ReplicaSet.apps", "ReplicationController"):
        for found in hands.all(kind):
            hands.look("replicas", found, hands.owned(found, "Pod"), partial(_replicas, hands, found))
    for found in hands.all("DaemonSet.apps"):
        hands.look("daemons", found, hands.owned(found, "Pod"), partial(_daemons, hands, found))


def new_pod(
    hands: Hands, owner: Document, template: Mapping[str, Any], *, name: str = "", labels: Mapping[str, str] = {}
) -> Document:
    """Make a pod of a template."""
    made = copy.deepcopy(dict(template.get("metadata") or {}))
    metadata: dict[str, Any] = {
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [owner_reference(owner)],
    }
    metadata["labels"] = {**made.get("labels", {}), **labels}
    if made.get("annotations"):
        metadata["annotations"] = made["annotations"]
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{owner['metadata']['name']}-"
    return hands.create({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(dict(template["spec"])),
    })  # fmt: skip


def available(hands: Hands, pods: list[Document], least: int) -> list[Document]:
    """Those that have been ready for `least` seconds."""
    found = []
    for pod in pods:
        if not is_ready(pod):
            hands.unmark(pod, "ready")
            continue
        since = hands.mark(pod, "ready")
        if hands.now >= since + least:
            found.append(pod)
        else:
            hands.wake(since + least)
    return found


def active(pods: list[Document]) -> list[Document]:
    """Those that count: not going, not over."""
    return [pod for pod in pods if not is_going(pod) and pod["status"].get("phase") not in ("Succeeded", "Failed")]


def _replicas(hands: Hands, found: Document) -> None:
    spec = found["spec"]
    pods = active(hands.owned(found, "Pod"))
    wanted = spec.get("replicas", 1)
    for _ in range(wanted - len(pods)):
        made = new_pod(hands, found, spec["template"])
        hands.event(
            found, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", "replicaset-controller"
        )
    extra = sorted(pods, key=lambda pod: (is_ready(pod), -hands.made(pod)))[: max(0, len(pods) - wanted)]
    for pod in extra:
        hands.delete(pod)
    pods = active(hands.owned(found, "Pod"))
    labels = (spec["template"].get("metadata") or {}).get("labels", {})
    labelled = [pod for pod in pods if labels.items() <= pod["metadata"].get("labels", {}).items()]
    hands.status(found, {
        "replicas": len(pods), "fullyLabeledReplicas": len(labelled),
        "readyReplicas": sum(map(is_ready, pods)),
        "availableReplicas": len(available(hands, pods, spec.get("minReadySeconds", 0))),
        "observedGeneration": found["metadata"]["generation"],
    })  # fmt: skip


def _daemons(hands: Hands, found: Document) -> None:
    spec = found["spec"]
    number = template_hash(spec["template"])
    fits = _fits(spec["template"]["spec"])
    pods = active(hands.owned(found, "Pod"))
    old = [pod for pod in pods if pod["metadata"]["labels"].get(_DAEMON_HASH) != number]
    for pod in pods if not fits else old if spec["updateStrategy"]["type"] == "RollingUpdate" else []:
        hands.delete(pod)
    pods = active(hands.owned(found, "Pod"))
    leaving = [pod for pod in hands.owned(found, "Pod") if is_going(pod)]
    if fits and not pods and not leaving:
        new_pod(hands, found, spec["template"], labels={_DAEMON_HASH: number})
        pods = active(hands.owned(found, "Pod"))
    ready = sum(map(is_ready, pods))
    there = len(available(hands, pods, spec.get("minReadySeconds", 0)))
    hands.status(found, {
        "currentNumberScheduled": len(pods), "desiredNumberScheduled": int(fits), "numberMisscheduled": 0,
        "numberReady": ready, "numberAvailable": there, "numberUnavailable": int(fits) - there,
        "updatedNumberScheduled": sum(pod["metadata"]["labels"].get(_DAEMON_HASH) == number for pod in pods),
        "observedGeneration": found["metadata"]["generation"],
    })  # fmt: skip


def _fits(spec: Mapping[str, Any]) -> bool:
    """Whether our one node is wanted."""
    wanted = spec.get("nodeSelector") or {}
    return all(NODE_LABELS.get(key) == value for key, value in wanted.items())
