"""From an object, as the cluster gives it, to its health. Nothing else is asked: equal objects have equal health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ci_gitops.core.health import cluster, jobs, network, pods, storage, workloads
from ci_gitops.core.health.conditions import by_conditions, unobserved
from ci_gitops.core.health.fields import at, group_of, text, texts
from ci_gitops.core.health.known import KNOWN
from ci_gitops.core.health.records import Health, missing, progressing, unknown
from ci_gitops.core.health.rules import HealthRule, by_rules, speaks_of

_IGNORED = ("ci-gitops/ignore-healthcheck", "argocd.argoproj.io/ignore-healthcheck")
# Groups that the API server serves itself. What is not named above there has no health of its own.
_BUILT_IN = frozenset({
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "autoscaling",
    "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
    "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io",
    "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
})  # fmt: skip
_HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"

_KINDS: dict[tuple[str, str], Callable[[Mapping[str, Any]], Health]] = {
    ("", "Namespace"): cluster.namespace,
    ("", "PersistentVolume"): storage.volume,
    ("", "PersistentVolumeClaim"): storage.claim,
    ("", "Pod"): pods.pod,
    ("", "ReplicationController"): workloads.replica_set,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): cluster.definition,
    ("apiregistration.k8s.io", "APIService"): cluster.api_service,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("batch", "CronJob"): jobs.cron_job,
    ("batch", "Job"): jobs.job,
    ("policy", "PodDisruptionBudget"): cluster.disruption_budget,
}
_TIMED: dict[tuple[str, str], Callable[[Mapping[str, Any], datetime | None], Health]] = {
    ("", "Service"): network.service,
    ("autoscaling", "HorizontalPodAutoscaler"): cluster.autoscaler,
    ("networking.k8s.io", "Ingress"): network.ingress,
}


def assess_health(
    object: Mapping[str, Any] | None,  # noqa: A002 - the public name
    rules: Iterable[HealthRule] = (),
    *,
    now: datetime | None = None,
) -> Health:
    """The health of `object`, a Kubernetes object as read live, or None where the cluster has none.

    `rules` go before what we know of a kind. `now` is for what only time can tell: an Ingress that still has no
    address after a minute counts as healthy, since many controllers publish none; an autoscaler has no metrics of
    pods that have just begun.
    """
    if object is None:
        return missing("It is not in the cluster")
    if not isinstance(object, Mapping) or not text(object, "kind"):
        return unknown("This is no Kubernetes object: it has no kind")
    deletion = _deletion(object)
    if deletion is not None:
        return deletion
    place = (group_of(object), text(object, "kind"))
    ruled = _ruled(object, rules)
    if ruled is not None:
        return ruled
    if place in _KINDS:
        return _KINDS[place](object)
    if place in _TIMED:
        return _TIMED[place](object, now)
    return _ruled(object, KNOWN) or unobserved(object) or by_conditions(object)


def moves(document: Mapping[str, Any], rules: Iterable[HealthRule] = ()) -> bool:
    """Whether the object's health can change after it was written: not that of what only has to be there."""
    place = (group_of(document), text(document, "kind"))
    if place in _KINDS or any(speaks_of(rule, document) for rule in rules):
        return True
    if place == ("", "Service"):
        return text(document, "spec", "type") == "LoadBalancer"
    return place in _TIMED or place[0] not in _BUILT_IN


def is_ignored(object: Mapping[str, Any]) -> bool:  # noqa: A002
    """Does the object ask, by annotation, not to count for its app's health?"""
    annotations = at(object, "metadata", "annotations")
    return any(text(annotations, name) == "true" for name in _IGNORED)


def _ruled(found: Mapping[str, Any], rules: Iterable[HealthRule]) -> Health | None:
    """Rules read the status, so they wait for the status of what is now asked for."""
    verdict = by_rules(found, rules)
    if verdict is None or verdict.status in ("unknown", "suspended"):
        return verdict
    return unobserved(found) or verdict


def _deletion(found: Mapping[str, Any]) -> Health | None:
    """Before all other rules: what is going is not there to stay, whatever its conditions say."""
    finalizers = texts(found, "metadata", "finalizers")
    if at(found, "metadata", "deletionTimestamp") is None or _HOOK_FINALIZER in finalizers:
        return None
    waits = f"; it waits for {', '.join(finalizers)}" if finalizers else ""
    return progressing(f"It is being deleted{waits}")
