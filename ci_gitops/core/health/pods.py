"""Pods, down to the reason of the container that holds them up.

Rules of Argo CD, which looks at the main containers alone; here an init container that fails is named too.
"""

from __future__ import annotations

from ci_gitops.core.health.fields import Object, at, condition, mappings, number, reason_of, text
from ci_gitops.core.health.records import Health, degraded, healthy, progressing, unknown

# With these no restart helps: somebody must change the image's name, the pull secret or a reference.
_HOPELESS = frozenset({
    "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull", "ErrImagePull", "ImageInspectError",
    "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable",
})  # fmt: skip
_IGNORE_POLICY = "argocd.argoproj.io/ignore-restart-policy"
_HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook", "ci-gitops/hook")


def pod(found: Object) -> Health:
    stuck = _stuck(found)
    if stuck:
        return degraded(stuck)
    phase = text(found, "status", "phase")
    if phase == "Succeeded":
        return healthy("All containers have ended well")
    if phase == "Failed":
        return degraded(_failure(found))
    if phase == "Running":
        return _running(found)
    if phase in ("Pending", ""):
        return progressing(_pending(found))
    return unknown(f"Its phase is {phase}: {reason_of(at(found, 'status'), 'its node does not answer')}")


def _stuck(found: Object) -> str | None:
    """What a container waits for in vain."""
    for status in _statuses(found):
        waiting = at(status, "state", "waiting")
        reason = text(waiting, "reason")
        failing = reason.startswith("Err") or reason.endswith(("Error", "BackOff"))
        if reason in _HOPELESS or (failing and _restarts_always(found)):
            return f"{_named(status)} waits: {reason_of(waiting, reason)}{_last_end(status)}"
    return None


def _statuses(found: Object) -> tuple[Object, ...]:
    return mappings(found, "status", "initContainerStatuses") + mappings(found, "status", "containerStatuses")


def _named(status: Object) -> str:
    return f"Container {text(status, 'name') or '(without a name)'}"


def _restarts_always(found: Object) -> bool:
    if (text(found, "spec", "restartPolicy") or "Always") == "Always":
        return True
    annotations = at(found, "metadata", "annotations")
    is_hook = any(at(annotations, name) is not None for name in _HOOKS)
    return text(annotations, _IGNORE_POLICY) == "true" and not is_hook


def _last_end(status: Object) -> str:
    """How it ended before, which a back-off does not tell."""
    ended = at(status, "lastState", "terminated") or at(status, "state", "terminated")
    if ended is None:
        return ""
    restarts = number(status, "restartCount")
    return f" (ended before with {_end(ended)}{f', restarts: {restarts}' if restarts else ''})"


def _end(ended: object) -> str:
    code = f"exit code {number(ended, 'exitCode')}"
    reason = text(ended, "reason")
    message = text(ended, "message")
    return f"{f'{reason}, ' if reason else ''}{code}{f': {message}' if message.strip() else ''}"


def _failure(found: Object) -> str:
    said = reason_of(at(found, "status"), "")
    if said:
        return f"The pod failed: {said}"
    for status in _statuses(found):
        ended = at(status, "state", "terminated")
        if ended is not None and (number(ended, "exitCode") != 0 or text(ended, "reason") == "OOMKilled"):
            return f"{_named(status)} failed with {_end(ended)}"
    return "The pod failed and does not say why"


def _running(found: Object) -> Health:
    if not _restarts_always(found):
        return progressing(f"It runs and has not ended yet (restartPolicy {text(found, 'spec', 'restartPolicy')})")
    ready = condition(found, "Ready")
    if text(ready, "status") == "True":
        return healthy("It runs and is ready")
    for status in _statuses(found):
        if at(status, "ready") is not True and at(status, "lastState", "terminated") is not None:
            return degraded(f"{_named(status)} is not ready{_last_end(status)}")
    for status in mappings(found, "status", "containerStatuses"):
        if at(status, "lastState", "terminated") is not None:
            return degraded(f"The pod is not ready; {_named(status).lower()}{_last_end(status)}")
    return progressing(f"It runs and is not ready: {reason_of(ready, 'no readiness is reported yet')}")


def _pending(found: Object) -> str:
    placed = condition(found, "PodScheduled")
    if text(placed, "status") == "False":
        return f"No node takes it: {reason_of(placed, 'the scheduler does not say why')}"
    for status in _statuses(found):
        waiting = at(status, "state", "waiting")
        if waiting is not None:
            return f"{_named(status)} waits: {reason_of(waiting, 'no reason is given')}{_last_end(status)}"
    return "It waits for its node and its containers"
