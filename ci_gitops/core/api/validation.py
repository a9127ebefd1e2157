"""Whether an object may be as it is: names, what is required, what fits together. The server's words.

The kinds that applications are made of are judged as closely as their mistakes are common
(https://github.com/kubernetes/kubernetes/tree/master/pkg/apis: `validation.go` of each group).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ci_gitops.core.api import definitions, quantities, selectors
from ci_gitops.core.api.changes import forbidden_changes, new_finalizers
from ci_gitops.core.api.refusals import Wrong
from ci_gitops.core.api.schemas import Kind, Schema
from ci_gitops.core.api.structural import structural

_Object = Mapping[str, Any]
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_FREE_NAMES = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def problems(kind: Kind, document: _Object, live: _Object | None) -> list[Wrong]:
    """What is wrong with an object that is to be kept in the place of `live`."""
    found = list(_metadata(kind, document))
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
        yield _unsupported(path, value, schema.raw["enum"])


# What all objects have


def _metadata(kind: Kind, document: _Object) -> Iterator[Wrong]:
    metadata = document["metadata"]
    yield from _name(kind, metadata["name"])
    for name in metadata.get("labels") or {}:
        yield from _qualified("metadata.labels", name)
    for value in (metadata.get("labels") or {}).values():
        yield from _label_value("metadata.labels", value)
    for name in metadata.get("annotations") or {}:
        yield from _qualified("metadata.annotations", name.lower())
    size = sum(len(str(name)) + len(str(value)) for name, value in (metadata.get("annotations") or {}).items())
    if size > 256 * 1024:
        yield Wrong("metadata.annotations", "Too long: may not be more than 262144 bytes")
    for name in metadata.get("finalizers") or ():
        yield from _qualified("metadata.finalizers", name)


def _name(kind: Kind, name: str) -> Iterator[Wrong]:
    pattern, words, longest = _SUBDOMAIN, _SUBDOMAIN_WORDS, 253
    if not kind.custom and kind.kind in _FREE_NAMES:
        if "/" in name or "%" in name or name in (".", ".."):
            yield Wrong("metadata.name", f"Invalid value: \"{name}\": may not contain '/'")
        return
    if not kind.custom and kind.kind == "Namespace":
        pattern, words, longest = _LABEL, _LABEL_WORDS, 63
    elif not kind.custom and kind.kind == "Service":
        pattern, words, longest = _LABEL_1035, _LABEL_1035_WORDS, 63
    if len(name) > longest:
        yield Wrong("metadata.name", f'Invalid value: "{name}": must be no more than {longest} characters')
    if not pattern.fullmatch(name):
        yield Wrong("metadata.name", f'Invalid value: "{name}": {words}')


def _qualified(field: str, name: str) -> Iterator[Wrong]:
    prefix, slash, rest = name.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        yield Wrong(field, f'Invalid value: "{name}": prefix part {_SUBDOMAIN_WORDS}')
    if len(rest) > 63:
        yield Wrong(field, f'Invalid value: "{name}": name part must be no more than 63 bytes')
    if not _QUALIFIED.fullmatch(rest):
        yield Wrong(field, f'Invalid value: "{name}": {_QUALIFIED_WORDS}')


def _label_value(field: str, value: str) -> Iterator[Wrong]:
    if len(value) > 63:
        yield Wrong(field, f'Invalid value: "{value}": must be no more than 63 bytes')
    if not _VALUE.fullmatch(value):
        yield Wrong(field, f'Invalid value: "{value}": {_VALUE_WORDS}')


# Pods


_POLICIES = ("Always", "OnFailure", "Never")


def pod_spec(
    spec: _Object, path: str, *, policies: tuple[str, ...] = _POLICIES, claims: Iterable[str] = ()
) -> Iterator[Wrong]:
    volumes: set[Any] = set(claims)
    for number, volume in enumerate(spec.get("volumes") or ()):
        wrong = list(_volume(volume, f"{path}.volumes[{number}]"))
        yield from wrong
        if not wrong:
            volumes.add(volume.get("name"))
    if not spec.get("containers"):
        yield Wrong(f"{path}.containers", "Required value")
    seen: set[str] = set()
    for field in ("containers", "initContainers"):
        for number, container in enumerate(spec.get(field) or ()):
            yield from _container(container, f"{path}.{field}[{number}]", volumes)
            name = container.get("name")
            if name and name in seen:
                yield Wrong(f"{path}.{field}[{number}].name", f'Duplicate value: "{name}"')
            seen.add(name)
    policy = spec.get("restartPolicy")
    if policy not in policies:
        yield _unsupported(f"{path}.restartPolicy", policy, policies)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield _negative(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])


#: In the order in which servers look at them.
_VOLUMES = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "flocker", "downwardAPI", "fc", "flexVolume",
    "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos",
    "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip
_NAMED_VOLUMES = (("secret", "secretName"), ("configMap", "name"), ("persistentVolumeClaim", "claimName"),
                  ("hostPath", "path"))  # fmt: skip
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def _volume(volume: _Object, path: str) -> Iterator[Wrong]:
    yield from _dns_label(volume.get("name"), f"{path}.name")
    given = [name for name in _VOLUMES if name in volume]
    for name in given[1:]:
        yield Wrong(f"{path}.{name}", "Forbidden: may not specify more than 1 volume type")
    for name, field in _NAMED_VOLUMES:
        if given[:1] == [name] and not volume[name].get(field):
            yield Wrong(f"{path}.{name}.{field}", "Required value")


def _container(container: _Object, path: str, volumes: set[Any]) -> Iterator[Wrong]:
    yield from _dns_label(container.get("name"), f"{path}.name")
    if not container.get("image"):
        yield Wrong(f"{path}.image", "Required value")
    elif container["image"] != container["image"].strip():
        told = f'Invalid value: "{container["image"]}": must not have leading or trailing whitespace'
        yield Wrong(f"{path}.image", told)
    yield from _ports(container, path)
    for number, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield Wrong(f"{path}.env[{number}].name", "Required value")
        if variable.get("value") and variable.get("valueFrom"):
            told = 'Invalid value: "": may not be specified when `value` is not empty'
            yield Wrong(f"{path}.env[{number}].valueFrom", told)
    for number, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            yield Wrong(f"{path}.volumeMounts[{number}].name", f'Not found: "{mount.get("name")}"')
        if not mount.get("mountPath"):
            yield Wrong(f"{path}.volumeMounts[{number}].mountPath", "Required value")
    for field in _PROBES:
        if field in container:
            yield from _handler(container[field], f"{path}.{field}")
    yield from _resources(container.get("resources") or {}, f"{path}.resources")


def _ports(container: _Object, path: str) -> Iterator[Wrong]:
    names: set[str] = set()
    for number, port in enumerate(container.get("ports") or ()):
        where = f"{path}.ports[{number}]"
        name = port.get("name")
        if name and name in names:
            yield Wrong(f"{where}.name", f'Duplicate value: "{name}"')
        names.add(name or "")
        yield from _port(port.get("containerPort"), f"{where}.containerPort")
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            yield _unsupported(f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))


def _handler(probe: _Object, path: str) -> Iterator[Wrong]:
    given = [name for name in _HANDLERS if name in probe]
    if not given:
        yield Wrong(path, "Required value: must specify a handler type")
    for name in given[1:]:
        yield Wrong(f"{path}.{name}", "Forbidden: may not specify more than 1 handler type")


def _resources(resources: _Object, path: str) -> Iterator[Wrong]:
    limits = resources.get("limits") or {}
    for name, wanted in (resources.get("requests") or {}).items():
        if name in limits and quantities.value(wanted) > quantities.value(limits[name]):
            yield Wrong(f"{path}.requests", f'Invalid value: "{wanted}": must be less than or equal to {name} limit of '
                        f"{limits[name]}")  # fmt: skip
    for field in ("limits", "requests"):
        for name, given in (resources.get(field) or {}).items():
            if quantities.value(given) < 0:
                yield Wrong(f"{path}.{field}[{name}]", f'Invalid value: "{given}": must be greater than or equal to 0')


def _dns_label(name: Any, path: str) -> Iterator[Wrong]:
    if not name:
        yield Wrong(path, "Required value")
    elif len(name) > 63:
        yield Wrong(path, f'Invalid value: "{name}": must be no more than 63 bytes')
    elif not _LABEL.fullmatch(name):
        yield Wrong(path, f'Invalid value: "{name}": {_LABEL_WORDS}')


def _port(number: Any, path: str) -> Iterator[Wrong]:
    if not isinstance(number, int) or not 0 < number < 65536:
        if number in (None, 0):
            yield Wrong(path, "Required value")
        else:
            yield Wrong(path, f"Invalid value: {number}: must be between 1 and 65535, inclusive")


def _negative(path: str, number: Any) -> Wrong:
    return Wrong(path, f"Invalid value: {number}: must be greater than or equal to 0")


def _unsupported(path: str, found: Any, allowed: Iterable[str]) -> Wrong:
    told = ", ".join(f'"{each}"' for each in allowed)
    return Wrong(path, f'Unsupported value: "{found}": supported values: {told}')


# Kinds


def _workload(document: _Object) -> Iterator[Wrong]:
    spec = document["spec"]
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if (spec.get(field) or 0) < 0:
            yield _negative(f"spec.{field}", spec[field])
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
        yield from _label_value("spec.template.metadata.labels", value)
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
        yield _unsupported("spec.strategy.type", strategy.get("type"), ("Recreate", "RollingUpdate"))
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
            yield _negative(f"{path}.{field}", spec[field])
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
        yield from _port(port.get("port"), f"{path}.port")
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            yield Wrong(f"{path}.targetPort", f"Invalid value: {target}: must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield Wrong(f"{path}.name", "Required value")
        elif port.get("name") and port["name"] in seen:
            yield Wrong(f"{path}.name", f'Duplicate value: "{port["name"]}"')
        seen.add(port.get("name"))
    if spec.get("type") not in ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"):
        yield _unsupported("spec.type", spec.get("type"), ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    for value in (spec.get("selector") or {}).values():
        yield from _label_value("spec.selector", value)


def _keys(document: _Object) -> Iterator[Wrong]:
    for field in ("data", "binaryData"):
        for key in document.get(field) or {}:
            if not _KEY.fullmatch(key) or key in (".", ".."):
                yield Wrong(f"{field}[{key}]", f'Invalid value: "{key}": {_KEY_WORDS}')
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
    for field in ("kind", "name"):
        if not spec["scaleTargetRef"].get(field):
            yield Wrong(f"spec.scaleTargetRef.{field}", "Required value")


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
                yield _unsupported(f"{where}.pathType", path["pathType"], ("Exact", "ImplementationSpecific", "Prefix"))
            elif path["pathType"] != "ImplementationSpecific" and not path.get("path", "").startswith("/"):
                yield Wrong(f"{where}.path", f'Invalid value: "{path.get("path", "")}": must be an absolute path')


def _binding(document: _Object) -> Iterator[Wrong]:
    reference = document["roleRef"]
    allowed = ("ClusterRole",) if document["kind"] == "ClusterRoleBinding" else ("ClusterRole", "Role")
    if reference.get("kind") not in allowed:
        yield _unsupported("roleRef.kind", reference.get("kind"), allowed)
    if not reference.get("name"):
        yield Wrong("roleRef.name", "Required value")
    for number, subject in enumerate(document.get("subjects") or ()):
        if not subject.get("name"):
            yield Wrong(f"subjects[{number}].name", "Required value")
        whole = document["kind"] == "ClusterRoleBinding"
        if whole and subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            yield Wrong(f"subjects[{number}].namespace", "Required value")


_KINDS: dict[str, Callable[[_Object], Iterator[Wrong]]] = {
    "ClusterRoleBinding": _binding,
    "ConfigMap": _keys,
    "CronJob": _cron_job,
    "CustomResourceDefinition": structural,
    "DaemonSet": _workload,
    "Deployment": _workload,
    "HorizontalPodAutoscaler": _autoscaler,
    "Ingress": _ingress,
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "ReplicaSet": _workload,
    "RoleBinding": _binding,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _workload,
}
