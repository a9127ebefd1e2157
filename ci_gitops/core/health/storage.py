"""Volumes and their claims."""

from __future__ import annotations

from ci_gitops.core.health.fields import Object, at, reason_of, text
from ci_gitops.core.health.records import Health, degraded, healthy, progressing, unknown

_PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")


def claim(found: Object) -> Health:
    phase = text(found, "status", "phase")
    if phase == "Bound":
        return healthy(f"Bound to volume {text(found, 'spec', 'volumeName') or '(not named)'}")
    if phase == "Lost":
        return degraded(f"Its volume {text(found, 'spec', 'volumeName')} is lost")
    if phase not in ("", "Pending"):
        return unknown(f"Its phase is {phase}, which nobody knows")
    if at(found, "status") is None:
        return progressing("The controller has not seen it yet")
    return _pending(found)


def _pending(found: Object) -> Health:
    """A claim of a class that binds late has no provisioner before a pod uses it: nothing is wrong with it."""
    annotations = at(found, "metadata", "annotations")
    provisioner = next((name for name in (text(annotations, key) for key in _PROVISIONERS) if name), None)
    if provisioner:
        return progressing(f"Waits for a volume from {provisioner}")
    volume = text(found, "spec", "volumeName")
    if volume:
        return progressing(f"Waits to be bound to volume {volume}")
    storage = text(found, "spec", "storageClassName")
    if not storage:
        return progressing("It names no storage class, there is no default one, and no volume fits it")
    return healthy(f"Waits for the first pod that uses it (storage class {storage}); no volume is being made yet")


def volume(found: Object) -> Health:
    phase = text(found, "status", "phase")
    if phase == "Failed":
        return degraded(f"The volume failed: {reason_of(at(found, 'status'), 'it does not say why')}")
    if phase in ("Available", "Bound"):
        return healthy(f"The volume is {phase.lower()}")
    if phase == "Released":
        return healthy("Its claim is gone; its data is kept until somebody takes it back")
    return progressing("The volume is not available yet") if phase in ("", "Pending") else unknown(f"Phase {phase}")
