"""When is waiting for health at its end? Pure decisions on what was seen and for how long.

What time and controllers mend by themselves is waited for until the deadline; where no waiting helps, it ends at once,
or after a grace where the same state also comes and goes on the way to health.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ci_gitops.core.durations import parse_duration
from ci_gitops.core.family import Node
from ci_gitops.core.health import Health, HealthStatus
from ci_gitops.core.health.fields import at, group_of, mappings, number, text
from ci_gitops.core.inventory import Key

Document = Mapping[str, Any]
#: `failed` is what no waiting mends; `lost` an object that vanished; `deadline` says nothing about the revision.
End = Literal["settled", "failed", "lost", "deadline", "superseded"]
HookEnd = Literal["succeeded", "failed", "lost", "deadline"]

HOOK_TIMEOUT = "ci-gitops/hook-timeout"
HOOK_SECONDS = 600.0
_AFTER_ITS_DEADLINE = 30.0  # until the controller has said so
_AT_ONCE = frozenset({
    ("batch", "Job"), ("", "PersistentVolumeClaim"), ("", "PersistentVolume"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
})  # fmt: skip
# Their trouble may pass, and others than the deployed app are its cause: metrics, quota, a job of last night.
_PATIENT = frozenset({
    ("autoscaling", "HorizontalPodAutoscaler"), ("apps", "ReplicaSet"), ("", "ReplicationController"), ("", "Service"),
    ("batch", "CronJob"), ("policy", "PodDisruptionBudget"), ("apiregistration.k8s.io", "APIService"),
})  # fmt: skip
_CRASHING = "CrashLoopBackOff"
_MISSES_REFERENCE = frozenset({"CreateContainerConfigError"})
_TEMPLATED = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"})


@dataclass(frozen=True, slots=True)
class Graces:
    """For how many seconds, or restarts, a state is waited for that may pass."""

    confirm: float = 1.0  # a controller may write its verdict in two steps
    rollout: float = 5.0  # what a Deployment says of its deadline may still be said of the revision before
    image: float = 20.0  # a registry that answers badly once
    reference: float = 60.0  # a Secret that another controller is about to make
    restarts: int = 3  # a process that waits for its database by ending
    custom: float = 60.0  # controllers of custom resources report errors on the way
    steady: float = 3.0  # without a readiness probe a process that ends at once is ready for a moment

    @classmethod
    def at(cls, pace: float) -> Graces:
        """For controllers that are so much faster."""
        usual = cls()
        return cls(
            confirm=usual.confirm / pace, rollout=usual.rollout / pace, image=usual.image / pace,
            reference=usual.reference / pace, custom=usual.custom / pace, steady=usual.steady / pace,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Link:
    """One object on the way down to what holds everything up."""

    key: Key
    health: Health


@dataclass(frozen=True, slots=True)
class Blocking:
    """An object that is not well, since when it is so, and what is below it, down to the container's reason."""

    key: Key
    health: Health
    since: datetime
    trail: tuple[Link, ...] = ()
    document: Document | None = field(default=None, repr=False, compare=False)  # None: it is not there

    @property
    def sentence(self) -> str:
        """What is wrong, in the words of the deepest object that knows."""
        deepest = f"{self.trail[-1].key}: {self.trail[-1].health.message}" if self.trail else ""
        said = self.health.message.removesuffix(f" {deepest}")
        return f"{self.key}: {said}" + (f" {deepest}" if deepest else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a wait ended. `status` is the worst health of what counts; `message` is for a person."""

    end: End
    status: HealthStatus
    message: str
    healths: Mapping[Key, Health] = field(default_factory=dict)
    blocking: tuple[Blocking, ...] = ()

    @property
    def ok(self) -> bool:
        return self.end == "settled"


@dataclass(frozen=True, slots=True)
class HookVerdict:
    """How a hook ended. `failed` is its own doing, its timeout included; `deadline` is the run's."""

    end: HookEnd
    message: str
    blocking: Blocking | None = None


def is_settled(health: Health) -> bool:
    """A paused rollout and a suspended job are as somebody wants them: time brings nothing."""
    return health.status in ("healthy", "suspended")


def is_bystander(document: Document, health: Health) -> bool:
    """A CronJob whose last job failed: told, but no deploy could wait for its next one."""
    return (group_of(document), text(document, "kind")) == ("batch", "CronJob") and health.status == "degraded"


def is_hopeless(document: Document, health: Health, held: float, graces: Graces) -> bool:
    """Whether an object that is `held` seconds in this health will not get well by waiting."""
    place = (group_of(document), text(document, "kind"))
    if health.status not in ("degraded", "unknown") or place in _PATIENT:
        return False
    if place == ("", "Pod"):
        return is_stuck(document, held, graces)
    if place == ("apps", "Deployment"):
        return held >= graces.rollout
    return held >= (graces.confirm if place in _AT_ONCE else graces.custom)


def is_stuck(pod: Document, held: float, graces: Graces) -> bool:
    """Whether a degraded pod will stay so: a wrong image, a missing reference, a process that ends again and again."""
    if text(pod, "status", "phase") == "Failed":
        return held >= graces.confirm
    statuses = mappings(pod, "status", "initContainerStatuses") + mappings(pod, "status", "containerStatuses")
    # Restarts of long ago say nothing: only a container that is held back now ends again and again.
    crashing = [each for each in statuses if text(each, "state", "waiting", "reason") == _CRASHING]
    restarted = any(number(each, "restartCount") >= graces.restarts for each in crashing)
    reasons = {text(each, "state", "waiting", "reason") for each in statuses} - {"", _CRASHING}
    if reasons & _MISSES_REFERENCE:
        return held >= graces.reference
    return restarted or (held >= graces.image and any(_is_error(reason) for reason in reasons))


def _is_error(reason: str) -> bool:
    return reason.startswith(("Err", "Invalid")) or reason.endswith(("Error", "BackOff"))


def stuck_below(node: Node, held: Mapping[str, float], graces: Graces) -> Node | None:
    """The first pod below a workload that will stay degraded; `held` gives seconds by UID.

    A pod that has failed for good is replaced by its controller, which counts such failures itself.
    """
    for child in node.current():
        if child.key.kind != "Pod":
            found = stuck_below(child, held, graces)
            if found:
                return found
        elif child.health.status != "degraded" or text(child.document, "status", "phase") == "Failed":
            continue
        elif is_stuck(child.document, held.get(child.uid, 0.0), graces):
            return child
    return None


def is_shaky(document: Document) -> bool:
    """Whether health that was just reached may be a moment's: a container does not say when it is ready."""
    if text(document, "kind") not in _TEMPLATED or number(document, "spec", "minReadySeconds") > 0:
        return False
    containers = mappings(document, "spec", "template", "spec", "containers")
    return any(at(each, "readinessProbe") is None for each in containers)


def is_unheard(document: Document) -> bool:
    """A custom resource without any status: it may have a controller that has not seen it yet."""
    group = group_of(document)
    return "." in group and not group.endswith(".k8s.io") and at(document, "status") is None


def hook_seconds(document: Document) -> float:
    """How long a hook may run: by its annotation `ci-gitops/hook-timeout`, a Job's own deadline, else ten minutes.

    ValueError where the annotation is no duration.
    """
    written = text(document, "metadata", "annotations", HOOK_TIMEOUT)
    if written:
        return parse_duration(written).total_seconds()
    own = number(document, "spec", "activeDeadlineSeconds")
    return own + _AFTER_ITS_DEADLINE if own > 0 else HOOK_SECONDS
