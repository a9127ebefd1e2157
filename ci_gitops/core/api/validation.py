"""Whether an object may be as it is: what is required, what fits together, what may not change. The server's words.

The kinds that applications are made of are judged as closely as their mistakes are common
(https://github.com/kubernetes/kubernetes/tree/master/pkg/apis: `validation.go` of each group).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ci_gitops.core.api import definitions, selectors
from ci_gitops.core.api.changes import forbidden_changes, new_finalizers
from ci_gitops.core.api.names import KEY, KEY_WORDS, label_value, metadata_wrongs, negative, port_number, unsupported
from ci_gitops.core.api.pod_rules import pod_spec
from ci_gitops.core.api.refusals import Wrong
from ci_gitops.core.api.schemas import Kind, Schema
from ci_gitops.core.api.structural import structural

_Object = Mapping[str, Any]


def problems(kind: Kind, document: _Object, live: _Object | None) -> list[Wrong]:
    """What is wrong with an object that is to be kept in the place of `live`."""
    found = list(metadata_wrongs(kind, document))
    found += new_finalizers(document, live) if live is not None else ()
    if kind.custom:
        return [*found, *definitions.wrongs(kind.schema, document)]
    judge = _KINDS.get(kind.kind)
    if judge:
        found += judge(document)
    known = {each.field for each in found}
    found += (each for each in _enums(kind.schema, document, "") if each.field not in known)
    if live is not None:
        found += forbidden_changes(kind.kind, document, live)
    return list({str(each): each for each in found}.values())


def _enums(schema: Schema, value: Any, path: str) -> Iterator[Wrong]:
    """Words that are none of those that a field takes."""
    if schema.shape == "object" and isinstance(value, Mapping):
        for name, inner in value.items():
            below = schema.below(name)
            if below is not None and name != "status":
                yield from _enums(below, inner, f"{path}.{name}" if path else name)
    elif schema.shape == "list" and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _enums(schema.item, inner, f"{path}[{number}]")
    elif "enum" in schema.raw and value and value not in schema.raw["enum"]:
        yield unsupported(path, value, schema.raw["enum"])


def _workload(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if (spec.get(field) or 0) < 0:
            yield negative(f"spec.{field}", spec[field])
    selector = spec.get("selector")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is None:
        yield Wrong("spec.selector", "Required value")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield Wrong("spec.selector", "Invalid value: {}: empty selector is invalid for deployment")
    if selector != {} and not selectors.selects(selector, labels):
        yield _mismatch(labels)
    for value in labels.values():
        yield from label_value("spec.template.metadata.labels", value)
    claims = [claim["metadata"].get("name", "") for claim in spec.get("volumeClaimTemplates") or ()]
    yield from pod_spec(template.get("spec") or {}, "spec.template.spec", policies=("Always",), claims=claims)
    if document["kind"] == "Deployment":
        yield from _strategy(spec)
    update = spec.get("updateStrategy") or {}
    if document["kind"] == "StatefulSet" and update.get("type") == "OnDelete" and "rollingUpdate" in update:
        told = f'{{"Partition":{update["rollingUpdate"].get("partition", 0)},"MaxUnavailable":null}}'
        why = f"Invalid value: {told}: only allowed for updateStrategy 'RollingUpdate'"
        yield Wrong("spec.updateStrategy.rollingUpdate", why)


def _mismatch(labels: Any) -> Wrong:
    told = json.dumps(labels or None, separators=(",", ":"), sort_keys=True)
    why = f"Invalid value: {told}: `selector` does not match template `labels`"
    return Wrong("spec.template.metadata.labels", why)


def _strategy(spec: _Object) -> Iterator[Wrong]:
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        yield Wrong("spec.strategy.rollingUpdate",
                    "Forbidden: may not be specified when strategy `type` is 'Recreate'")  # fmt: skip
    if strategy.get("type") not in ("Recreate", "RollingUpdate"):
        yield unsupported("spec.strategy.type", strategy.get("type"), ("Recreate", "RollingUpdate"))
    if rolling and rolling.get("maxSurge") in (0, "0%") and rolling.get("maxUnavailable") in (0, "0%"):
        yield Wrong("spec.strategy.rollingUpdate.maxUnavailable",
                    "Invalid value: 0: may not be 0 when `maxSurge` is 0")  # fmt: skip
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        yield Wrong("spec.progressDeadlineSeconds", f"Invalid value: {deadline}: must be greater than minReadySeconds")


def _pod(document: _Object) -> Iterator[Wrong]:
    yield from pod_spec(document["spec"], "spec")


def _job(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    yield from _job_spec(spec, "spec")
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if spec.get("selector") is None:
        yield Wrong("spec.selector", "Required value")
    if not selectors.selects(spec.get("selector") or {}, labels or {}) or not spec.get("selector"):
        yield _mismatch(labels)


def _job_spec(spec: _Object, path: str) -> Iterator[Wrong]:
    for field in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        if (spec.get(field) or 0) < 0:
            yield negative(f"{path}.{field}", spec[field])
    template = (spec.get("template") or {}).get("spec") or {}
    for wrong in pod_spec(template, f"{path}.template.spec", policies=("OnFailure", "Never")):
        if wrong.field.endswith(".restartPolicy"):
            always = template.get("restartPolicy") in (None, "Always")
            required = 'Required value: valid values: "OnFailure", "Never"'
            yield Wrong(wrong.field, required if always else wrong.message)
        else:
            yield wrong


def _cron_job(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    schedule = spec.get("schedule") or ""
    if not schedule:
        yield Wrong("spec.schedule", "Required value")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        yield Wrong("spec.schedule", f'Invalid value: "{schedule}": expected exactly 5 fields, found '
                    f"{len(schedule.split())}: [{schedule}]")  # fmt: skip
    yield from _job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


def _service(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    ports = spec.get("ports") or ()
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and spec.get("type") != "ExternalName":
        yield Wrong("spec.ports", "Required value")
    seen: set[Any] = set()
    for number, port in enumerate(ports):
        path = f"spec.ports[{number}]"
        yield from port_number(port.get("port"), f"{path}.port")
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            yield Wrong(f"{path}.targetPort", f"Invalid value: {target}: must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield Wrong(f"{path}.name", "Required value")
        elif port.get("name") and port["name"] in seen:
            yield Wrong(f"{path}.name", f'Duplicate value: "{port["name"]}"')
        seen.add(port.get("name"))
    if spec.get("type") not in ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"):
        yield unsupported("spec.type", spec.get("type"), ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    for value in (spec.get("selector") or {}).values():
        yield from label_value("spec.selector", value)


def _keys(document: _Object) -> Iterator[Wrong]:
    for field in ("data", "binaryData"):
        for key in document.get(field) or {}:
            if not KEY.fullmatch(key) or key in (".", ".."):
                yield Wrong(f"{field}[{key}]", f'Invalid value: "{key}": {KEY_WORDS}')
    size = sum(len(str(value)) for field in ("data", "binaryData") for value in (document.get(field) or {}).values())
    if size > 1024 * 1024 * (4 / 3 if document["kind"] == "Secret" else 1):
        yield Wrong("data" if document["kind"] == "Secret" else "", "Too long: may not be more than 1048576 bytes")


_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _secret(document: _Object) -> Iterator[Wrong]:
    yield from _keys(document)
    for key in _SECRET_KEYS.get(document.get("type", ""), ()):
        if key not in (document.get("data") or {}):
            yield Wrong(f"data[{key}]", "Required value")


def _claim(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    if not spec.get("accessModes"):
        yield Wrong("spec.accessModes", "Required value: at least 1 access mode is required")
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        yield Wrong("spec.resources[storage]", "Required value")


def _autoscaler(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    most, least = spec.get("maxReplicas") or 0, spec.get("minReplicas", 1)
    if most < 1:
        yield Wrong("spec.maxReplicas", f"Invalid value: {most}: must be greater than 0")
    if most < least:
        yield Wrong("spec.maxReplicas", f"Invalid value: {most}: must be greater than or equal to `minReplicas`")
    reference = spec["scaleTargetRef"]
    for field in ("kind", "name"):
        if not reference.get(field):
            yield Wrong(f"spec.scaleTargetRef.{field}", "Required value")
    if "/" not in (reference.get("apiVersion") or "") and reference.get("kind") != "ReplicationController":
        given = reference.get("apiVersion") or ""
        why = f'Invalid value: "{given}": apiVersion must specify API group'
        yield Wrong("spec.scaleTargetRef.apiVersion", why)


def _ingress(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield Wrong("spec", "Invalid value: null: either `defaultBackend` or `rules` must be specified")
    for number, rule in enumerate(spec.get("rules") or ()):
        for place, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            where = f"spec.rules[{number}].http.paths[{place}]"
            if not path.get("pathType"):
                yield Wrong(f"{where}.pathType", "Required value: pathType must be specified")
            elif path["pathType"] not in ("Exact", "ImplementationSpecific", "Prefix"):
                yield unsupported(f"{where}.pathType", path["pathType"], ("Exact", "ImplementationSpecific", "Prefix"))
            elif path["pathType"] != "ImplementationSpecific" and not path.get("path", "").startswith("/"):
                yield Wrong(f"{where}.path", f'Invalid value: "{path.get("path", "")}": must be an absolute path')
            yield from _backend(path.get("backend") or {}, f"{where}.backend")


def _backend(backend: _Object, path: str) -> Iterator[Wrong]:
    port = (backend.get("service") or {}).get("port") or {}
    if "resource" not in backend and not port.keys() & {"name", "number"}:
        yield Wrong(path, "Required value: port name or number is required")


def _binding(document: _Object) -> Iterator[Wrong]:
    reference, whole = document["roleRef"], document["kind"] == "ClusterRoleBinding"
    allowed = ("ClusterRole",) if whole else ("Role", "ClusterRole")
    if reference.get("kind") not in allowed:
        yield unsupported("roleRef.kind", reference.get("kind"), allowed)
    if not reference.get("name"):
        yield Wrong("roleRef.name", "Required value")
    for number, subject in enumerate(document.get("subjects") or ()):
        if not subject.get("name"):
            yield Wrong(f"subjects[{number}].name", "Required value")
        if subject.get("kind") not in _SUBJECTS:
            yield unsupported(f"subjects[{number}].kind", subject.get("kind"), _SUBJECTS)
        if whole and subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            yield Wrong(f"subjects[{number}].namespace", "Required value")


_SUBJECTS = ("ServiceAccount", "User", "Group")


_SUPPLY = "resource rules must supply at least one"


def _rules(document: _Object) -> Iterator[Wrong]:
    for number, rule in enumerate(document.get("rules") or ()):
        if not rule.get("verbs"):
            yield Wrong(f"rules[{number}].verbs", "Required value: verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            yield Wrong(f"rules[{number}].apiGroups", f"Required value: {_SUPPLY} api group")
        if not rule.get("resources"):
            yield Wrong(f"rules[{number}].resources", f"Required value: {_SUPPLY} resource")


def _budget(document: _Object) -> Iterator[Wrong]:
    if {"minAvailable", "maxUnavailable"} <= document["spec"].keys():
        yield Wrong("spec", "Invalid value: {}: minAvailable and maxUnavailable cannot be both set")


def _network_policy(document: _Object) -> Iterator[Wrong]:
    for way in ("ingress", "egress"):
        for number, rule in enumerate(document["spec"].get(way) or ()):
            for place, port in enumerate(rule.get("ports") or ()):
                found = port.get("port")
                if isinstance(found, int) and not 0 < found < 65536:
                    told = f"Invalid value: {found}: must be between 1 and 65535, inclusive"
                    yield Wrong(f"spec.{way}[{number}].ports[{place}].port", told)


def _lease(document: _Object) -> Iterator[Wrong]:
    found = (document.get("spec") or {}).get("leaseDurationSeconds")
    if found is not None and found <= 0:
        yield Wrong("spec.leaseDurationSeconds", f"Invalid value: {found}: must be greater than 0")


def _storage(document: _Object) -> Iterator[Wrong]:
    if not document.get("provisioner"):
        yield Wrong("provisioner", "Required value")


_KINDS: dict[str, Callable[[_Object], Iterator[Wrong]]] = {
    "ClusterRole": _rules,
    "ClusterRoleBinding": _binding,
    "ConfigMap": _keys,
    "CronJob": _cron_job,
    "CustomResourceDefinition": structural,
    "DaemonSet": _workload,
    "Deployment": _workload,
    "HorizontalPodAutoscaler": _autoscaler,
    "Ingress": _ingress,
    "Job": _job,
    "Lease": _lease,
    "NetworkPolicy": _network_policy,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "PodDisruptionBudget": _budget,
    "ReplicaSet": _workload,
    "Role": _rules,
    "RoleBinding": _binding,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _workload,
    "StorageClass": _storage,
}
