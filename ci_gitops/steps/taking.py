"""Apply an object whose fields older writers hold: they are given to us first, so that what leaves Git goes."""

from __future__ import annotations

from collections.abc import Collection

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, ApiError, Cluster, Document, Resource
from ci_gitops.core.migration import migration, outdated

_TRIES = 3


def apply_over(
    cluster: Cluster, resource: Resource, live: Document, document: Document, *, force: bool, adopted: bool
) -> Document:
    """`live` is what is there now. `adopted`: nobody owned it, so that what kubectl's managers hold becomes ours."""
    if adopted:
        _move(cluster, resource, live, cluster.api_versions)
    try:
        return cluster.apply(document, force=force)
    except ApiError as error:
        if not outdated(error.message):
            raise
        _move(cluster, resource, live, ())
        return cluster.apply(document, force=force)


def _move(cluster: Cluster, resource: Resource, live: Document | None, served: Collection[str]) -> None:
    """One patch, which holds only for the object as it was read; read again where somebody was first."""
    for attempt in range(1, _TRIES + 1):
        found = live and migration(live, FIELD_MANAGER, served=served)
        if not live or not found:
            return
        metadata = live["metadata"]
        place = resource, str(metadata.get("namespace") or ""), str(metadata["name"])
        try:
            cluster.patch(*place, found.operations)
            return
        except ApiError as error:
            if error.status != 409 or attempt == _TRIES:
                raise
            live = cluster.get(*place)
