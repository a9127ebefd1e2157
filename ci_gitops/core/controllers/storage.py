"""Claims get volumes: one that waits for them, or a new one of the cluster's own storage class."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ci_gitops.core.api import quantities
from ci_gitops.core.api.state import Document, Ref
from ci_gitops.core.controllers.hands import Hands

_PROTECTION = "kubernetes.io/pvc-protection"
_COMPONENT = "persistentvolume-controller"


def run(hands: Hands) -> None:
    for volume in hands.all("PersistentVolume"):
        if volume["status"].get("phase") == "Pending":
            hands.status(volume, {"phase": "Available", "lastPhaseTransitionTime": hands.time})
        elif volume["status"].get("phase") == "Bound":
            _release(hands, volume)
    for claim in hands.all("PersistentVolumeClaim"):
        if _PROTECTION not in claim["metadata"].get("finalizers", ()):
            metadata = {**claim["metadata"], "finalizers": [*claim["metadata"].get("finalizers", ()), _PROTECTION]}
            claim = hands.state.put({**claim, "metadata": metadata}, hands.now)
        if claim["status"].get("phase") == "Pending":
            _bind(hands, claim)


def _release(hands: Hands, volume: Document) -> None:
    """Its claim may be gone."""
    claim = volume["spec"].get("claimRef") or {}
    live = hands.state.get(Ref("PersistentVolumeClaim", claim.get("namespace", ""), claim.get("name", "")))
    if live is not None and live["metadata"]["uid"] == claim.get("uid"):
        return
    hands.status(volume, {"phase": "Released", "lastPhaseTransitionTime": hands.time})
    if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        hands.delete(volume)


def _bind(hands: Hands, claim: Document) -> None:
    volume = _waiting(hands, claim) or _made(hands, claim)
    if volume is None:
        return
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim["metadata"]["name"],
                 "namespace": claim["metadata"]["namespace"], "uid": claim["metadata"]["uid"]}  # fmt: skip
    volume = hands.replace({**volume, "spec": {**volume["spec"], "claimRef": reference}})
    hands.status(volume, {"phase": "Bound", "lastPhaseTransitionTime": hands.time})
    bound = copy.deepcopy(claim)
    bound["spec"]["volumeName"] = volume["metadata"]["name"]
    bound["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bind-completed"] = "yes"
    bound = hands.replace(bound)
    capacity, modes = volume["spec"]["capacity"], volume["spec"]["accessModes"]
    hands.status(bound, {"phase": "Bound", "accessModes": modes, "capacity": capacity})


def _waiting(hands: Hands, claim: Document) -> Document | None:
    """A volume that fits and that nobody has."""
    spec = claim["spec"]
    wanted = quantities.value(spec["resources"]["requests"]["storage"])
    fitting = [
        volume for volume in hands.all("PersistentVolume")
        if volume["status"].get("phase") == "Available" and not volume["spec"].get("claimRef")
        and volume["spec"].get("storageClassName", "") == spec.get("storageClassName", "")
        and set(spec["accessModes"]) <= set(volume["spec"].get("accessModes", ()))
        and quantities.value(volume["spec"].get("capacity", {}).get("storage", "0")) >= wanted
        and spec.get("volumeName", volume["metadata"]["name"]) == volume["metadata"]["name"]
    ]  # fmt: skip
    return min(fitting, key=lambda found: quantities.value(found["spec"]["capacity"]["storage"]), default=None)


def _made(hands: Hands, claim: Document) -> Document | None:
    name = claim["spec"].get("storageClassName", "")
    storage = hands.state.get(Ref("StorageClass.storage.k8s.io", "", name)) if name else None
    if storage is None:
        if name:
            missing = f'storageclass.storage.k8s.io "{name}" not found'
            hands.event(claim, "Warning", "ProvisioningFailed", missing, _COMPONENT)
        else:
            why = "no persistent volumes available for this claim and no storage class is set"
            hands.event(claim, "Normal", "FailedBinding", why, _COMPONENT)
        return None
    if storage["volumeBindingMode"] == "WaitForFirstConsumer" and not _is_used(hands, claim):
        why = "waiting for first consumer to be created before binding"
        hands.event(claim, "Normal", "WaitForFirstConsumer", why, _COMPONENT)
        return None
    if storage["provisioner"] != "simulated":
        why = (f"Waiting for a volume to be created either by the external provisioner '{storage['provisioner']}' or "
               "manually by the system administrator.")  # fmt: skip
        hands.event(claim, "Normal", "ExternalProvisioning", why, _COMPONENT)
        return None
    return hands.create(_volume(claim, storage))


def _volume(claim: Document, storage: Mapping[str, Any]) -> Document:
    spec = claim["spec"]
    return {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"pvc-{claim['metadata']['uid']}"},
        "spec": {
            "accessModes": list(spec["accessModes"]), "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "storageClassName": storage["metadata"]["name"], "volumeMode": spec.get("volumeMode", "Filesystem"),
            "persistentVolumeReclaimPolicy": storage["reclaimPolicy"], "hostPath": {"path": "/simulated"},
        },
    }  # fmt: skip


def _is_used(hands: Hands, claim: Document) -> bool:
    name = claim["metadata"]["name"]
    return any(
        (volume.get("persistentVolumeClaim") or {}).get("claimName") == name
        for pod in hands.all("Pod", claim["metadata"]["namespace"])
        for volume in pod["spec"].get("volumes", ())
    )
