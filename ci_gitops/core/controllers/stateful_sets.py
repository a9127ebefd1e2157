"""StatefulSets: pods with a number and disks of their own, one after the other.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/statefulset/stateful_set_control.go
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from ci_gitops.core.api.state import Document, Ref
from ci_gitops.core.controllers.hands import Hands, is_going, owner_reference
from ci_gitops.core.controllers.pods import is_ready
from ci_gitops.core.controllers.replicas import available, new_pod
from ci_gitops.core.controllers.templates import template_hash

_REVISION = "controller-revision-hash"
_ORDINAL = "apps.kubernetes.io/pod-index"
_NAME = "statefulset.kubernetes.io/pod-name"


def run(hands: Hands) -> None:
    for found in hands.all("StatefulSet.apps"):
        hands.look("stateful set", found, hands.owned(found, "Pod"), partial(_act, hands, found))


def _act(hands: Hands, found: Document) -> None:
    update = _revision(hands, found)
    current = found["status"].get("currentRevision") or update
    _move(hands, found, update, current)
    _report(hands, found, update, current)


def _revision(hands: Hands, found: Document) -> str:
    """The name of the template as it is now, which is kept."""
    metadata = found["metadata"]
    name = f"{metadata['name']}-{template_hash(found['spec']['template'])}"
    if hands.state.get(Ref("ControllerRevision.apps", metadata["namespace"], name)) is None:
        known = hands.owned(found, "ControllerRevision.apps")
        hands.create({
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": len(known) + 1,
            "metadata": {"name": name, "namespace": metadata["namespace"], "ownerReferences": [owner_reference(found)]},
            "data": {"spec": {"template": copy.deepcopy(found["spec"]["template"])}},
        })  # fmt: skip
    return name


def _move(hands: Hands, found: Document, update: str, current: str) -> None:
    """One step, where none is under way."""
    spec = found["spec"]
    pods = {_number(pod): pod for pod in hands.owned(found, "Pod")}
    first = (spec.get("ordinals") or {}).get("start", 0)
    wanted = range(first, first + spec["replicas"])
    ordered = spec.get("podManagementPolicy") != "Parallel"
    for number in wanted:
        pod = pods.get(number)
        if pod is None:
            _make(hands, found, number, update if number >= first + _partition(found) else current)
            if ordered:
                return
        elif pod["status"].get("phase") in ("Succeeded", "Failed") and not is_going(pod):
            hands.delete(pod)
            return
        elif ordered and (is_going(pod) or not is_ready(pod)):
            return  # the next one waits for this one, also where a template that cannot run is mended
    extra = sorted((number for number in pods if number not in wanted), reverse=True)
    for number in extra:
        if not is_going(pods[number]):
            hands.delete(pods[number])
        if ordered:
            return
    if spec["updateStrategy"]["type"] != "OnDelete":
        _renew(hands, found, pods, update)


def _renew(hands: Hands, found: Document, pods: dict[int, Document], update: str) -> None:
    """The highest pod of an old template goes; it comes back with the new one."""
    least = _partition(found)
    for number in sorted((number for number in pods if number >= least), reverse=True):
        pod = pods[number]
        if pod["metadata"]["labels"].get(_REVISION) != update and not is_going(pod):
            hands.delete(pod)
            return
        if not is_ready(pod):
            return


def _partition(found: Document) -> int:
    rolling = found["spec"]["updateStrategy"].get("rollingUpdate") or {}
    return int(rolling.get("partition", 0))


def _number(pod: Document) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _make(hands: Hands, found: Document, number: int, revision: str) -> None:
    name = f"{found['metadata']['name']}-{number}"
    namespace = found["metadata"]["namespace"]
    kept = hands.state.get(Ref("ControllerRevision.apps", namespace, revision))
    template = copy.deepcopy((kept or {}).get("data", {}).get("spec", {}).get("template") or found["spec"]["template"])
    volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", ())}
    for claim in found["spec"].get("volumeClaimTemplates", ()):
        claim_name = f"{claim['metadata']['name']}-{name}"
        volumes[claim["metadata"]["name"]] = {
            "name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim_name}}  # fmt: skip
        if hands.state.get(Ref("PersistentVolumeClaim", namespace, claim_name)) is None:
            labels = {**(claim["metadata"].get("labels") or {}), **found["spec"]["selector"].get("matchLabels", {})}
            hands.create({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": copy.deepcopy(claim["spec"]),
                "metadata": {"name": claim_name, "namespace": namespace, "labels": labels},
            })  # fmt: skip
    if volumes:
        template["spec"]["volumes"] = list(volumes.values())
    template["spec"].setdefault("hostname", name)
    if found["spec"].get("serviceName"):
        template["spec"].setdefault("subdomain", found["spec"]["serviceName"])
    labels = {_REVISION: revision, _NAME: name, _ORDINAL: str(number)}
    new_pod(hands, found, template, name=name, labels=labels)
    hands.event(found, "Normal", "SuccessfulCreate", f"create Pod {name} in StatefulSet {found['metadata']['name']} "
                "successful", "statefulset-controller")  # fmt: skip


def _report(hands: Hands, found: Document, update: str, current: str) -> None:
    spec = found["spec"]
    pods = [pod for pod in hands.owned(found, "Pod") if not is_going(pod)]
    updated = [pod for pod in pods if pod["metadata"]["labels"].get(_REVISION) == update]
    ready = [pod for pod in pods if is_ready(pod)]
    if len(updated) == len(pods) == len(ready) == spec["replicas"] and spec["updateStrategy"]["type"] != "OnDelete":
        current = update
    status: dict[str, Any] = {
        "observedGeneration": found["metadata"]["generation"], "replicas": len(pods), "readyReplicas": len(ready),
        "availableReplicas": len(available(hands, pods, spec.get("minReadySeconds", 0))),
        "currentReplicas": sum(pod["metadata"]["labels"].get(_REVISION) == current for pod in pods),
        "updatedReplicas": len(updated), "currentRevision": current, "updateRevision": update, "collisionCount": 0,
    }  # fmt: skip
    hands.status(found, status)
