"""Whether a pod's specification may be as it is. The server's words.

https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ci_gitops.core.api import quantities
from ci_gitops.core.api.names import dns_label, negative, port_number, unsupported
from ci_gitops.core.api.refusals import Wrong

_Object = Mapping[str, Any]
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
        yield unsupported(f"{path}.restartPolicy", policy, policies)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield negative(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])


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
    yield from dns_label(volume.get("name"), f"{path}.name")
    given = [name for name in _VOLUMES if name in volume]
    for name in given[1:]:
        yield Wrong(f"{path}.{name}", "Forbidden: may not specify more than 1 volume type")
    for name, field in _NAMED_VOLUMES:
        if given[:1] == [name] and not volume[name].get(field):
            yield Wrong(f"{path}.{name}.{field}", "Required value")


def _container(container: _Object, path: str, volumes: set[Any]) -> Iterator[Wrong]:
    yield from dns_label(container.get("name"), f"{path}.name")
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
        yield from port_number(port.get("containerPort"), f"{where}.containerPort")
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            yield unsupported(f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))


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
