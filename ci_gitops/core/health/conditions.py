"""Kinds that nobody here knows, by the conditions that well-behaved controllers write.

The rules of kstatus (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md); where there is no
Ready condition, the names that operators use instead.
"""

from __future__ import annotations

from ci_gitops.core.health.fields import Object, at, condition, holds, is_observed, mappings, reason_of, text
from ci_gitops.core.health.records import Health, degraded, healthy, progressing

_FAILURES = ("Degraded", "Failed", "Failure")


def unobserved(found: Object) -> Health | None:
    """A status that speaks of an older generation says nothing about this one."""
    if at(found, "status", "observedGeneration") is None or is_observed(found):
        return None
    return progressing("The controller has not seen the newest change yet")


def by_conditions(found: Object) -> Health:
    if holds(found, "Reconciling"):
        return progressing(reason_of(condition(found, "Reconciling"), "It is being reconciled"))
    if holds(found, "Stalled"):
        return degraded(reason_of(condition(found, "Stalled"), "It is stalled: its controller gave up"))
    ready = condition(found, "Ready")
    if ready is not None:
        if text(ready, "status") == "True":
            return healthy(reason_of(ready, "It is ready"))
        return progressing(f"It is not ready: {reason_of(ready, 'its controller does not say why')}")
    if _is_stale(found, "Ready"):
        return progressing("Its Ready condition speaks of an older version of it")
    return _without_ready(found)


def _is_stale(found: Object, kind: str) -> bool:
    return any(each.get("type") == kind for each in mappings(found, "status", "conditions"))


def _without_ready(found: Object) -> Health:
    for kind in _FAILURES:
        if holds(found, kind):
            return degraded(reason_of(condition(found, kind), f"Its condition {kind} is true"))
    available = condition(found, "Available")
    if text(available, "status") == "True":
        return healthy(reason_of(available, "It is available"))
    if available is not None:
        return progressing(f"It is not available: {reason_of(available, 'its controller does not say why')}")
    if holds(found, "Progressing"):
        return progressing(reason_of(condition(found, "Progressing"), "It is being worked on"))
    kind = text(found, "kind") or "object"
    return healthy(f"It exists, and a {kind} reports nothing that could be waited for")
