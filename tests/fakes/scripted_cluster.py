"""A cluster that plays a script: what each LIST answers, and what each watch then tells before it ends.

For faults and orders of events that neither the simulated nor the real cluster can be made to show on demand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Event, Listed, Resource

_PLURALS = {"ReplicaSet": "replicasets", "Ingress": "ingresses"}
Step = Event | Exception


class ScriptedCluster:
    """`lists` and `watches` hold, by kind, what successive calls answer; the last LIST is answered again and again."""

    def __init__(
        self,
        lists: Mapping[str, Sequence[Sequence[Document] | Exception]],
        watches: Mapping[str, Sequence[Sequence[Step]]] | None = None,
        logs: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._lists = {kind: list(answers) for kind, answers in lists.items()}
        self._watches = {kind: list(answers) for kind, answers in (watches or {}).items()}
        self._logs = logs or {}
        self._lock = threading.Lock()
        self.asked: list[str] = []  # what was called, in order

    def as_cluster(self) -> Cluster:
        return cast("Cluster", self)

    def __str__(self) -> str:
        return "cluster scripted"

    def resource(self, api_version: str, kind: str) -> Resource | None:
        group = api_version.rpartition("/")[0]
        return Resource(group, api_version.rpartition("/")[2], kind, _PLURALS.get(kind, f"{kind.lower()}s"), True)

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Listed:
        with self._lock:
            self.asked.append(f"list {resource.kind} {namespace}")
            answers = self._lists.get(resource.kind, [])
            answer: Any = () if not answers else answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Listed(tuple(answer), "1")

    def watch(
        self, resource: Resource, namespace: str | None = None, *, since: str = "", name: str = "",
        seconds: float = 60.0,
    ) -> Iterator[Event]:  # fmt: skip
        with self._lock:
            self.asked.append(f"watch {resource.kind} since {since}")
            answers = self._watches.get(resource.kind, [])
            steps = answers.pop(0) if answers else ()
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield step

    def get(self, resource: Resource, namespace: str, name: str) -> Document | None:
        with self._lock:
            self.asked.append(f"get {resource.kind} {name}")
        listed = self.list(resource, namespace).items
        return next((item for item in listed if item["metadata"]["name"] == name), None)

    def log(
        self, namespace: str, pod: str, container: str, *, lines: int = 20, previous: bool = False
    ) -> tuple[str, ...]:
        key = f"{pod}/{container}{'/previous' if previous else ''}"
        if key not in self._logs:
            raise ApiError(f"no log of {key}", status=400)
        return tuple(self._logs[key][-lines:])
