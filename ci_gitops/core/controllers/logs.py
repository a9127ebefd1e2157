"""What simulated containers wrote: what their pod's annotation says, else a line about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_gitops.core.controllers.behavior import behavior

_PULLING = ("ErrImagePull", "ImagePullBackOff")


class LogError(Exception):
    """There is no log to show."""


def lines_of(pod: Mapping[str, Any], container: str, *, previous: bool = False) -> tuple[str, ...]:
    name = pod["metadata"]["name"]
    declared = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]
    found = next((each for each in declared if each["name"] == container), None)
    if found is None:
        raise LogError(f"container {container} is not valid for pod {name}")
    statuses = [*pod["status"].get("containerStatuses", ()), *pod["status"].get("initContainerStatuses", ())]
    status: Mapping[str, Any] = next((each for each in statuses if each["name"] == container), {})
    ended = (status.get("lastState") or {}).get("terminated")
    state = status.get("state") or {}
    if previous and not ended:
        raise LogError(f'previous terminated container "{container}" in pod "{name}" not found')
    if not previous and "running" not in state and "terminated" not in state and not ended:
        reason = (state.get("waiting") or {}).get("reason", "ContainerCreating")
        why = "trying and failing to pull image" if reason in _PULLING else reason
        raise LogError(f'container "{container}" in pod "{name}" is waiting to start: {why}')
    acts = behavior(pod, found.get("image", ""))
    if acts.log is not None:
        return tuple(acts.log.splitlines())
    told = [f"simulated: container {container} of {found.get('image')} started"]
    over = ended if previous or "waiting" in state else state.get("terminated")
    if over:
        told.append(f"simulated: it ends with exit code {over['exitCode']}")
    return tuple(told)
