"""Objects as they are and as they change: one LIST and one watch for each kind and namespace, in threads.

A watch that the server ends goes on where it was; where its place is too old, or the server was away, the objects are
listed again. Where an account may not list or watch, its objects are read one by one every few seconds.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Resource
from ci_gitops.adapters.patience import LONGEST_IN_ALL
from ci_gitops.core.inventory import Key
from ci_gitops.errors import ClusterError, TemporaryError
from ci_gitops.steps.families import typed

_WINDOW = 10.0  # seconds of one watch: a thread that is no longer needed ends at the latest then
PAUSE = 1.0  # before the server is asked again after trouble, or a watch that brought nothing
_READ_AGAIN = 3  # pauses between two reads, where watching is not allowed
_GONE, _NOT_ALLOWED = 410, (403, 405)


@dataclass(frozen=True, slots=True)
class Change:
    """An object as it is now; None where it is not there. `last` is how it was when it went."""

    key: Key
    document: Document | None
    last: Document | None = None


@dataclass(frozen=True, slots=True)
class _Group:
    resource: Resource
    namespace: str | None
    keys: frozenset[Key]

    @property
    def name(self) -> str:
        """Of the only object, where there is one alone."""
        return next(iter(self.keys)).name if len(self.keys) == 1 else ""


class Lookout:
    """Use as a context manager; threads end by themselves soon after it."""

    def __init__(
        self, cluster: Cluster, documents: Iterable[Document], *,
        clock: Callable[[], float] = time.monotonic, pause: float = PAUSE,
    ) -> None:  # fmt: skip
        self._cluster = cluster
        self._clock = clock
        self._pause = pause
        self._groups = tuple(_grouped(cluster, documents))
        self._told: queue.SimpleQueue[Change | Exception] = queue.SimpleQueue()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        for group in self._groups:
            threading.Thread(target=self._run, args=(group,), daemon=True, name=f"watch {group.resource.kind}").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def changes(self, seconds: float) -> list[Change]:
        """What happened, waiting for the first of it at most `seconds`; the trouble of a watch is raised."""
        found: list[Change] = []
        try:
            told = self._told.get(timeout=max(0.0, seconds))
            while True:
                if isinstance(told, Exception):
                    raise told
                found.append(told)
                told = self._told.get_nowait()
        except queue.Empty:
            return found

    def _run(self, group: _Group) -> None:
        try:
            self._follow(group)
        except Exception as error:
            self._told.put(error)

    def _follow(self, group: _Group) -> None:
        version, trouble = "", None
        while not self._over.is_set():
            try:
                version = version or self._list(group)
                trouble = None
                version = self._watch(group, version)
            except ApiError as error:
                if error.status in _NOT_ALLOWED:
                    return self._read(group)
                if error.status != _GONE:
                    raise
                version = ""
            except TemporaryError:
                now = self._clock()
                trouble = now if trouble is None else trouble
                if now - trouble > LONGEST_IN_ALL:
                    raise
                version = ""
                self._over.wait(self._pause)
        return None

    def _list(self, group: _Group) -> str:
        fields = f"metadata.name={group.name}" if group.name else ""
        listed = self._cluster.list(group.resource, group.namespace, fields=fields)
        there = {Key.of(document): document for document in (typed(item, group.resource) for item in listed.items)}
        for key in group.keys:
            self._told.put(Change(key, there.get(key)))
        return listed.resource_version

    def _watch(self, group: _Group, version: str) -> str:
        before = version
        for event in self._cluster.watch(
            group.resource, group.namespace, since=version, name=group.name, seconds=_WINDOW
        ):
            document = typed(event.document, group.resource)
            version = str((document.get("metadata") or {}).get("resourceVersion") or version)
            key = Key.of(document)
            if key in group.keys:
                gone = event.type == "DELETED"
                self._told.put(Change(key, None if gone else document, document if gone else None))
            if self._over.is_set():
                return version
        if version == before:
            self._over.wait(self._pause)
        return version

    def _read(self, group: _Group) -> None:
        while not self._over.is_set():
            for key in group.keys:
                found = self._cluster.get(group.resource, key.namespace, key.name)
                self._told.put(Change(key, typed(found, group.resource) if found else None))
            self._over.wait(self._pause * _READ_AGAIN)


def _grouped(cluster: Cluster, documents: Iterable[Document]) -> Iterator[_Group]:
    found: dict[tuple[str, str, str], set[Key]] = {}
    for document in documents:
        key = Key.of(document)
        found.setdefault((str(document["apiVersion"]), key.kind, key.namespace), set()).add(key)
    for (api_version, kind, namespace), keys in found.items():
        resource = cluster.resource(api_version, kind)
        if resource is None:
            raise ClusterError(f"{cluster} no longer knows the kind {kind} in {api_version}, which is waited for.")
        yield _Group(resource, namespace or None, frozenset(keys))
