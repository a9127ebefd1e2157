"""What the server adds to an object before it is kept: addresses, accounts, priorities, generated selectors."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from ci_gitops.core.api.schemas import Kind
from ci_gitops.core.api.state import Document, Ref, State

_NODE_PORTS = range(30000, 32768)
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admitted(state: State, kind: Kind, document: Document, live: Mapping[str, Any] | None) -> Document:
    """The object with what is added, in place."""
    change = _CHANGES.get(kind.kind) if not kind.custom else None
    if change:
        change(state, document, live)
    return document


def _service(state: State, service: Document, live: Mapping[str, Any] | None) -> None:
    spec = service["spec"]
    before = live["spec"] if live else {}
    _drop_types_fields(spec, before)
    if spec["type"] == "ExternalName":
        return
    if spec.get("clusterIP") in (None, ""):
        spec["clusterIP"] = (spec.get("clusterIPs") or [None])[0] or before.get("clusterIP") or _address(state, service)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("ipFamilies", before.get("ipFamilies") or ["IPv4"])
    spec.setdefault("ipFamilyPolicy", before.get("ipFamilyPolicy") or "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer") and spec.get("allocateLoadBalancerNodePorts", True):
        _give_ports(state, service, before)


def _drop_types_fields(spec: Document, before: Mapping[str, Any]) -> None:
    """What only the type that the service had until now needs, and nobody changed."""

    def gone(name: str) -> None:
        if name in spec and spec[name] == before.get(name):
            del spec[name]

    outside = ("NodePort", "LoadBalancer")
    if before.get("type") in outside and spec["type"] not in outside:
        gone("externalTrafficPolicy")
        known = {port.get("nodePort") for port in before.get("ports", ())}
        for port in spec.get("ports", ()):
            if port.get("nodePort") in known:
                port.pop("nodePort", None)
    if before.get("type") == "LoadBalancer" and spec["type"] != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "healthCheckNodePort", "loadBalancerClass"):
            gone(name)
    if spec["type"] == "ExternalName" and before.get("type") not in (None, "ExternalName"):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            gone(name)


def _address(state: State, service: Document) -> str:
    taken = {found["spec"].get("clusterIP") for found in state.of_kind("Service")}
    first = zlib.crc32(f"{service['metadata'].get('namespace')}/{service['metadata']['name']}".encode())
    for offset in range(65536):
        number = (first + offset) % 65536
        address = f"10.96.{number // 256}.{number % 256}"
        if 0 < number % 256 < 255 and address not in taken:
            return address
    return "10.96.0.1"


def _give_ports(state: State, service: Document, before: Mapping[str, Any]) -> None:
    ours = service["metadata"]["uid"]
    taken = {
        port.get("nodePort") for found in state.of_kind("Service") if found["metadata"]["uid"] != ours
        for port in found["spec"].get("ports", ())
    }  # fmt: skip
    known = {(port["port"], port["protocol"]): port.get("nodePort") for port in before.get("ports", ())}
    for port in service["spec"].get("ports", ()):
        if not port.get("nodePort"):
            port["nodePort"] = known.get((port["port"], port["protocol"])) or next(
                number for number in _NODE_PORTS if number not in taken
            )
        taken.add(port["nodePort"])


def _pod(state: State, pod: Document, live: Mapping[str, Any] | None) -> None:
    spec = pod["spec"]
    tolerations = spec.setdefault("tolerations", [])  # at every write, as the API server does
    for key in _TOLERATED:
        if not any(each.get("key") == key for each in tolerations):
            tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
    if live is not None:
        return
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        resources = container.setdefault("resources", {})
        for name, value in (resources.get("limits") or {}).items():
            resources.setdefault("requests", {}).setdefault(name, value)
    _mount_token(state, pod)
    pod["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _mount_token(state: State, pod: Document) -> None:
    spec, mount_path = pod["spec"], "/var/run/secrets/kubernetes.io/serviceaccount"
    account = state.get(Ref("ServiceAccount", pod["metadata"].get("namespace", ""), spec["serviceAccountName"])) or {}
    if not spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
        return
    name = f"kube-api-access-{state.new_suffix(pod['metadata']['name'])}"
    spec.setdefault("volumes", []).append({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [
            {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}]}},
    ]}})  # fmt: skip
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == mount_path for mount in mounts):
            mounts.append({"mountPath": mount_path, "name": name, "readOnly": True})


def _quality(spec: Mapping[str, Any]) -> str:
    resources = [
        container.get("resources") or {} for container in [*spec["containers"], *spec.get("initContainers", ())]
    ]
    if not any(each.get("limits") or each.get("requests") for each in resources):
        return "BestEffort"
    sure = all(
        {"cpu", "memory"} <= (each.get("limits") or {}).keys() and each["limits"] == each.get("requests")
        for each in resources
    )
    return "Guaranteed" if sure else "Burstable"


def _job(state: State, job: Document, live: Mapping[str, Any] | None) -> None:
    spec = job["spec"]
    if live is not None or spec.get("manualSelector"):
        return
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    given = {
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name, "controller-uid": uid,
        "job-name": name,
    }  # fmt: skip
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = {**template.get("labels", {}), **given}
    spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
    if not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(template["labels"])


def _daemon_set(state: State, found: Document, live: Mapping[str, Any] | None) -> None:
    annotations = found["metadata"].setdefault("annotations", {})
    number = 1
    if live is not None:
        before = int(live["metadata"].get("annotations", {}).get(_TEMPLATE, "1"))
        number = before + (found["spec"]["template"] != live["spec"]["template"])
    annotations[_TEMPLATE] = str(number)


def _definition(state: State, found: Document, live: Mapping[str, Any] | None) -> None:
    stored = [version["name"] for version in found["spec"].get("versions", ()) if version.get("storage")]
    status = found.setdefault("status", {})
    status["storedVersions"] = [*status.get("storedVersions", ()), *(
        name for name in stored if name not in status.get("storedVersions", ()))]  # fmt: skip


def _claim(state: State, found: Document, live: Mapping[str, Any] | None) -> None:
    if live is not None or "storageClassName" in found["spec"]:
        return
    for storage in state.of_kind("StorageClass.storage.k8s.io"):
        annotations = storage["metadata"].get("annotations", {})
        if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
            found["spec"]["storageClassName"] = storage["metadata"]["name"]
            return


_TEMPLATE = "deprecated.daemonset.template.generation"
_CHANGES: dict[str, Any] = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "Service": _service,
}
