"""What came from an object: one LIST for each kind of children and namespace, whatever number of objects asks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Resource
from ci_gitops.core.family import Node, claims_of, grow
from ci_gitops.core.health import HealthRule, assess_health
from ci_gitops.core.health.fields import group_of, text

Place = tuple[str, str]  # apiVersion and kind
_CLAIM = ("v1", "PersistentVolumeClaim")
_POD, _JOB, _SETS = ("v1", "Pod"), ("batch/v1", "Job"), ("apps/v1", "ReplicaSet")
_CHILDREN: Mapping[tuple[str, str], tuple[Place, ...]] = {
    ("apps", "DaemonSet"): (_POD,),
    ("apps", "Deployment"): (_SETS, _POD),
    ("apps", "ReplicaSet"): (_POD,),
    ("apps", "StatefulSet"): (_POD,),
    ("", "ReplicationController"): (_POD,),
    ("batch", "CronJob"): (_JOB, _POD),
    ("batch", "Job"): (_POD,),
}


class Glance:
    """A look at families that never takes longer than its bound: the server may be away just now.

    What comes later is taken at the next look.
    """

    def __init__(self, families: Families) -> None:
        self._families = families
        self._told: queue.SimpleQueue[tuple[Node, ...] | Exception] = queue.SimpleQueue()
        self._asking = False

    def at(self, documents: Iterable[Document], seconds: float) -> tuple[Node, ...] | None:
        """The trees of `documents`, or of an earlier look that was late; None where nothing came in time."""
        if not self._asking:
            self._asking = True
            asked = tuple(documents)
            threading.Thread(target=self._ask, args=(asked,), daemon=True, name="children").start()
        try:
            told = self._told.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        self._asking = False
        if isinstance(told, Exception):
            raise told
        return told

    def _ask(self, documents: tuple[Document, ...]) -> None:
        try:
            self._told.put(self._families.of(documents))
        except Exception as error:
            self._told.put(error)


class Families:
    """The children of objects as they are now; kinds that may not be read are left out and named in `unread`."""

    def __init__(
        self, cluster: Cluster, *, rules: Sequence[HealthRule] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        kinds: Callable[[Document], Sequence[Place]] | None = None,
    ) -> None:  # fmt: skip
        self._cluster = cluster
        self._rules = rules
        self._now = now
        self._kinds = kinds or child_kinds
        self.unread: set[str] = set()

    def of(self, documents: Iterable[Document]) -> tuple[Node, ...]:
        """A tree for each of them."""
        roots = tuple(documents)
        wanted = {(place, text(root, "metadata", "namespace")): None for root in roots for place in self._kinds(root)}
        pool = [document for place, namespace in wanted for document in self._list(place, namespace)]
        waiting = {namespace for pod in (*roots, *pool) if (namespace := _waits_for_claims(pod)) is not None}
        for namespace in waiting - {namespace for place, namespace in wanted if place == _CLAIM}:
            pool += self._list(_CLAIM, namespace)
        assess = partial(assess_health, rules=self._rules, now=self._now())
        return tuple(grow(root, pool, assess) for root in roots)

    def _list(self, place: Place, namespace: str) -> tuple[Document, ...]:
        resource = self._cluster.resource(*place)
        if resource is None:
            return ()
        try:
            listed = self._cluster.list(resource, namespace or None)
        except ApiError as error:
            if error.status not in (403, 404, 405):
                raise
            self.unread.add(place[1])
            return ()
        return tuple(typed(item, resource) for item in listed.items)


def _waits_for_claims(document: Document) -> str | None:
    """The namespace of a pod that is not placed and uses claims."""
    waits = text(document, "kind") == "Pod" and text(document, "status", "phase") == "Pending"
    return text(document, "metadata", "namespace") if waits and claims_of(document) else None


def child_kinds(root: Document) -> tuple[Place, ...]:
    """The kinds that the controllers of Kubernetes make of an object."""
    return _CHILDREN.get((group_of(root), text(root, "kind")), ())


def typed(item: Document, resource: Resource) -> Document:
    """An object of a list, which does not always repeat what it is."""
    return item if item.get("kind") else {"apiVersion": resource.api_version, "kind": resource.kind, **item}
