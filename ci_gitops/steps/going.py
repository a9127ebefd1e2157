"""Waiting until an object that was deleted is gone, by its UID: one that was made anew meanwhile is another one."""

from __future__ import annotations

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Resource
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.inventory import Key, uid_of
from ci_gitops.core.records import Failure
from ci_gitops.steps.undertaking import BrokenError

_WINDOW = 10.0  # seconds of one watch
_TOO_OLD = 410


def await_gone(cluster: Cluster, resource: Resource, document: Document, deadline: Deadline) -> None:
    """BrokenError names the finalizers that keep it, where it is still there at the deadline."""
    key, uid = Key.of(document), uid_of(document)
    while True:
        live = cluster.get(resource, key.namespace, key.name)
        if live is None or uid_of(live) != uid:
            return
        if deadline.over:
            raise BrokenError(Failure("trouble", _stuck(key, live), str(key)))
        if cluster.alive:
            _watch(cluster, resource, key, live, min(deadline.left(), _WINDOW))


def _watch(cluster: Cluster, resource: Resource, key: Key, live: Document, seconds: float) -> None:
    """Until it goes, or for so long."""
    version = str((live.get("metadata") or {}).get("resourceVersion") or "")
    try:
        for event in cluster.watch(resource, key.namespace or None, since=version, name=key.name, seconds=seconds):
            if event.type == "DELETED":
                return
    except ApiError as error:
        if error.status != _TOO_OLD:
            raise


def _stuck(key: Key, live: Document) -> str:
    metadata = live.get("metadata") or {}
    finalizers = ", ".join(map(str, metadata.get("finalizers") or ()))
    waits = f" It waits for the finalizers {finalizers}: is their controller running?" if finalizers else ""
    return f"{key} is being deleted and is still there.{waits}"
