"""A manifest as it is sent to the API server, so that the same declaration gives the same answer each time.

Only what server-side apply needs is touched: what the server alone writes is left out, and what lists are merged by is
spelt out. Defaults are the server's. `core/settled.py` and the dry runs of a plan start from this; so does applying.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from ci_gitops.core.secret_values import LAST_APPLIED, is_secret

_SERVERS = {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
_POD_GROUPS = ("", "apps", "batch")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_CA_BUNDLE = ("spec", "conversion", "webhook", "clientConfig", "caBundle")


def desired(document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `document` to send; the document itself stays as it was rendered."""
    sent = {key: value for key, value in document.items() if key != "status"}
    if isinstance(sent.get("metadata"), Mapping):
        sent["metadata"] = _metadata(sent["metadata"])
    if is_secret(sent):
        return _secret(sent)
    kind = sent.get("kind")
    if kind == "Service" and sent.get("apiVersion") == "v1":
        return _changed(sent, ("spec", "ports"), _ports)
    if kind == "CustomResourceDefinition":
        return _changed(sent, _CA_BUNDLE, lambda bundle: bundle if _is_certificate(bundle) else None)
    if kind == "ClusterRole" and sent.get("aggregationRule"):
        sent.pop("rules", None)  # the cluster gathers them from other roles
    group = str(sent.get("apiVersion")).rpartition("/")[0]
    for path in _pods(kind) if group in _POD_GROUPS else ():
        sent = _changed(sent, path, _pod)
    return sent


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in metadata.items() if key not in _SERVERS}
    annotations = kept.get("annotations")
    if isinstance(annotations, Mapping) and LAST_APPLIED in annotations:
        kept["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    return {key: value for key, value in kept.items() if value or key not in ("labels", "annotations")}


def _secret(sent: dict[str, Any]) -> dict[str, Any]:
    """All of it as `data`: keys once given as `stringData` would stay for ever when they leave Git
    (https://github.com/kubernetes/kubernetes/issues/108008).
    """
    given, texts = sent.pop("data", None), sent.pop("stringData", None)
    data = dict(given) if isinstance(given, Mapping) else {}
    for key, value in (texts if isinstance(texts, Mapping) else {}).items():
        data[key] = base64.b64encode(value.encode(errors="surrogatepass")).decode() if isinstance(value, str) else value
    if data:
        sent["data"] = {key: "" if value is None else value for key, value in data.items()}
    return sent


def _pods(kind: Any) -> tuple[tuple[str, ...], ...]:
    """Where the specifications of pods stand in an object of a built-in kind."""
    if kind == "Pod":
        return (("spec",),)
    if kind == "CronJob":
        return (("spec", "jobTemplate", "spec", "template"), ("spec", "jobTemplate", "spec", "template", "spec"))
    if kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"):
        return (("spec", "template"), ("spec", "template", "spec"))
    return ()


def _pod(pod: Any) -> Any:
    """A pod's template or specification."""
    if not isinstance(pod, Mapping):
        return pod
    if isinstance(pod.get("metadata"), Mapping):
        return {**pod, "metadata": _metadata(pod["metadata"])}
    for field in _CONTAINERS:
        if isinstance(pod.get(field), list):
            pod = {**pod, field: [_container(container) for container in pod[field]]}
    return pod


def _container(container: Any) -> Any:
    return _changed(container, ("ports",), _ports) if isinstance(container, Mapping) else container


def _ports(ports: Any) -> Any:
    """The protocol is a key by which ports are merged; left out it means TCP."""
    if not isinstance(ports, list):
        return ports
    return [{**port, "protocol": port.get("protocol") or "TCP"} if isinstance(port, Mapping) else port
            for port in ports]  # fmt: skip


def _is_certificate(bundle: Any) -> bool:
    """Certificates as PEM, in base64: API servers refuse anything else, which charts leave for an injector to fill."""
    try:
        text = base64.b64decode(bundle, validate=True).decode()
        _, begin, rest = text.partition("-----BEGIN CERTIFICATE-----")
        body, end, _ = rest.partition("-----END CERTIFICATE-----")
        return bool(begin and end and base64.b64decode("".join(body.split()), validate=True))
    except (binascii.Error, TypeError, ValueError):
        return False


def _changed(document: Mapping[str, Any], path: tuple[str, ...], change: Callable[[Any], Any]) -> dict[str, Any]:
    """A copy with `change` made at `path`, where that is there; what becomes None is left out."""
    name, *rest = path
    copied = dict(document)
    if name not in copied:
        return copied
    if rest:
        below = copied[name]
        copied[name] = _changed(below, tuple(rest), change) if isinstance(below, Mapping) else below
    elif (value := change(copied[name])) is None:
        del copied[name]
    else:
        copied[name] = value
    return copied
