"""What to do about an object that is not well, by what it and its events say: pure, one table for each sort of trouble.

The words that are looked for are those of Kubernetes' own components; where none fits, nothing is advised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci_gitops.core.health.fields import at, group_of, mappings, number, text, texts

Document = Mapping[str, Any]
_Table = Sequence[tuple[str, str]]

_PULL: _Table = (
    (r"not found|manifest unknown|does not exist|name unknown",
     "The registry has no {image}: was it built and pushed, and is its tag or digest spelt right?"),
    (r"unauthorized|denied|forbidden|authentication required|no basic auth",
     "The node may not pull {image}: name a pull secret in imagePullSecrets of the pod or of its ServiceAccount."),
    (r"no such host|timeout|timed out|refused|unreachable|x509|certificate|gave HTTP response|EOF",
     "The node does not reach the registry of {image}: look at its name, the network and the node's certificates."),
    (r"no match for platform|exec format",
     "{image} was not built for this node's processor: build it for that platform."),
)  # fmt: skip
_DECLARE = (
    r'(secret|configmap) "([^"]+)" not found',
    "Declare the {1} {2} in this target, or in a wave before it; a name that a generator gave it may have changed.",
)
_CONFIG: _Table = (
    _DECLARE,
    (r"couldn't find key (\S+)", "The key {1} is not in what the container refers to."),
    (r"runAsNonRoot|non-numeric user", "The image runs as root, or names its user: set securityContext.runAsUser."),
)  # fmt: skip
_START: _Table = (
    (r"executable file not found|no such file or directory",
     "The command of container {container} is not in its image: look at `command` and at the image's files."),
    (r"exec format error", "The image was built for another processor than the node's."),
    (r"permission denied", "The command of container {container} is no program that its user may run."),
)  # fmt: skip
_SCHEDULE: _Table = (
    (r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim",
     "A claim of it has no volume yet: its own lines say why."),
    (r"Insufficient ([a-z0-9./-]*[a-z0-9])",
     "No node has so much {1} free: ask for less in resources.requests, or add nodes."),
    (r"untolerated taint", "All nodes that would do are tainted: add a toleration, or take the taint away."),
    (r"affinity|node selector|nodeSelector", "No node has the labels that nodeSelector or affinity asks for."),
    (r"Too many pods", "The nodes hold as many pods as they may: add nodes."),
    (r"no nodes available|0/0 nodes", "The cluster has no node that takes pods."),
)  # fmt: skip
_CREATE: _Table = (
    (r"exceeded quota: ([^,]+)", "The quota {1} of the namespace is used up: raise it, or ask for less."),
    (r"violates PodSecurity", "The namespace's Pod Security level forbids it: set the securityContext that it names."),
    (r"serviceaccount \"([^\"]+)\" not found|service account \S*?([^/\s]+) not found",
     "Declare the ServiceAccount {1} in this target."),
    (r"maximum \S+ usage|minimum \S+ usage|LimitRange|must be less than or equal",
     "The LimitRange of the namespace forbids it."),
    (r"admission webhook \"([^\"]+)\" denied", "The admission webhook {1} refuses its pods; its message says why."),
    (r"ValidatingAdmissionPolicy", "An admission policy of the cluster refuses its pods; its message says why."),
)  # fmt: skip
_MOUNT: _Table = (
    _DECLARE,
    (r"references non-existent (?:secret|config) key: (\S+)", "The key {1} is not in what the volume refers to."),
)
_CLAIM: _Table = (
    (r'storageclass\.storage\.k8s\.io "([^"]+)" not found',
     "There is no storage class {1}: name one of the cluster's."),
    (r"no persistent volumes available.*no storage class is set",
     "Name a storage class in storageClassName, or make one the cluster's default."),
    (r"external provisioner '([^']+)'",
     "Its provisioner {1} has not made the volume: does it run in this cluster, and what does its log say?"),
    (r"no volume plugin matched|no-provisioner|no persistent volumes available",
     "Nothing makes volumes of this class here: make a PersistentVolume that fits, or name another class."),
)  # fmt: skip
_EXITS = {
    126: "The command of container {container} cannot be run: is it a program, and executable?",
    127: "The command of container {container} is not in its image.",
    139: "The process of container {container} crashed (segmentation fault).",
    143: "The process was asked to end: a liveness probe that fails does that too.",
}


def advice_on(document: Document, said: Sequence[str], served: frozenset[str] = frozenset()) -> list[str]:
    """What a person could do about one object; `said` are the messages of its events, newest first.

    `served` are the `group/version` that the cluster serves, where that was asked.
    """
    place = (group_of(document), text(document, "kind"))
    found = [*_on_deletion(document)]
    match place:
        case ("", "Pod"):
            found += _on_pod(document, said)
        case ("", "PersistentVolumeClaim"):
            found += _looked_up(_CLAIM, [*said, _storage(document)], {})
        case ("autoscaling", "HorizontalPodAutoscaler"):
            found += _on_autoscaler(document, served)
        case ("", "Service"):
            found.append(
                "Nothing in this cluster gives load balancers their addresses (a cloud's controller, MetalLB …)."
            )
        case ("networking.k8s.io", "Ingress"):
            found.append("Does an ingress controller run for its class, and does it publish its address?")
        case ("batch", "Job"):
            found += [*_on_job(document), *_looked_up(_CREATE, said, {})]
        case _:
            found += _looked_up(_CREATE, [*said, *_conditions(document)], {})
    return list(dict.fromkeys(found))


def _looked_up(table: _Table, said: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    """The first advice of the table that fits one of the messages."""
    for pattern, advice in table:
        for message in said:
            match = re.search(pattern, message, re.IGNORECASE)
            if match:
                groups = [group for group in match.groups() if group]
                filled = {str(number): group for number, group in enumerate(groups, 1)}
                yield re.sub(r"\{(\w+)\}", lambda place: {**values, **filled}.get(place[1], ""), advice)  # noqa: B023
                return


def _conditions(document: Document) -> list[str]:
    return [text(each, "message") for each in mappings(document, "status", "conditions")]


def _on_deletion(document: Document) -> Iterator[str]:
    finalizers = texts(document, "metadata", "finalizers")
    if at(document, "metadata", "deletionTimestamp") is not None and finalizers:
        kind = text(document, "kind")
        yield (
            f"It goes when {', '.join(finalizers)} is taken away by the controller that set it: does that one run? "
            f"Taking it away by hand (kubectl edit {kind.lower()}) leaves behind what it cleans up."
        )


def _on_pod(pod: Document, said: Sequence[str]) -> Iterator[str]:
    scheduled = next((each for each in mappings(pod, "status", "conditions") if each.get("type") == "PodScheduled"), {})
    if text(scheduled, "status") == "False":
        yield from _looked_up(_SCHEDULE, [text(scheduled, "message")], {})
        return
    if text(pod, "status", "reason") == "Evicted":
        yield "Its node ran short of what the message names: set resources.requests to what it really uses."
    for status in mappings(pod, "status", "initContainerStatuses") + mappings(pod, "status", "containerStatuses"):
        if at(status, "ready") is not True:
            yield from _on_container(pod, status, said)
    if text(pod, "status", "phase") == "Pending":
        yield from _looked_up(_MOUNT, said, {})


def _on_container(pod: Document, status: Document, said: Sequence[str]) -> Iterator[str]:
    name, image = text(status, "name"), text(status, "image")
    values = {"container": name, "image": image or "the image"}
    waiting, ended = at(status, "state", "waiting"), at(status, "lastState", "terminated")
    ended = at(status, "state", "terminated") or ended
    reason, messages = text(waiting, "reason"), [text(waiting, "message"), text(ended, "message"), *said]
    if "Image" in reason or reason == "RegistryUnavailable":
        if reason == "InvalidImageName":
            yield f"{image or 'Its image'} is no image reference."
        yield from _looked_up(_PULL, messages, values)
    elif reason == "CreateContainerConfigError":
        yield from _looked_up(_CONFIG, messages, values)
    elif text(ended, "reason") == "OOMKilled":
        yield f"Container {name} needs more memory than its limit: raise resources.limits.memory, or let it use less."
    elif ended is not None and any("Liveness probe failed" in message for message in said):
        yield f"The liveness probe of container {name} ends it: does it answer in time, or need a startupProbe?"
    elif ended is not None and number(ended, "exitCode"):
        started = list(_looked_up(_START, messages[:2], values))
        exits = _EXITS.get(
            number(ended, "exitCode"),
            "Container {container} ends by itself: its last log lines say why, or its command.",
        )
        yield from started or [exits.format(**values)]
    elif at(status, "state", "running") is not None:
        yield from _on_probe(pod, name, said)


def _on_probe(pod: Document, name: str, said: Sequence[str]) -> Iterator[str]:
    container = next((each for each in mappings(pod, "spec", "containers") if each.get("name") == name), {})
    probe = at(container, "readinessProbe")
    if probe is None or not any("probe failed" in message for message in said):
        return
    asked = at(probe, "httpGet")
    where = f"GET {text(asked, 'path') or '/'} at port {at(asked, 'port')}" if asked else "its readiness probe"
    yield f"Container {name} runs but {where} does not succeed: does it listen there, and does it wait for something?"


def _storage(claim: Document) -> str:
    return "" if text(claim, "spec", "storageClassName") else "no persistent volumes available; no storage class is set"


def _on_autoscaler(document: Document, served: frozenset[str]) -> Iterator[str]:
    reasons = {text(each, "reason") for each in mappings(document, "status", "conditions")}
    if "FailedGetScale" in reasons:
        yield "What it should scale (spec.scaleTargetRef) is not there, or cannot be scaled."
    elif "InvalidSelector" in reasons:
        yield "Its target has no selector that it can count pods by."
    elif reasons & {"FailedGetResourceMetric", "FailedGetContainerResourceMetric", "FailedComputeMetricsReplicas"}:
        if served and not any(each.startswith("metrics.k8s.io/") for each in served):
            yield "This cluster serves no metrics.k8s.io: install a metrics server, or set replicas yourself."
        else:
            yield "Its pods need resources.requests for what it scales by, and the metrics server must see them."
    elif reasons & {"FailedGetPodsMetric", "FailedGetObjectMetric", "FailedGetExternalMetric"}:
        yield "The metrics adapter of this cluster does not know the metric that it scales by."


def _on_job(document: Document) -> Iterator[str]:
    for each in mappings(document, "status", "conditions"):
        if text(each, "status") != "True":
            continue
        if text(each, "reason") == "DeadlineExceeded":
            yield "It took longer than spec.activeDeadlineSeconds."
        elif text(each, "reason") == "BackoffLimitExceeded":
            tries = number(document, "spec", "backoffLimit", default=6) + 1
            yield f"All {tries} tries failed (spec.backoffLimit): the log of the last one says why."
