"""A Kubernetes cluster, written by server-side apply.

The kubernetes package brings kubeconfig, in-cluster and provider authentication; requests and answers are plain JSON,
never its generated models.
"""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Literal, cast

from ci_gitops.adapters.cluster.base import (
    FIELD_MANAGER,
    ApiError,
    Document,
    Event,
    Listed,
    Question,
    Resource,
)
from ci_gitops.adapters.cluster.discovery import AGGREGATED, Catalogue, aggregated, group_versions, legacy
from ci_gitops.adapters.cluster.kubeconfig import Access
from ci_gitops.adapters.cluster.kubernetes_errors import absent
from ci_gitops.adapters.cluster.kubernetes_http import JSON, SILENCE, BrokenError, Connection, Request
from ci_gitops.adapters.cluster.kubernetes_login import Login
from ci_gitops.adapters.patience import LONGEST_IN_ALL, TRIES
from ci_gitops.core.fieldsets import same
from ci_gitops.errors import ClusterError, TemporaryError

__all__ = ["FIELD_MANAGER", "Access", "Kubernetes"]

_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_PAGE = 500
_SIDE_BY_SIDE = 4
_ROUND = 30  # seconds of one watch request, so that a dead connection is noticed in 35
_LONGEST_LOG = 1024 * 1024
_SERVERS_OWN = ("managedFields", "resourceVersion", "generation")
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def preload() -> None:
    """Import what a cluster needs, beside something that waits: the package takes a fifth of a second."""
    import kubernetes.client
    import kubernetes.config.kube_config  # noqa: F401


class Kubernetes:
    """The Protocol `Cluster` on a real API server."""

    alive = True
    pace = 1.0

    def __init__(
        self, access: Access, namespace: str | None, *, tell: Callable[[str], None] = lambda _: None,
        wait: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic,
        silence: float = SILENCE, patience: float = LONGEST_IN_ALL,
    ) -> None:  # fmt: skip
        login = Login(access)
        self._connection = Connection(login, tell=tell, wait=wait, clock=clock, silence=silence, patience=patience)
        self._clock, self._wait = clock, wait
        self._lock = Lock()
        self._catalogue: Catalogue | None = None
        self.namespace = namespace or login.namespace

    def __str__(self) -> str:
        return self._connection.name

    def close(self) -> None:
        """Give up the connections that wait for the next request."""
        self._connection.close()

    def publish(self, message: str) -> None:
        """Everything is visible at once."""

    # What is served

    @property
    def version(self) -> str:
        return str(self._json("GET", "/version")["gitVersion"])

    @property
    def api_versions(self) -> tuple[str, ...]:
        return self._known().api_versions

    @property
    def stale(self) -> tuple[str, ...]:
        return self._known().stale

    def resource(self, api_version: str, kind: str) -> Resource | None:
        known = self._known()
        found = known.find(api_version, kind)
        if found is None and api_version in known.stale:
            raise self._unknown(api_version, kind)
        return found

    def preferred(self, group: str, kind: str) -> Resource | None:
        known = self._known()
        found = known.preferred(group, kind)
        if found is None and any(stale.rpartition("/")[0] == group for stale in known.stale):
            raise self._unknown(group, kind)
        return found

    def forget(self) -> None:
        self._catalogue = None

    def _unknown(self, group: str, kind: str) -> TemporaryError:
        return TemporaryError(
            f"{self} cannot say now whether there is a kind {kind} in {group}: the server of that group is away.",
            hint="`kubectl get apiservices` names it.",
        )

    def _known(self) -> Catalogue:
        with self._lock:
            if self._catalogue is None:
                self._catalogue = Catalogue(self._discovered())
            return self._catalogue

    def _discovered(self) -> tuple[Any, ...]:
        with ThreadPoolExecutor(2) as pool:
            core, groups = pool.map(lambda path: self._json("GET", path, accept=AGGREGATED), ("/api", "/apis"))
            if core.get("kind") == groups.get("kind") == "APIGroupDiscoveryList":
                return (*aggregated(core), *aggregated(groups))
            return tuple(pool.map(self._legacy, (*core["versions"], *group_versions(groups))))

    def _legacy(self, group_version: str) -> Any:
        path = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        try:
            return legacy(group_version, self._json("GET", path))
        except (ApiError, TemporaryError):
            return legacy(group_version, None)

    # Reading

    def get(self, resource: Resource, namespace: str, name: str) -> Document | None:
        request = Request("GET", _path(resource, namespace, name), about=_about(resource.kind, namespace, name))
        answer = self._connection.send(request, allowed=(404,))
        if answer.status == 404:
            if absent(answer.status, answer.body, name):
                return None
            raise self._connection.refusal(request, answer)
        return cast(Document, answer.json())

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Listed:
        for _ in range(2):
            try:
                return self._pages(resource, namespace, labels, fields)
            except ApiError as error:
                if error.status != 410:  # the list grew too old between two of its pages
                    raise
        return self._pages(resource, namespace, labels, fields)

    def _pages(self, resource: Resource, namespace: str | None, labels: str, fields: str) -> Listed:
        query: dict[str, str | int] = {"limit": _PAGE}
        query |= {name: value for name, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        head = {"apiVersion": resource.api_version, "kind": resource.kind}  # left out in the lists of built-in kinds
        about = f"{resource.kind} objects" + (f" in {namespace}" if namespace else "")
        items: list[Document] = []
        while True:
            page = self._connection.send(Request("GET", _path(resource, namespace), query, about=about)).json()
            items += [{**head, **item} for item in page.get("items") or ()]
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listed(tuple(items), metadata.get("resourceVersion") or "")
            query["continue"] = metadata["continue"]

    def watch(
        self, resource: Resource, namespace: str | None = None, *, since: str = "", name: str = "",
        seconds: float = 60.0,
    ) -> Iterator[Event]:  # fmt: skip
        """Goes on from where it was when the connection breaks or the server ends it."""
        end = self._clock() + seconds
        at, breaks = since, 0
        while True:
            left = max(1.0, min(end - self._clock(), _ROUND))
            try:
                for kind, document in self._round(resource, namespace, at, name, left):
                    at, breaks = (document.get("metadata") or {}).get("resourceVersion") or at, 0
                    if kind != "BOOKMARK":
                        yield Event(kind, document)
            except BrokenError:
                breaks += 1
                if breaks == TRIES:
                    raise
                self._wait(breaks)
            if end - self._clock() < 1:
                return

    def _round(
        self, resource: Resource, namespace: str | None, since: str, name: str, seconds: float
    ) -> Iterator[tuple[Any, Document]]:
        query: dict[str, str | int] = {"watch": "true", "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = max(1, round(seconds))
        query |= {"resourceVersion": since} if since else {}
        query |= {"fieldSelector": f"metadata.name={name}"} if name else {}
        about = f"watching {resource.kind} objects"
        for line in self._connection.stream(Request("GET", _path(resource, namespace), query, about=about)):
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise self._connection.ended(event["object"], about)
            yield event["type"], event["object"]

    def log(
        self, namespace: str, pod: str, container: str, *, lines: int = 20, previous: bool = False
    ) -> tuple[str, ...]:
        query: dict[str, str | int] = {"container": container, "tailLines": lines, "limitBytes": _LONGEST_LOG}
        query |= {"previous": "true"} if previous else {}
        path = f"/api/v1/namespaces/{_quoted(namespace)}/pods/{_quoted(pod)}/log"
        about = f"log of {container} in Pod {namespace}/{pod}"
        answer = self._connection.send(Request("GET", path, query, accept="*/*", about=about))
        return tuple(answer.body.decode(errors="replace").splitlines())

    def may(self, questions: Sequence[Question]) -> tuple[bool, ...]:
        """https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access"""
        if not questions:
            return ()
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(questions))) as pool:
            return tuple(pool.map(self._may, questions))

    def _may(self, question: Question) -> bool:
        attributes = {
            "verb": question.verb, "group": question.group, "resource": question.resource,
            "namespace": question.namespace, "name": question.name, "subresource": question.subresource,
        }  # fmt: skip
        review = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
        }  # fmt: skip
        return bool(self._json("POST", _REVIEWS, body=review)["status"]["allowed"])

    # Writing

    def apply(
        self, document: Document, *, dry_run: bool = False, force: bool = False, manager: str = FIELD_MANAGER
    ) -> Document:
        resource, namespace, name = self._place(document)
        query = _written(dry_run, manager) | {"force": str(force).lower()}
        path = _path(resource, namespace, name)
        about = _about(resource.kind, namespace, name)
        return self._write(Request("PATCH", path, query, document, content=_APPLY, about=about))

    def create(self, document: Document, *, dry_run: bool = False) -> Document:
        resource, namespace, name = self._place(document, named=False)
        about = _about(resource.kind, namespace, name or f"{document['metadata'].get('generateName')}…")
        request = Request(
            "POST", _path(resource, namespace), _written(dry_run), document, about=about, again=bool(name) or dry_run
        )
        return self._once_only(request, resource, namespace, name)

    def replace(self, document: Document) -> Document:
        resource, namespace, name = self._place(document)
        about = _about(resource.kind, namespace, name)
        request = Request("PUT", _path(resource, namespace, name), _written(False), document, about=about)
        return self._once_only(request, resource, namespace, name)

    def patch(self, resource: Resource, namespace: str, name: str, operations: Sequence[Document]) -> Document:
        request = Request(
            "PATCH", _path(resource, namespace, name), {"fieldManager": FIELD_MANAGER}, list(operations),
            content=_JSON_PATCH, about=_about(resource.kind, namespace, name), again=False,
        )  # fmt: skip
        return self._write(request)

    def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str = "", dry_run: bool = False,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Background",
    ) -> bool:  # fmt: skip
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        options |= {"preconditions": {"uid": uid}} if uid else {}
        options |= {"dryRun": ["All"]} if dry_run else {}
        about = _about(resource.kind, namespace, name)
        request = Request("DELETE", _path(resource, namespace, name), body=options, about=about)
        answer = self._connection.send(request, allowed=(404, 409))
        if absent(answer.status, answer.body, name):
            return answer.unsure  # then it was the try before that deleted it
        if answer.status < 300:
            return True
        if uid and answer.status == 409 and "UID in the precondition" in answer.body.decode(errors="replace"):
            return False
        raise self._connection.refusal(request, answer)

    def _once_only(self, request: Request, resource: Resource, namespace: str, name: str) -> Document:
        """A write that a second try finds done: then what is there is looked at, and taken when it is what we sent."""
        answer = self._connection.send(request, allowed=(409,))
        if answer.status != 409:
            return cast(Document, answer.json())
        if answer.unsure and name:
            live = self.get(resource, namespace, name)
            if live is not None and _holds(live, request.body):
                return live
        raise self._connection.refusal(request, answer)

    def _place(self, document: Document, *, named: bool = True) -> tuple[Resource, str, str]:
        """How a document's kind is served, and its namespace and name."""
        api_version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
        resource = self.resource(api_version, kind)
        metadata = document.get("metadata") or {}
        if resource is None:
            raise ClusterError(
                f"{self} knows no kind {kind} in {api_version}.",
                hint="Is its CustomResourceDefinition installed, and does the apiVersion fit the cluster?",
            )
        name = str(metadata.get("name") or "")
        if named and not name:
            raise ClusterError(f"{kind} without a name cannot be written to {self}.", hint="Give it metadata.name.")
        namespace = str(metadata.get("namespace") or self.namespace) if resource.namespaced else ""
        return resource, namespace, name

    def _write(self, request: Request) -> Document:
        return cast(Document, self._connection.send(request).json())

    def _json(self, method: str, path: str, *, body: Any = None, accept: str = JSON) -> Any:
        return self._connection.send(Request(method, path, body=body, accept=accept)).json()


def _written(dry_run: bool, manager: str = FIELD_MANAGER) -> dict[str, str | int]:
    """As kubectl writes: a field that the schema does not know is refused, not dropped."""
    query: dict[str, str | int] = {"fieldManager": manager, "fieldValidation": "Strict"}
    return query | ({"dryRun": "All"} if dry_run else {})


def _path(resource: Resource, namespace: str | None = None, name: str = "") -> str:
    prefix = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.api_version}"
    inside = f"/namespaces/{_quoted(namespace)}" if namespace and resource.namespaced else ""
    return f"{prefix}{inside}/{resource.plural}" + (f"/{_quoted(name)}" if name else "")


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _about(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _holds(live: Document, sent: Document) -> bool:
    """Whether all that was sent is in a live object, but for what the server itself sets."""
    metadata = {name: value for name, value in sent.get("metadata", {}).items() if name not in _SERVERS_OWN}
    return _contains(live, {**sent, "metadata": metadata})


def _contains(live: Any, sent: Any) -> bool:
    if isinstance(sent, Mapping):
        return isinstance(live, Mapping) and all(
            name in live and _contains(live[name], value) for name, value in sent.items()
        )
    return same(live, sent)
