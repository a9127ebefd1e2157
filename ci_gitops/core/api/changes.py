"""What may not change in an object that is there already. The server's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ci_gitops.core.api.refusals import Wrong
from ci_gitops.core.fieldsets import same

_Object = Mapping[str, Any]
_IMMUTABLE = "field is immutable"
_SET = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "minReadySeconds")  # fmt: skip


def forbidden_changes(kind: str, new: _Object, old: _Object) -> list[Wrong]:
    judge = _KINDS.get(kind)
    return list(judge(new, old)) if judge else []


def new_finalizers(new: _Object, old: _Object) -> Iterator[Wrong]:
    """What is going takes no finalizer more."""
    if not old["metadata"].get("deletionTimestamp"):
        return
    before = old["metadata"].get("finalizers") or ()
    added = [name for name in new["metadata"].get("finalizers") or () if name not in before]
    if added:
        told = "[]string{" + ", ".join(f'"{name}"' for name in added) + "}"
        why = f"no new finalizers can be added if the object is being deleted, found new finalizers {told}"
        yield Wrong("metadata.finalizers", f"Forbidden: {why}")


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _but(found: _Object, names: Collection[str]) -> dict[str, Any]:
    """All fields but these."""
    return {name: value for name, value in found.items() if name not in names}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _fixed(*paths: str) -> Callable[[_Object, _Object], Iterator[Wrong]]:
    def judge(new: _Object, old: _Object) -> Iterator[Wrong]:
        for path in paths:
            if not same(_at(new, path), _at(old, path)):
                yield Wrong(path, f"Invalid value: {_shown(_at(new, path))}: {_IMMUTABLE}")

    return judge


def _stateful_set(new: _Object, old: _Object) -> Iterator[Wrong]:
    if not same(_but(old["spec"], _SET), _but(new["spec"], _SET)):
        allowed = ", ".join(f"'{name}'" for name in _SET[:-1]) + f" and '{_SET[-1]}'"
        yield Wrong("spec", f"Forbidden: updates to statefulset spec for fields other than {allowed} are forbidden")


def _job(new: _Object, old: _Object) -> Iterator[Wrong]:
    fixed = ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    if new["spec"].get("completionMode") != "Indexed":
        fixed.append("completions")
    waits = old["spec"].get("suspend") and not (old.get("status") or {}).get("startTime")
    if not waits or not same(_unscheduled(new), _unscheduled(old)):
        fixed.append("template")
    yield from _fixed(*(f"spec.{name}" for name in fixed))(new, old)


def _unscheduled(job: _Object) -> Any:
    """The template without what may change while the job is suspended."""
    template = job["spec"]["template"]
    spec = {name: value for name, value in template["spec"].items() if name not in ("nodeSelector", "tolerations")}
    return {"metadata": {"labels": (template.get("metadata") or {}).get("labels")}, "spec": spec}


def _claim(new: _Object, old: _Object) -> Iterator[Wrong]:
    def fixed(claim: _Object) -> Any:
        spec = {name: value for name, value in claim["spec"].items() if name != "volumeAttributesClassName"}
        if (old.get("status") or {}).get("phase") != "Bound":
            return spec
        resources = {name: value for name, value in (spec.get("resources") or {}).items() if name != "requests"}
        return {**spec, "resources": resources}

    if not old["spec"].get("volumeName") and new["spec"].get("volumeName"):
        return  # it is bound now
    if not same(fixed(new), fixed(old)):
        yield Wrong(
            "spec",
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims",
        )


def _volume(new: _Object, old: _Object) -> Iterator[Wrong]:
    changing = {"accessModes", "capacity", "claimRef", "mountOptions", "persistentVolumeReclaimPolicy",
                "storageClassName", "volumeMode", "nodeAffinity", "volumeAttributesClassName"}  # fmt: skip
    before, after = (
        {name: value for name, value in each["spec"].items() if name not in changing} for each in (old, new)
    )
    if not same(before, after):
        field = "spec.persistentvolumesource"
        yield Wrong(field, f"Forbidden: {field} is immutable after creation")


def _service(new: _Object, old: _Object) -> Iterator[Wrong]:
    before, after = old["spec"], new["spec"]
    if "ExternalName" in (before.get("type"), after.get("type")):
        return
    if before.get("clusterIP") and before.get("clusterIP") != after.get("clusterIP"):
        yield Wrong("spec.clusterIPs[0]", f"Invalid value: {_shown([after.get('clusterIP')])}: may not change once set")


def _data(new: _Object, old: _Object) -> Iterator[Wrong]:
    if old.get("immutable"):
        for field in ("immutable", "data", "binaryData"):
            if not same(new.get(field), old.get(field)):
                yield Wrong(field, "Forbidden: field is immutable when `immutable` is set")


def _secret(new: _Object, old: _Object) -> Iterator[Wrong]:
    yield from _fixed("type")(new, old)
    yield from _data(new, old)


def _binding(new: _Object, old: _Object) -> Iterator[Wrong]:
    if not same(new["roleRef"], old["roleRef"]):
        shown = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}
        told = _shown({name: new["roleRef"].get(field) for name, field in shown.items()})
        yield Wrong("roleRef", f"Invalid value: {told}: cannot change roleRef")


def _storage(new: _Object, old: _Object) -> Iterator[Wrong]:
    for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        if not same(new.get(field), old.get(field)):
            yield Wrong(field, f"Forbidden: updates to {field} are forbidden.")


def _priority(new: _Object, old: _Object) -> Iterator[Wrong]:
    for field in ("value", "preemptionPolicy"):
        if not same(new.get(field), old.get(field)):
            yield Wrong(field, "Forbidden: may not be changed in an update.")


_POD = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")
_POD_WORDS = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _pod(new: _Object, old: _Object) -> Iterator[Wrong]:
    def fixed(pod: _Object) -> Any:
        spec = _but(pod["spec"], _POD)
        for field in ("containers", "initContainers"):
            spec[field] = [_but(each, ("image",)) for each in spec.get(field, ())]
        return spec

    if not same(fixed(new), fixed(old)):
        yield Wrong("spec", _POD_WORDS)


_KINDS: dict[str, Callable[[_Object, _Object], Iterator[Wrong]]] = {
    "ClusterRoleBinding": _binding,
    "ConfigMap": _data,
    "CustomResourceDefinition": _fixed("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"),
    "DaemonSet": _fixed("spec.selector"),
    "Deployment": _fixed("spec.selector"),
    "IngressClass": _fixed("spec.controller"),
    "Job": _job,
    "PersistentVolume": _volume,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "PriorityClass": _priority,
    "ReplicaSet": _fixed("spec.selector"),
    "RoleBinding": _binding,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _stateful_set,
    "StorageClass": _storage,
}
