"""The one node and its kubelet: what becomes of a pod from the moment it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ci_gitops.core.api.server import stamp
from ci_gitops.core.api.state import Document, Ref, State
from ci_gitops.core.controllers.behavior import Behavior, behavior
from ci_gitops.core.controllers.first import NODE
from ci_gitops.core.controllers.hands import KUBELET, Hands, condition, conditions, is_going

_PULL = 0.1  # seconds until an image is there, or known not to be
_BACKOFF = 10.0  # seconds after the first crash, doubled after each
_LONGEST_BACKOFF = 300.0
_STEP = 0.1  # how long a container that is to start first runs
_GOING = 0.1  # how long a pod takes to end


@dataclass(frozen=True, slots=True)
class _Life:
    """One container now."""

    status: dict[str, Any]
    ready: bool = False
    ended: int | None = None  # its exit code, where it will not start again
    trouble: tuple[str, str] | None = None  # reason and message of a Warning event


def run(hands: Hands) -> None:
    for pod in list(hands.state.of_kind("Pod")):
        hands.look("pod", pod, (), partial(_look, hands, pod))


def _look(hands: Hands, pod: Document) -> None:
    if is_going(pod):
        _end(hands, pod)
        return
    if not pod["spec"].get("nodeName"):
        placed = _schedule(hands, pod)
        if placed is None:
            hands.sure = False
            return
        pod = placed
    if pod["status"].get("phase") not in ("Succeeded", "Failed"):
        _live(hands, pod)


def _end(hands: Hands, pod: Document) -> None:
    """It goes soon, once nothing holds it."""
    if pod["metadata"].get("finalizers"):
        return
    grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
    since = hands.mark(pod, "going")
    if grace and hands.now < since + _GOING:
        hands.wake(since + _GOING)
        return
    hands.state.remove(Ref.of(pod))


def _schedule(hands: Hands, pod: Document) -> Document | None:
    why = _unschedulable(hands, pod)
    if why is None:
        made = {**pod, "spec": {**pod["spec"], "nodeName": NODE}}
        hands.state.put(made, hands.now)
        placed = hands.state.objects[Ref.of(pod)]
        hands.event(placed, "Normal", "Scheduled", f"Successfully assigned {_name(pod)} to {NODE}", "default-scheduler")
        return placed
    wanted = condition("PodScheduled", False, "Unschedulable", why)
    status = {**pod["status"], "phase": "Pending", "conditions": conditions(pod["status"], hands.time, wanted)}
    hands.status(pod, status, "kube-scheduler")
    hands.event(pod, "Warning", "FailedScheduling", why, "default-scheduler")
    return None


def _name(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"


def _unschedulable(hands: Hands, pod: Document) -> str | None:
    images = [container.get("image", "") for container in pod["spec"]["containers"]]
    if any(behavior(pod, image).word == "pending" for image in images):
        return "0/1 nodes are available: 1 Insufficient cpu. No preemption victims found for incoming pod."
    for volume in pod["spec"].get("volumes", ()):
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim and _claim_waits(hands.state, pod, claim):
            return _claim_waits(hands.state, pod, claim)
    return None


def _claim_waits(state: State, pod: Document, claim: str) -> str | None:
    found = state.get(Ref("PersistentVolumeClaim", pod["metadata"].get("namespace", ""), claim))
    if found is None:
        return f'0/1 nodes are available: persistentvolumeclaim "{claim}" not found.'
    if found["status"].get("phase") == "Bound":
        return None
    storage = state.get(Ref("StorageClass.storage.k8s.io", "", found["spec"].get("storageClassName", "")))
    if (
        storage is not None
        and storage["volumeBindingMode"] == "WaitForFirstConsumer"
        and storage["provisioner"] == "simulated"
    ):
        return "waiting for first consumer"  # its controller sees this pod and binds it
    return "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."


def _live(hands: Hands, pod: Document) -> None:
    began = hands.mark(pod, "placed")
    spec = pod["spec"]
    first, at, stuck = _before(hands, pod, began)
    main = [
        _waiting(container, "PodInitializing") if stuck else _container(hands, pod, container, at)
        for container in spec["containers"]
    ]
    every = [*first, *main]
    for life in every:
        if life.trouble:
            hands.event(pod, "Warning", *life.trouble, KUBELET)
    status: dict[str, Any] = {
        **pod["status"], "phase": _phase(spec, first, main, stuck), "hostIP": "10.0.0.1", "podIP": _address(pod),
        "startTime": stamp(began), "qosClass": pod["status"].get("qosClass", "BestEffort"),
        "observedGeneration": pod["metadata"].get("generation", 1),
        "containerStatuses": [life.status for life in main],
    }  # fmt: skip
    status["hostIPs"], status["podIPs"] = [{"ip": "10.0.0.1"}], [{"ip": status["podIP"]}]
    if first:
        status["initContainerStatuses"] = [life.status for life in first]
    status["conditions"] = _conditions(hands, pod, status["phase"], main, stuck)
    hands.status(pod, status, KUBELET)


def _before(hands: Hands, pod: Document, began: float) -> tuple[list[_Life], float, bool]:
    """The containers that start first, when the others begin, and whether they are held up."""
    lives, at, stuck = [], began, False
    for container in pod["spec"].get("initContainers", ()):
        if stuck:
            lives.append(_waiting(container, "PodInitializing"))
            continue
        sidecar = container.get("restartPolicy") == "Always"
        life = _container(hands, pod, container, at, first=not sidecar)
        lives.append(life)
        at += _PULL + _STEP
        stuck = not (life.ready or life.ended == 0)
    if not stuck and hands.now < at:
        hands.wake(at)
    return lives, at, stuck


def _waiting(container: Mapping[str, Any], reason: str, message: str = "", restarts: int = 0) -> _Life:
    waiting = {"reason": reason, "message": message} if message else {"reason": reason}
    return _Life({**_head(container, restarts), "state": {"waiting": waiting}})


def _head(container: Mapping[str, Any], restarts: int = 0) -> dict[str, Any]:
    return {
        "name": container["name"], "image": container.get("image", ""), "imageID": "", "ready": False,
        "restartCount": restarts, "started": False, "lastState": {},
    }  # fmt: skip


def _container(
    hands: Hands, pod: Document, container: Mapping[str, Any], begin: float, *, first: bool = False
) -> _Life:
    """A container that may start at `begin`; `first` is one that others wait for."""
    acts = behavior(pod, container.get("image", ""))
    started = begin + _PULL
    if hands.now < started:
        hands.wake(started)
        return _waiting(container, "ContainerCreating")
    missing = _missing(hands.state, pod, container)
    if missing:
        hands.sure = False  # it may be made
        if missing[0] == "FailedMount":
            return _Life(_waiting(container, "ContainerCreating").status, trouble=missing)
        return _Life(
            _waiting(container, "CreateContainerConfigError", missing[1]).status,
            trouble=("Failed", f"Error: {missing[1]}"),
        )
    if acts.word == "broken":
        return _unpulled(hands, container, started)
    policy = (
        "Never" if pod["spec"]["restartPolicy"] == "Never" else "OnFailure" if first else pod["spec"]["restartPolicy"]
    )
    if container.get("restartPolicy") == "Always":
        policy = "Always"
    if acts.word == "crash":
        return _crashing(hands, container, acts, started, policy)
    lasts = _STEP if first else acts.run_for
    if policy != "Always" and acts.word != "stall":
        if hands.now >= started + lasts:
            return _ended(container, started, started + lasts, 0)
        hands.wake(started + lasts)
        return _running(container, started, ready=True)
    ready = acts.word != "stall" and hands.now >= started + acts.ready_after
    if acts.word == "stall":
        probe = ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
        return _running(container, started, ready=False, trouble=probe)
    if not ready:
        hands.wake(started + acts.ready_after)
    return _running(container, started, ready=ready)


def _missing(state: State, pod: Document, container: Mapping[str, Any]) -> tuple[str, str] | None:
    """A ConfigMap or Secret that the container needs and that is not there."""
    namespace = pod["metadata"].get("namespace", "")
    needed: list[tuple[str, Mapping[str, Any]]] = []
    for source in container.get("envFrom", ()):
        needed += [(kind, source[field]) for field, kind in _SOURCES if field in source]
    for variable in container.get("env", ()):
        source = variable.get("valueFrom") or {}
        needed += [(kind, source[field]) for field, kind in _KEYS if field in source]
    for kind, reference in needed:
        found = state.get(Ref(kind, namespace, reference.get("name", "")))
        if reference.get("optional"):
            continue
        if found is None:
            return "Failed", f'{kind.lower()} "{reference.get("name")}" not found'
        if "key" in reference and reference["key"] not in {
            **(found.get("data") or {}),
            **(found.get("binaryData") or {}),
        }:
            return "Failed", f"couldn't find key {reference['key']} in {kind} {namespace}/{reference.get('name')}"
    for volume in pod["spec"].get("volumes", ()):
        for field, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            reference = volume.get(field) or {}
            wanted = reference.get(name)
            if wanted and not reference.get("optional") and state.get(Ref(kind, namespace, wanted)) is None:
                why = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {kind.lower()} "{wanted}" not found'
                return "FailedMount", why
    return None


_SOURCES = (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
_KEYS = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))


def _unpulled(hands: Hands, container: Mapping[str, Any], since: float) -> _Life:
    image = container.get("image", "")
    words = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
    event = ("Failed", f'Failed to pull image "{image}": rpc error: code = NotFound desc = {words}')
    if hands.now < since + 1:
        hands.wake(since + 1)
        return _Life(
            _waiting(container, "ErrImagePull", f"rpc error: code = NotFound desc = {words}").status, trouble=event
        )
    back_off = f'Back-off pulling image "{image}": ErrImagePull: rpc error: code = NotFound desc = {words}'
    return _Life(
        _waiting(container, "ImagePullBackOff", back_off).status,
        trouble=("BackOff", f'Back-off pulling image "{image}"'),
    )


def _crashing(hands: Hands, container: Mapping[str, Any], acts: Behavior, started: float, policy: str) -> _Life:
    if policy == "Never":
        if hands.now >= started + acts.run_for:
            return _ended(container, started, started + acts.run_for, acts.exit_code)
        hands.wake(started + acts.run_for)
        return _running(container, started, ready=False)
    at, pause, restarts = started, _BACKOFF, 0
    while True:
        ends = at + acts.run_for
        if hands.now < ends:
            hands.wake(ends)
            life = _running(container, at, ready=False, restarts=restarts)
            if restarts:
                life.status["lastState"] = {"terminated": _terminated(container, at, at, acts.exit_code)}
            return life
        if hands.now < ends + pause:
            hands.wake(ends + pause)
            why = f"back-off {int(pause)}s restarting failed container={container['name']}"
            life = _waiting(container, "CrashLoopBackOff", why, restarts + 1)
            life.status["lastState"] = {"terminated": _terminated(container, at, ends, acts.exit_code)}
            return _Life(life.status, trouble=("BackOff", f"Back-off restarting failed container {container['name']}"))
        at, pause, restarts = ends + pause, min(pause * 2, _LONGEST_BACKOFF), restarts + 1


def _terminated(container: Mapping[str, Any], began: float, ended: float, code: int) -> dict[str, Any]:
    return {
        "containerID": _container_id(container, began), "exitCode": code,
        "reason": "Completed" if code == 0 else "Error", "startedAt": stamp(began), "finishedAt": stamp(ended),
    }  # fmt: skip


def _ended(container: Mapping[str, Any], began: float, ended: float, code: int) -> _Life:
    terminated = _terminated(container, began, ended, code)
    status = {**_head(container), "containerID": terminated["containerID"], "state": {"terminated": terminated}}
    return _Life(status, ended=code)


def _running(
    container: Mapping[str, Any],
    began: float,
    *,
    ready: bool,
    restarts: int = 0,
    trouble: tuple[str, str] | None = None,
) -> _Life:
    status = {
        **_head(container, restarts), "ready": ready, "started": True, "imageID": _image_id(container),
        "containerID": _container_id(container, began), "state": {"running": {"startedAt": stamp(began)}},
    }  # fmt: skip
    return _Life(status, ready=ready, trouble=trouble)


def _container_id(container: Mapping[str, Any], began: float) -> str:
    return "simulated://" + hashlib.sha256(f"{container['name']}{container.get('image')}{began}".encode()).hexdigest()


def _image_id(container: Mapping[str, Any]) -> str:
    image = container.get("image", "")
    name, _, digest = image.partition("@")
    repository = (
        name.partition(":")[0]
        if "/" not in name
        else name[: name.rfind(":")]
        if ":" in name.rpartition("/")[2]
        else name
    )
    return f"{repository}@{digest or 'sha256:' + hashlib.sha256(image.encode()).hexdigest()}"


def _phase(spec: Mapping[str, Any], first: list[_Life], main: list[_Life], stuck: bool) -> str:
    if spec["restartPolicy"] == "Never" and any(life.ended for life in first):
        return "Failed"
    if stuck or all("waiting" in life.status["state"] and not life.status["restartCount"] for life in main):
        return "Pending"
    if all(life.ended is not None for life in main):
        return "Failed" if any(life.ended for life in main) else "Succeeded"
    return "Pending" if any(_is_new(life) for life in main) else "Running"


def _is_new(life: _Life) -> bool:
    return "waiting" in life.status["state"] and not life.status["restartCount"]


def _conditions(hands: Hands, pod: Document, phase: str, main: list[_Life], stuck: bool) -> list[dict[str, Any]]:
    over = phase in ("Succeeded", "Failed")
    unready = [life.status["name"] for life in main if not life.ready]
    ready = not unready and not stuck and not over
    reason = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "" if ready else "ContainersNotReady")
    message = "" if ready or over else f"containers with unready status: [{' '.join(unready)}]"
    begun = any("waiting" not in life.status["state"] for life in main)
    return conditions(
        pod["status"], hands.time,
        condition("PodReadyToStartContainers", begun and not over),
        condition("Initialized", not stuck, "" if not stuck else "ContainersNotInitialized"),
        condition("Ready", ready, reason, message),
        condition("ContainersReady", ready, reason, message),
        condition("PodScheduled", holds=True),
    )  # fmt: skip


def _address(pod: Document) -> str:
    number = int(hashlib.sha256(pod["metadata"]["uid"].encode()).hexdigest()[:8], 16)
    return f"10.244.{number // 250 % 250}.{number % 250 + 2}"


def is_ready(pod: Mapping[str, Any]) -> bool:
    found = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in found) and not is_going(pod)
