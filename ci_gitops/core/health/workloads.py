"""Controllers of pods: they are healthy when every replica that is asked for runs the newest template.

Rules of Argo CD (https://github.com/argoproj/argo-cd/tree/master/gitops-engine/pkg/health), with what kstatus adds
(https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus).
"""

from __future__ import annotations

from ci_gitops.core.health.fields import Object, at, condition, holds, is_observed, number, reason_of, text
from ci_gitops.core.health.records import Health, degraded, healthy, progressing, suspended
from ci_gitops.core.text import counted

_UNSEEN = "The controller has not seen the newest change yet"


def of(part: int, whole: int, noun: str, what: str) -> str:
    """`1 of 3 replicas is available`."""
    return f"{part} of {counted(whole, noun)} {'is' if 1 in (part, whole) else 'are'} {what}"


def deployment(found: Object) -> Health:
    if at(found, "spec", "paused") is True:
        return suspended("The rollout is paused (spec.paused is true)")
    if not is_observed(found):
        return progressing(_UNSEEN)
    rollout = condition(found, "Progressing")
    # Before the counts: past its deadline a rollout has failed, however many replicas may follow.
    if text(rollout, "reason") == "ProgressDeadlineExceeded" or text(rollout, "status") == "False":
        return degraded(f"{_available(found)}; {reason_of(rollout, 'the rollout has failed')}")
    trouble = f"; {reason_of(condition(found, 'ReplicaFailure'), '')}" if holds(found, "ReplicaFailure") else ""
    waiting = _rollout(found)
    if waiting:
        return progressing(waiting + trouble)
    return healthy(_available(found))


def _rollout(found: Object) -> str | None:
    wanted = number(found, "spec", "replicas", default=1)
    updated = number(found, "status", "updatedReplicas")
    present = number(found, "status", "replicas")
    available = number(found, "status", "availableReplicas")
    if updated < wanted:
        return f"{of(updated, wanted, 'replica', 'updated')}, {available} available"
    if present > updated:
        return f"{counted(present - updated, 'replica')} of the old version must still go"
    if available < updated:
        return of(available, updated, "replica", "available")
    if holds(found, "Available", "False"):
        return reason_of(condition(found, "Available"), "Too few replicas are available")
    return None


def _available(found: Object) -> str:
    wanted = number(found, "spec", "replicas", default=1)
    if wanted == 0:
        return "Scaled to 0 replicas, as it is asked for"
    return of(number(found, "status", "availableReplicas"), wanted, "replica", "available")


def stateful_set(found: Object) -> Health:
    if number(found, "status", "observedGeneration") == 0 or not is_observed(found):
        return progressing(_UNSEEN)
    wanted = number(found, "spec", "replicas", default=1)
    ready = number(found, "status", "readyReplicas")
    present = number(found, "status", "replicas")
    if ready < wanted:
        return progressing(of(ready, wanted, "replica", "ready"))
    if present > wanted:
        return progressing(f"{counted(present - wanted, 'replica')} too many must still go")
    strategy = text(found, "spec", "updateStrategy", "type")
    if strategy == "OnDelete":
        return healthy(f"{of(ready, wanted, 'replica', 'ready')}; a pod is updated when somebody deletes it (OnDelete)")
    return _rolling(found, wanted, ready)


def _rolling(found: Object, wanted: int, ready: int) -> Health:
    updated = number(found, "status", "updatedReplicas")
    if at(found, "spec", "updateStrategy", "rollingUpdate") is not None:
        partition = number(found, "spec", "updateStrategy", "rollingUpdate", "partition")
        if updated < wanted - partition:
            return progressing(of(updated, wanted - partition, "replica", "updated"))
        kept = f"; its partition keeps {min(partition, wanted)} at the old version" if partition else ""
        return healthy(of(ready, wanted, "replica", "ready") + kept)
    if text(found, "status", "updateRevision") != text(found, "status", "currentRevision"):
        return progressing(of(updated, wanted, "replica", "updated"))
    return healthy(of(ready, wanted, "replica", "ready"))


def daemon_set(found: Object) -> Health:
    if not is_observed(found):
        return progressing(_UNSEEN)
    wanted = number(found, "status", "desiredNumberScheduled")
    updated = number(found, "status", "updatedNumberScheduled")
    available = number(found, "status", "numberAvailable")
    if text(found, "spec", "updateStrategy", "type") == "OnDelete":
        return healthy(f"{of(available, wanted, 'pod', 'available')}; one is updated when it is deleted (OnDelete)")
    if updated < wanted:
        return progressing(f"{of(updated, wanted, 'pod', 'updated')}, {available} available")
    if available < wanted:
        return progressing(of(available, wanted, "pod", "available"))
    return healthy(of(available, wanted, "pod", "available") if wanted else "No node asks for a pod of it")


def replica_set(found: Object) -> Health:
    if not is_observed(found):
        return progressing(_UNSEEN)
    failure = condition(found, "ReplicaFailure")
    if text(failure, "status") == "True":
        return degraded(f"{_available(found)}; {reason_of(failure, 'a replica cannot be made')}")
    if number(found, "status", "availableReplicas") < number(found, "spec", "replicas", default=1):
        return progressing(_available(found))
    return healthy(_available(found))
