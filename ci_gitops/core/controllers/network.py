"""Services: which pods stand behind them, and the address of a load balancer."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from ci_gitops.core.api.selectors import selects
from ci_gitops.core.api.state import Document, Ref
from ci_gitops.core.controllers.hands import Hands, owner_reference
from ci_gitops.core.controllers.pods import is_ready

_MANAGER = "endpointslice-controller.k8s.io"
_BALANCED = 1.0  # seconds until a load balancer has its address


def run(hands: Hands) -> None:
    for service in hands.all("Service"):
        spec = service["spec"]
        if spec.get("type") == "LoadBalancer" and not (service["status"].get("loadBalancer") or {}).get("ingress"):
            _balance(hands, service)
        if spec.get("selector"):
            _slice(hands, service)


def _balance(hands: Hands, service: Document) -> None:
    at = hands.made(service) + _BALANCED
    if hands.now < at:
        hands.wake(at)
        return
    number = zlib.crc32(service["metadata"]["uid"].encode()) % 250 + 2
    hands.status(service, {"loadBalancer": {"ingress": [{"ip": f"192.0.2.{number}", "ipMode": "VIP"}]}})


def _slice(hands: Hands, service: Document) -> None:
    """One EndpointSlice, named after the service."""
    metadata, spec = service["metadata"], service["spec"]
    pods = [
        pod for pod in hands.all("Pod", metadata["namespace"])
        if selects(spec["selector"], pod["metadata"].get("labels") or {}) and pod["status"].get("podIP")
        and pod["status"].get("phase") == "Running"
    ]  # fmt: skip
    endpoints = [_endpoint(pod) for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))]
    ports = [_port(port, pods) for port in spec.get("ports", ())]
    made = {"addressType": "IPv4", "endpoints": endpoints, "ports": ports}
    name = f"{metadata['name'][:50]}-{zlib.crc32(metadata['uid'].encode()):08x}"
    known = hands.state.get(Ref("EndpointSlice.discovery.k8s.io", metadata["namespace"], name))
    if known is None:
        labels = {"kubernetes.io/service-name": metadata["name"], "endpointslice.kubernetes.io/managed-by": _MANAGER}
        hands.create({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", **made,
            "metadata": {"name": name, "namespace": metadata["namespace"], "labels": labels,
                         "ownerReferences": [owner_reference(service)]},
        })  # fmt: skip
    elif {key: known.get(key) or [] for key in made} != {key: value or [] for key, value in made.items()}:
        hands.replace({**known, **made})


def _endpoint(pod: Document) -> dict[str, Any]:
    ready = is_ready(pod)
    return {
        "addresses": [pod["status"]["podIP"]], "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"],
                      "uid": pod["metadata"]["uid"]},
    }  # fmt: skip


def _port(port: Mapping[str, Any], pods: list[Document]) -> dict[str, Any]:
    target = port.get("targetPort", port["port"])
    if isinstance(target, str):
        named = (each["containerPort"] for pod in pods for container in pod["spec"]["containers"]
                 for each in container.get("ports", ()) if each.get("name") == target)  # fmt: skip
        target = next(named, port["port"])
    return {"name": port.get("name", ""), "port": target, "protocol": port["protocol"]}
