"""How controllers write: like anybody else, under the names of the real ones, and only where something changes."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ci_gitops.core.api.schemas import Kind
from ci_gitops.core.api.server import Sender, Server, delete
from ci_gitops.core.api.state import Document, Ref, State, named

CONTROLLERS = "kube-controller-manager"
KUBELET = "kubelet"
#: Annotations and image tags that say how a simulated workload behaves begin so.
PREFIX = "simulated.ci-gitops/"


class Hands:
    """One moment of the controllers. `wake` collects when the next thing happens by itself."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.state: State = server.state
        self.now = server.now
        self.due: float | None = None
        self.sure = True  # whether what was decided last depends on nothing but the objects that were named

    @property
    def time(self) -> str:
        return self.server.time

    def wake(self, at: float) -> None:
        if at > self.now and (self.due is None or at < self.due):
            self.due = at

    def age(self, document: Mapping[str, Any]) -> float:
        return self.now - self.made(document)

    def made(self, document: Mapping[str, Any]) -> float:
        """When it was made."""
        return self.mark(document, "made")

    def mark(self, document: Mapping[str, Any], what: str) -> float:
        """When it first happened to the object; now, where it did not yet."""
        return self.state.mark(document["metadata"]["uid"], what, self.now)

    def unmark(self, document: Mapping[str, Any], what: str) -> None:
        if self.state.times.get(document["metadata"]["uid"], {}).pop(what, None) is not None:
            self.state.marks += 1

    def all(self, kind: str, namespace: str | None = None) -> Iterator[Document]:
        """Those that are not going."""
        for document in list(self.state.of_kind(kind, namespace)):
            if not is_going(document):
                yield document

    def owned(self, owner: Mapping[str, Any], kind: str) -> list[Document]:
        """What an object controls, the oldest first."""
        uid = owner["metadata"]["uid"]
        found = [each for each in self.state.owned_by(uid)
                 if named_kind(each) == kind and controller_of(each) == uid]  # fmt: skip
        return sorted(found, key=self.made)

    def look(self, what: str, document: Document, others: Iterable[Document], act: Callable[[], None]) -> None:
        """Act on an object, unless neither it nor the others changed since that last changed nothing."""
        key = what, document["metadata"]["uid"]
        seen = tuple(each["metadata"]["resourceVersion"] for each in (document, *others))
        known = self.state.quiet.get(key)
        if known is not None and known[0] == seen and (known[1] is None or known[1] > self.now):
            if known[1] is not None:
                self.wake(known[1])
            return
        due, self.due, self.sure = self.due, None, True
        before = self.state.version
        act()
        if self.sure and self.state.version == before:
            self.state.quiet[key] = seen, self.due
        else:
            self.state.quiet.pop(key, None)
        if due is not None:
            self.wake(due)

    def kind(self, document: Mapping[str, Any]) -> Kind:
        kind = self.server.kind(document["apiVersion"], document["kind"])
        assert kind is not None, document["kind"]
        return kind

    def create(self, document: Document, manager: str = CONTROLLERS) -> Document:
        kind = self.kind(document)
        return self.server.create(kind, document["metadata"].get("namespace", ""), document, Sender(manager))

    def replace(self, document: Document, manager: str = CONTROLLERS, subresource: str = "") -> Document:
        kind, namespace = self.kind(document), document["metadata"].get("namespace", "")
        return self.server.replace(kind, namespace, document, Sender(manager, subresource=subresource))

    def scale(self, document: Document, replicas: int) -> Document:
        changed = copy.deepcopy(document)
        changed["spec"]["replicas"] = replicas
        return self.replace(changed)

    def annotate(self, document: Document, annotations: Mapping[str, str]) -> Document:
        known = document["metadata"].get("annotations") or {}
        if annotations.items() <= known.items():
            return document
        if document["kind"] == "Deployment":  # whose generation counts annotations, but for those of its controller
            return self.server.set_status(
                self.kind(document), document, document["status"], CONTROLLERS, annotations={**known, **annotations}
            )
        changed = copy.deepcopy(document)
        changed["metadata"]["annotations"] = {**known, **annotations}
        return self.replace(changed)

    def status(self, document: Document, status: Mapping[str, Any], manager: str = CONTROLLERS) -> Document:
        return self.server.set_status(self.kind(document), document, status, manager)

    def delete(self, document: Mapping[str, Any]) -> None:
        ref = Ref.of(document)
        if ref in self.state.objects:
            delete(self.server, ref)

    def event(self, about: Mapping[str, Any], kind: str, reason: str, message: str, component: str) -> None:
        """Said once for each object, reason and message, as long as the object is there."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        seed = f"{metadata['uid']}{reason}{message}"
        name = f"{metadata['name']}.{_digest(seed)}"
        if Ref("Event", namespace, name) in self.state.objects:
            return
        version = metadata["resourceVersion"]
        self.create({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"],
                               "namespace": metadata.get("namespace", ""), "uid": metadata["uid"],
                               "resourceVersion": version},
            "reason": reason, "message": message, "type": kind, "count": 1, "firstTimestamp": self.time,
            "lastTimestamp": self.time, "source": {"component": component}, "reportingComponent": component,
        }, component)  # fmt: skip


def _digest(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


def named_kind(document: Mapping[str, Any]) -> str:
    return named(document["apiVersion"].rpartition("/")[0], document["kind"])


def is_going(document: Mapping[str, Any]) -> bool:
    return bool(document["metadata"].get("deletionTimestamp"))


def controller_of(document: Mapping[str, Any]) -> str | None:
    """The UID of the object that controls this one."""
    for owner in document["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return None


def owner_reference(owner: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def conditions(
    old: Mapping[str, Any] | None,
    time: str,
    *wanted: Mapping[str, Any],
    stamps: tuple[str, ...] = ("lastTransitionTime",),
) -> list[dict[str, Any]]:
    """Conditions as they are now; the time of one changes when its status does. `stamps` get that time."""
    before = {each["type"]: each for each in (old or {}).get("conditions") or ()}
    made = []
    for condition in wanted:
        known = before.get(condition["type"])
        kept = dict(condition)
        for stamp in stamps:
            turned = known is None or known["status"] != condition["status"] or (
                stamp == "lastUpdateTime" and known.get("reason") != condition.get("reason"))  # fmt: skip
            kept[stamp] = time if turned or known is None else known.get(stamp, time)
        made.append(kept)
    return made


def condition(kind: str, holds: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    made = {"type": kind, "status": "True" if holds else "False"}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made
