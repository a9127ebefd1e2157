"""A cluster that takes only what is allowed: the last check, at the place where objects are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, Cluster, Document


class _Bounded:
    def __init__(self, cluster: Cluster, check: Callable[[Document], None]) -> None:
        self._cluster = cluster
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def __str__(self) -> str:
        return str(self._cluster)

    def apply(
        self, document: Document, *, dry_run: bool = False, force: bool = False, manager: str = FIELD_MANAGER
    ) -> Document:
        self._check(document)
        return self._cluster.apply(document, dry_run=dry_run, force=force, manager=manager)

    def create(self, document: Document, *, dry_run: bool = False) -> Document:
        self._check(document)
        return self._cluster.create(document, dry_run=dry_run)

    def replace(self, document: Document) -> Document:
        self._check(document)
        return self._cluster.replace(document)


def bounded(cluster: Cluster, check: Callable[[Document], None]) -> Cluster:
    """The same cluster; `check` raises RefusedError for an object that may not be written."""
    return cast(Cluster, _Bounded(cluster, check))
