"""The Protocol `Cluster` on a file."""

from __future__ import annotations

import builtins
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, Document, Event, Listed, Question, Resource
from ci_gitops.adapters.cluster.kubernetes_errors import refusal
from ci_gitops.adapters.cluster.simulated.store import Store
from ci_gitops.core.api import selectors
from ci_gitops.core.api.refusals import RefusalError, bad_request, forbidden
from ci_gitops.core.api.schemas import Kind, recorded
from ci_gitops.core.api.server import Sender, Server, shown
from ci_gitops.core.api.state import Ref, named
from ci_gitops.core.controllers import step
from ci_gitops.core.controllers.logs import LogError, lines_of
from ci_gitops.errors import ClusterError

_LOOK_AGAIN = 0.2  # seconds: another process may have written the file


class Clock:
    """The time, and waiting for it."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Simulated:
    """A cluster in the file `path`, which is made when it is first used."""

    alive = True
    pace = 20.0

    def __init__(self, path: Path, namespace: str | None = None, *, clock: Clock | None = None) -> None:
        self._path = path
        self._store = Store(path)
        self._clock = clock or Clock()
        self._due: float | None = None
        self.namespace = namespace or "default"

    def __str__(self) -> str:
        return f"simulated cluster {self._path}"

    def close(self) -> None:
        """Nothing is kept open, and the file is left alone from now on."""
        self._store.close()

    def publish(self, message: str) -> None:
        """Everything is visible at once."""

    # What is served

    @property
    def version(self) -> str:
        return recorded().version

    @property
    def api_versions(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        with self._server() as server:
            for kind in server.kinds():
                found.update(dict.fromkeys((kind.api_version, f"{kind.api_version}/{kind.kind}")))
        return tuple(found)

    @property
    def stale(self) -> tuple[str, ...]:
        """Groups that cannot be asked now: none ever."""
        return ()

    def resource(self, api_version: str, kind: str) -> Resource | None:
        with self._server() as server:
            found = server.kind(api_version, kind)
        return _resource(found) if found else None

    def preferred(self, group: str, kind: str) -> Resource | None:
        with self._server() as server:
            found = next((each for each in server.kinds() if (each.group, each.kind) == (group, kind)), None)
        return _resource(found) if found else None

    def forget(self) -> None:
        """Kinds are known from the moment their definition is there."""

    # Reading

    def get(self, resource: Resource, namespace: str, name: str) -> Document | None:
        with self._server(_named(resource.kind, namespace, name)) as server:
            kind = self._served(server, resource)
            self._allowed("get", kind, namespace, name)
            return server.get(kind, namespace, name)

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Listed:
        fits = self._filter(labels, fields, resource.kind)
        with self._server(f"{resource.kind} objects") as server:
            kind = self._served(server, resource)
            self._allowed("list", kind, namespace or "")
            inside = namespace if kind.namespaced and namespace else None
            found = [each for each in server.state.of_kind(named(kind.group, kind.kind), inside) if fits(each)]
            found.sort(key=Ref.of)
            return Listed(tuple(shown(kind, document) for document in found), str(server.state.version))

    def watch(
        self, resource: Resource, namespace: str | None = None, *, since: str = "", name: str = "",
        seconds: float = 60.0,
    ) -> Iterator[Event]:  # fmt: skip
        end = self._clock.now() + seconds
        at: int | None = int(since) if since else None
        while True:
            with self._server(f"watching {resource.kind} objects") as server:
                events, at = self._happened(server, resource, namespace, name, at)
            yield from events
            left = end - self._clock.now()
            if left <= 0:
                return
            wait = min(left, _LOOK_AGAIN)
            if self._due is not None:
                wait = min(wait, max(0.001, self._due - self._clock.now()))
            self._clock.sleep(wait)

    def _happened(
        self, server: Server, resource: Resource, namespace: str | None, name: str, at: int | None
    ) -> tuple[builtins.list[Event], int]:
        kind = self._served(server, resource)
        self._allowed("watch", kind, namespace or "", name)
        state, wanted = server.state, named(kind.group, kind.kind)

        def fits(ref: Ref) -> bool:
            return ref.kind == wanted and namespace in (None, "", ref.namespace) and name in ("", ref.name)

        if at is None:
            there = [shown(kind, document) for document in state.of_kind(wanted) if fits(Ref.of(document))]
            return [Event("ADDED", document) for document in there], state.version
        first = server.since(kind)
        if at < first:
            old = RefusalError(410, "Expired", f"too old resource version: {at} ({first})")
            raise self._error(old, f"watching {kind.kind} objects")
        events = [Event(change.type, shown(kind, change.document)) for change in state.changes
                  if change.version > at and fits(change.ref)]  # fmt: skip
        return events, state.version

    def log(
        self, namespace: str, pod: str, container: str, *, lines: int = 20, previous: bool = False
    ) -> tuple[str, ...]:
        with self._server() as server:
            found = server.state.get(Ref("Pod", namespace, pod))
        about = f"log of {container} in Pod {namespace}/{pod}"
        if found is None:
            raise self._error(RefusalError(404, "NotFound", f'pods "{pod}" not found'), about)
        try:
            return lines_of(found, container, previous=previous)[-lines:]
        except LogError as error:
            raise self._error(bad_request(str(error)), about) from error

    def may(self, questions: Sequence[Question]) -> tuple[bool, ...]:
        """Everything but what `denied` in the file's settings names: verbs, groups, resources, namespaces."""
        with self._server():
            rules = self._store.settings.get("denied") or ()
        return tuple(not any(_covers(rule, question) for rule in rules) for question in questions)

    # Writing

    def apply(
        self, document: Document, *, dry_run: bool = False, force: bool = False, manager: str = FIELD_MANAGER
    ) -> Document:
        with self._server(_about(document, self.namespace)) as server:
            kind, namespace, name = self._place(server, document)
            self._allowed("patch", kind, namespace, name)
            return server.apply(kind, namespace, name, document, Sender(manager, dry_run), force=force)

    def create(self, document: Document, *, dry_run: bool = False) -> Document:
        with self._server(_about(document, self.namespace)) as server:
            kind, namespace, name = self._place(server, document, named_=False)
            self._allowed("create", kind, namespace, name)
            return server.create(kind, namespace, document, Sender(FIELD_MANAGER, dry_run))

    def replace(self, document: Document) -> Document:
        with self._server(_about(document, self.namespace)) as server:
            kind, namespace, name = self._place(server, document)
            self._allowed("update", kind, namespace, name)
            return server.replace(kind, namespace, document, Sender(FIELD_MANAGER))

    def patch(self, resource: Resource, namespace: str, name: str, operations: Sequence[Document]) -> Document:
        with self._server(_named(resource.kind, namespace, name)) as server:
            kind = self._served(server, resource)
            self._allowed("patch", kind, namespace, name)
            return server.patch(kind, namespace, name, operations, Sender(FIELD_MANAGER))

    def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str = "", dry_run: bool = False,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Background",
    ) -> bool:  # fmt: skip
        with self._server(_named(resource.kind, namespace, name)) as server:
            kind = self._served(server, resource)
            self._allowed("delete", kind, namespace, name)
            try:
                return server.delete(kind, namespace, name, propagation, uid=uid, dry_run=dry_run)
            except RefusalError as error:
                if error.status == 409 and uid:
                    return False
                raise

    # The file, and what is refused

    @contextmanager
    def _server(self, about: str = "") -> Iterator[Server]:
        """The server as it is by now, for us alone."""
        now = self._clock.now()
        try:
            with self._store.opened(now) as state:
                server = Server(state, now)
                self._due = step(server)
                yield server
        except RefusalError as error:
            raise self._error(error, about) from error

    def _error(self, error: RefusalError, about: str) -> Exception:
        causes = [{"field": field, "message": message} for field, message in error.causes]
        status = {"message": error.message, "reason": error.reason, "details": {"causes": causes}}
        return refusal(str(self), error.status, {}, json.dumps(status).encode(), about)

    def _served(self, server: Server, resource: Resource) -> Kind:
        found = server.kind(resource.api_version, resource.kind)
        if found is None:
            raise self._error(RefusalError(404, "NotFound", "the server could not find the requested resource"),
                              f"{resource.kind} objects")  # fmt: skip
        return found

    def _place(self, server: Server, document: Document, *, named_: bool = True) -> tuple[Kind, str, str]:
        api_version, kind_name = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
        kind = server.kind(api_version, kind_name)
        if kind is None:
            raise ClusterError(
                f"{self} knows no kind {kind_name} in {api_version}.",
                hint="Apply its CustomResourceDefinition first, or use a real cluster: the simulated one serves the "
                "kinds that docs/simulated-cluster.md lists.",
            )
        metadata = document.get("metadata") or {}
        name = str(metadata.get("name") or "")
        if named_ and not name:
            raise ClusterError(
                f"{kind_name} without a name cannot be written to {self}.", hint="Give it metadata.name."
            )
        return kind, str(metadata.get("namespace") or self.namespace) if kind.namespaced else "", name

    def _allowed(self, verb: str, kind: Kind, namespace: str, name: str = "") -> None:
        question = Question(verb, kind.group, kind.plural, namespace, name)
        if any(_covers(rule, question) for rule in self._store.settings.get("denied") or ()):
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            what = f'resource "{kind.plural}" in API group "{kind.group}"{where}'
            told = f'User "simulated" cannot {verb} {what}'
            if not name:
                raise RefusalError(403, "Forbidden", f"{kind.qualified} is forbidden: {told}")
            raise forbidden(kind, name, told)

    def _filter(self, labels: str, fields: str, kind: str) -> selectors.Match:
        try:
            by_labels, by_fields = selectors.labels(labels), selectors.fields(fields, kind)
        except ValueError as error:
            raise self._error(bad_request(str(error)), f"{kind} objects") from error
        return lambda document: by_labels(document["metadata"].get("labels") or {}) and by_fields(document)


def _covers(rule: Mapping[str, Any], question: Question) -> bool:
    """Whether a rule names what is asked; what it leaves out it means all of."""
    return all(
        value in rule.get(name, [value])
        for name, value in (("verbs", question.verb), ("groups", question.group), ("resources", question.resource),
                            ("namespaces", question.namespace))
    )  # fmt: skip


def _resource(kind: Kind) -> Resource:
    return Resource(kind.group, kind.version, kind.kind, kind.plural, kind.namespaced, kind.verbs)


def _about(document: Document, default: str) -> str:
    metadata = document.get("metadata") or {}
    return _named(str(document.get("kind")), metadata.get("namespace") or default, metadata.get("name") or "")


def _named(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
