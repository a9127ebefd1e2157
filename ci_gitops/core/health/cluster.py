"""What serves the cluster itself: autoscalers, disruption budgets, API services, definitions, namespaces."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from ci_gitops.core.health.fields import Object, at, condition, is_observed, mappings, number, reason_of, since, text
from ci_gitops.core.health.records import Health, degraded, healthy, progressing

_SCALE_FAILS = frozenset({"FailedGetScale", "FailedUpdateScale"})
_METRICS_FAIL = frozenset({
    "FailedComputeMetricsReplicas", "FailedGetContainerResourceMetric", "FailedGetExternalMetric",
    "FailedGetObjectMetric", "FailedGetPodsMetric", "FailedGetResourceMetric", "InvalidSelector",
})  # fmt: skip
_METRICS_COME = _METRICS_FAIL - {"InvalidSelector"}
_FIRST_METRICS = timedelta(minutes=2)  # a metrics server looks once a minute or oftener, at pods that are ready
_V1_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"


def autoscaler(found: Object, now: datetime | None) -> Health:
    """Failures first, wherever in the list they are; then what says that it works.

    New pods have no metrics for a moment, which is none of its failures: `now` tells how long it is so.
    """
    conditions = _autoscaler_conditions(found)
    for each in conditions:
        kind, reason = text(each, "type"), text(each, "reason")
        if kind == "AbleToScale" and reason in _SCALE_FAILS:
            return degraded(f"It cannot scale: {reason_of(each, kind)}")
        if kind == "ScalingActive" and reason in _METRICS_FAIL:
            if now is not None and reason in _METRICS_COME and _is_new(found, each, now):
                return progressing(f"It waits for its first metrics: {reason_of(each, kind)}")
            return degraded(f"It cannot scale: {reason_of(each, kind)}")
    for each in conditions:
        if text(each, "type") in ("AbleToScale", "ScalingLimited") and text(each, "status") == "True":
            current, wanted = number(found, "status", "currentReplicas"), number(found, "status", "desiredReplicas")
            return healthy(f"It scales: {current} replicas now, {wanted} wanted")
    return progressing("It has not looked at its target yet")


def _is_new(found: Object, condition: Object, now: datetime) -> bool:
    began = text(condition, "lastTransitionTime") or text(found, "metadata", "creationTimestamp")
    return bool(began) and since(began, now) < _FIRST_METRICS


def _autoscaler_conditions(found: Object) -> tuple[Object, ...]:
    """In autoscaling/v1 they are JSON in an annotation."""
    written = text(found, "metadata", "annotations", _V1_CONDITIONS)
    if not written:
        return mappings(found, "status", "conditions")
    try:
        return mappings({"conditions": json.loads(written)}, "conditions")
    except (ValueError, RecursionError):
        return ()


def disruption_budget(found: Object) -> Health:
    """Too few pods to lose one is a state to live in; only a budget that cannot be computed is broken."""
    if not is_observed(found) or at(found, "status") is None:
        return progressing("The controller has not seen the newest change yet")
    allowed = condition(found, "DisruptionAllowed")
    if text(allowed, "reason") == "SyncFailed":
        return degraded(f"The budget cannot be computed: {reason_of(allowed, 'SyncFailed')}")
    spare = number(found, "status", "disruptionsAllowed")
    if spare == 0:
        well, wanted = number(found, "status", "currentHealthy"), number(found, "status", "desiredHealthy")
        return healthy(f"No disruption is allowed now: {well} pods are healthy and {wanted} must be")
    return healthy(f"Pods that may be disrupted now: {spare}")


def api_service(found: Object) -> Health:
    available = condition(found, "Available")
    if text(available, "status") == "True":
        return healthy("Its API answers")
    return progressing(f"Its API does not answer: {reason_of(available, 'nothing is reported yet')}")


def definition(found: Object) -> Health:
    names, established = condition(found, "NamesAccepted"), condition(found, "Established")
    if text(names, "status") == "False":
        return degraded(f"Its names are taken: {reason_of(names, 'they were not accepted')}")
    if text(established, "status") == "True":
        return healthy("The API server serves it")
    if text(established, "status") == "False" and text(established, "reason") != "Installing":
        return degraded(f"The API server does not serve it: {reason_of(established, 'not established')}")
    return progressing("The API server does not serve it yet")


def namespace(found: Object) -> Health:
    phase = text(found, "status", "phase")
    if phase == "Terminating":
        blocking = [each for each in mappings(found, "status", "conditions") if text(each, "status") == "True"]
        why = f": {reason_of(blocking[0], '')}" if blocking else ""
        return progressing(f"It is being deleted{why}")
    return healthy("The namespace is active")
