"""What watches over workloads: autoscalers, disruption budgets, quotas."""

from __future__ import annotations

import copy
import math
from typing import Any

from ci_gitops.core.api.selectors import selects
from ci_gitops.core.api.state import Document, Ref, named
from ci_gitops.core.controllers.hands import CONTROLLERS, Hands, condition, conditions
from ci_gitops.core.controllers.pods import is_ready

_COUNTED = {
    "pods": "Pod", "services": "Service", "configmaps": "ConfigMap", "secrets": "Secret",
    "persistentvolumeclaims": "PersistentVolumeClaim", "replicationcontrollers": "ReplicationController",
}  # fmt: skip


def run(hands: Hands) -> None:
    for autoscaler in hands.all("HorizontalPodAutoscaler.autoscaling"):
        _scale(hands, autoscaler)
    for budget in hands.all("PodDisruptionBudget.policy"):
        _count(hands, budget)
    for quota in hands.all("ResourceQuota"):
        _use(hands, quota)


def _scale(hands: Hands, autoscaler: Document) -> None:
    """There are no metrics: the workload keeps its size within the bounds."""
    spec, reference = autoscaler["spec"], autoscaler["spec"]["scaleTargetRef"]
    group = (reference.get("apiVersion") or "").rpartition("/")[0]
    ref = Ref(named(group, reference["kind"]), autoscaler["metadata"]["namespace"], reference["name"])
    target = hands.state.get(ref)
    if target is None:
        why = f'the HPA controller was unable to get the target\'s current scale: "{reference["name"]}" not found'
        _tell(hands, autoscaler, 0, 0, condition("AbleToScale", False, "FailedGetScale", why))
        return
    current = target["spec"].get("replicas", 1)
    wanted = min(max(current, spec.get("minReplicas", 1)), spec["maxReplicas"]) if current else 0
    if wanted != current:
        changed = copy.deepcopy(target)
        changed["spec"]["replicas"] = wanted
        hands.replace(changed, CONTROLLERS, "scale")
    active = condition("ScalingActive", True, "ValidMetricFound", "the HPA was able to compute the replica count")
    if not current:
        why = "scaling is disabled since the replica count of the target is zero"
        active = condition("ScalingActive", False, "ScalingDisabled", why)
    _tell(
        hands, autoscaler, current, wanted,
        condition("AbleToScale", True, "ReadyForNewScale", "recommended size matches current size"), active,
        condition("ScalingLimited", False, "DesiredWithinRange", "the desired count is within the acceptable range"),
    )  # fmt: skip


def _tell(hands: Hands, autoscaler: Document, current: int, wanted: int, *found: dict[str, Any]) -> None:
    hands.status(autoscaler, {
        "currentReplicas": current, "desiredReplicas": wanted, "currentMetrics": None,
        "conditions": conditions(autoscaler.get("status"), hands.time, *found),
    })  # fmt: skip


def _count(hands: Hands, budget: Document) -> None:
    spec, metadata = budget["spec"], budget["metadata"]
    pods = [pod for pod in hands.all("Pod", metadata["namespace"])
            if selects(spec.get("selector"), pod["metadata"].get("labels") or {})]  # fmt: skip
    healthy = sum(map(is_ready, pods))
    if "maxUnavailable" in spec:
        least = len(pods) - _share(spec["maxUnavailable"], len(pods))
    else:
        least = _share(spec.get("minAvailable", 1), len(pods))
    allowed = max(0, healthy - least)
    found = condition("DisruptionAllowed", allowed > 0, "SufficientPods" if allowed else "InsufficientPods")
    found = {**found, "message": "", "observedGeneration": metadata["generation"]}
    hands.status(budget, {
        "currentHealthy": healthy, "desiredHealthy": max(0, least), "disruptionsAllowed": allowed,
        "expectedPods": len(pods), "observedGeneration": metadata["generation"],
        "conditions": conditions(budget.get("status"), hands.time, found),
    })  # fmt: skip


def _share(given: int | str, whole: int) -> int:
    return math.ceil(whole * int(given.rstrip("%")) / 100) if isinstance(given, str) else given


def _use(hands: Hands, quota: Document) -> None:
    """Counted, not enforced."""
    hard = quota["spec"].get("hard") or {}
    used = {
        name: str(len(list(hands.all(_COUNTED[name], quota["metadata"]["namespace"])))) if name in _COUNTED else "0"
        for name in hard
    }
    hands.status(quota, {"hard": dict(hard), "used": used})
