"""Rollouts of Deployments over ReplicaSets.

https://github.com/kubernetes/kubernetes/tree/master/pkg/controller/deployment
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from ci_gitops.core.api.state import Document, Ref
from ci_gitops.core.controllers.hands import Hands, condition, conditions, owner_reference
from ci_gitops.core.controllers.templates import template_hash

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


def run(hands: Hands) -> None:
    for deployment in hands.all("Deployment.apps"):
        sets = hands.owned(deployment, "ReplicaSet.apps")
        hands.look("deployment", deployment, sets, partial(_roll, hands, deployment))


def _roll(hands: Hands, deployment: Document) -> None:
    sets = hands.owned(deployment, "ReplicaSet.apps")
    number = template_hash(deployment["spec"]["template"])
    new = next((each for each in sets if each["metadata"]["labels"].get(_HASH) == number), None)
    old = [each for each in sets if each is not new]
    paused = deployment["spec"].get("paused", False)
    if new is None and not paused:
        new = _new_set(hands, deployment, number, old)
    if new is not None and not paused:
        revision = max([0, *(_revision(each) for each in old)]) + 1
        if _revision(new) < revision:
            new = hands.annotate(new, {_REVISION: str(revision)})
        deployment = hands.annotate(deployment, {_REVISION: str(_revision(new))})
        if deployment["spec"]["strategy"]["type"] == "Recreate":
            _recreate(hands, deployment, new, old)
        else:
            _replace(hands, deployment, new, old)
    elif new is not None and new["spec"]["replicas"] != deployment["spec"]["replicas"] and not _total(old):
        hands.scale(new, deployment["spec"]["replicas"])
    _tidy(hands, deployment, new)
    _report(hands, deployment, number)


def _new_set(hands: Hands, deployment: Document, number: str, old: list[Document]) -> Document:
    spec, metadata = deployment["spec"], deployment["metadata"]
    template = copy.deepcopy(spec["template"])
    template.setdefault("metadata", {}).setdefault("labels", {})[_HASH] = number
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[_HASH] = number
    name = f"{metadata['name']}-{number}"
    known = hands.state.get(Ref("ReplicaSet.apps", metadata["namespace"], name))
    if known is not None:
        return known
    replicas = 0 if old and _total(old) else spec["replicas"]
    made = hands.create({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": metadata["namespace"], "labels": dict(template["metadata"]["labels"]),
                     "annotations": {_REVISION: str(max([0, *map(_revision, old)]) + 1)},
                     "ownerReferences": [owner_reference(deployment)]},
        "spec": {"replicas": replicas, "selector": selector, "template": template,
                 **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {})},
    })  # fmt: skip
    if replicas:
        _told(hands, deployment, "up", made, 0, replicas)
    return made


def _revision(found: Mapping[str, Any]) -> int:
    text = (found["metadata"].get("annotations") or {}).get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def _total(sets: list[Document]) -> int:
    return sum(each["spec"]["replicas"] for each in sets)


def _replace(hands: Hands, deployment: Document, new: Document, old: list[Document]) -> None:
    """A few at a time, within what the strategy allows."""
    wanted = deployment["spec"]["replicas"]
    surge, unavailable = _bounds(deployment)
    room = wanted + surge - _total(old)
    target = min(wanted, max(new["spec"]["replicas"], room)) if old and _total(old) else wanted
    if new["spec"]["replicas"] != target and (target > new["spec"]["replicas"] or new["spec"]["replicas"] > wanted):
        before = new["spec"]["replicas"]
        new = hands.scale(new, target)
        _told(hands, deployment, "up" if target > before else "down", new, before, target)
        return
    unready = new["spec"]["replicas"] - new["status"].get("availableReplicas", 0)
    spare = new["spec"]["replicas"] + _total(old) - (wanted - unavailable) - unready
    for each in old:  # those that do not run go first
        dead = each["spec"]["replicas"] - each["status"].get("availableReplicas", 0)
        fewer = min(spare, dead)
        if fewer > 0 and each["status"].get("observedGeneration") == each["metadata"]["generation"]:
            hands.scale(each, each["spec"]["replicas"] - fewer)
            return
    have = sum(each["status"].get("availableReplicas", 0) for each in (new, *old))
    fewer = have - (wanted - unavailable)
    for each in old:
        if each["spec"]["replicas"] and fewer > 0:
            left = max(0, each["spec"]["replicas"] - fewer)
            _told(hands, deployment, "down", each, each["spec"]["replicas"], left)
            hands.scale(each, left)
            return


def _recreate(hands: Hands, deployment: Document, new: Document, old: list[Document]) -> None:
    for each in old:
        if each["spec"]["replicas"]:
            _told(hands, deployment, "down", each, each["spec"]["replicas"], 0)
            hands.scale(each, 0)
            return
    if any(hands.owned(each, "Pod") for each in old):
        hands.sure = False  # the pods' own end counts
        return
    if new["spec"]["replicas"] != deployment["spec"]["replicas"]:
        _told(hands, deployment, "up", new, new["spec"]["replicas"], deployment["spec"]["replicas"])
        hands.scale(new, deployment["spec"]["replicas"])


def _bounds(deployment: Document) -> tuple[int, int]:
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    wanted = deployment["spec"]["replicas"]
    surge = _share(rolling.get("maxSurge", "25%"), wanted, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), wanted, math.floor)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _share(given: int | str, whole: int, rounded: Any) -> int:
    if isinstance(given, str) and given.endswith("%"):
        return int(rounded(whole * int(given[:-1]) / 100))
    return int(given)


def _told(hands: Hands, deployment: Document, way: str, found: Document, before: int, after: int) -> None:
    text = f"Scaled {way} replica set {found['metadata']['name']} from {before} to {after}"
    hands.event(deployment, "Normal", "ScalingReplicaSet", text, "deployment-controller")


def _tidy(hands: Hands, deployment: Document, new: Document | None) -> None:
    """Old sets without pods go, but for as many as are to be kept."""
    idle = [
        each for each in hands.owned(deployment, "ReplicaSet.apps")
        if new is not None and each["metadata"]["uid"] != new["metadata"]["uid"]
        and not each["spec"]["replicas"] and not each["status"].get("replicas")
    ]  # fmt: skip
    idle.sort(key=_revision)
    for each in idle[: max(0, len(idle) - deployment["spec"].get("revisionHistoryLimit", 10))]:
        hands.delete(each)


def _report(hands: Hands, deployment: Document, number: str) -> None:
    sets = hands.owned(deployment, "ReplicaSet.apps")
    new = next((each for each in sets if each["metadata"]["labels"].get(_HASH) == number), None)
    total = sum(each["status"].get("replicas", 0) for each in sets)
    there = sum(each["status"].get("availableReplicas", 0) for each in sets)
    wanted = deployment["spec"]["replicas"]
    updated = new["status"].get("replicas", 0) if new else 0
    status: dict[str, Any] = {
        "observedGeneration": deployment["metadata"]["generation"], "replicas": total, "updatedReplicas": updated,
        "readyReplicas": sum(each["status"].get("readyReplicas", 0) for each in sets), "availableReplicas": there,
        "unavailableReplicas": max(0, max(wanted, total) - there),
    }  # fmt: skip
    enough = there >= wanted - _bounds(deployment)[1]
    minimum = condition(
        "Available", enough, "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )  # fmt: skip
    complete = updated == wanted and total == wanted and there == wanted
    progress = _progress(hands, deployment, new, status, complete=complete)
    status["conditions"] = conditions(
        deployment.get("status"), hands.time, minimum, progress, stamps=("lastTransitionTime", "lastUpdateTime")
    )
    hands.status(deployment, status)


def _progress(
    hands: Hands, deployment: Document, new: Document | None, status: Mapping[str, Any], *, complete: bool
) -> Mapping[str, Any]:
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else "Deployment"
    if deployment["spec"].get("paused") and not complete:
        return {
            "type": "Progressing",
            "status": "Unknown",
            "reason": "DeploymentPaused",
            "message": "Deployment is paused",
        }
    if complete:
        hands.unmark(deployment, "progress")
        return condition("Progressing", True, "NewReplicaSetAvailable", f"{name} has successfully progressed.")
    mark = "/".join(str(status.get(field, 0)) for field in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    since = _progressed(hands, deployment, f"{new['metadata']['name'] if new else ''}/{mark}")
    deadline = since + deployment["spec"].get("progressDeadlineSeconds", 600)
    if hands.now >= deadline:
        return condition("Progressing", False, "ProgressDeadlineExceeded", f"{name} has timed out progressing.")
    hands.wake(deadline)
    return condition("Progressing", True, "ReplicaSetUpdated", f"{name} is progressing.")


def _progressed(hands: Hands, deployment: Document, mark: str) -> float:
    """Since when nothing has moved."""
    times = hands.state.times[deployment["metadata"]["uid"]]
    key = f"progress {mark}"
    if key not in times:
        for known in [name for name in times if name.startswith("progress ")]:
            del times[known]
    return hands.mark(deployment, key)
