"""All that a simulated cluster holds: its objects, and what happened to them last."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Document = dict[str, Any]
Happened = Literal["ADDED", "MODIFIED", "DELETED"]
#: How many events are kept for watches that go on from an earlier version.
KEPT_EVENTS = 250
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One object: `kind` is its kind and group, `Deployment.apps`."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Ref:
        metadata = document["metadata"]
        group = document["apiVersion"].rpartition("/")[0]
        return cls(named(group, document["kind"]), metadata.get("namespace") or "", metadata["name"])


def copied(value: Any) -> Any:
    """A copy of a document, down to its values."""
    if isinstance(value, dict):
        return {name: copied(inner) for name, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def named(group: str, kind: str) -> str:
    return f"{kind}.{group}" if group else kind


@dataclass(frozen=True, slots=True)
class Change:
    version: int
    type: Happened
    ref: Ref
    document: Document


@dataclass(slots=True)
class State:
    """Documents in it are never changed in place: they are replaced."""

    seed: str  # makes the identities of this cluster
    version: int = 0
    objects: dict[Ref, Document] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    forgotten: int = 0  # the newest version that watches can no longer go on from
    times: dict[str, dict[str, float]] = field(default_factory=dict)  # UID -> when what happened, as `made`
    marks: int = 0  # how many of these times were noted
    stepped: float = 0.0  # the time up to which the controllers have acted
    # Indexes, and what is only remembered while the state is in memory.
    kinds: dict[str, dict[Ref, None]] = field(default_factory=dict)
    spaces: dict[str, dict[Ref, None]] = field(default_factory=dict)  # what is in each namespace
    uids: dict[str, Ref] = field(default_factory=dict)
    dependents: dict[str, dict[Ref, None]] = field(default_factory=dict)  # UID of an owner -> what it owns
    going: dict[Ref, None] = field(default_factory=dict)  # what is marked as deleted
    quiet: dict[tuple[str, str], tuple[Any, float | None]] = field(default_factory=dict)  # of the controllers

    def get(self, ref: Ref) -> Document | None:
        return self.objects.get(ref)

    def of_kind(self, kind: str, namespace: str | None = None) -> Iterator[Document]:
        """The oldest first."""
        for ref in list(self.kinds.get(kind, ())):
            if (namespace is None or ref.namespace == namespace) and ref in self.objects:
                yield self.objects[ref]

    def owned_by(self, uid: str) -> list[Document]:
        """What names that object as an owner."""
        return [self.objects[ref] for ref in self.dependents.get(uid, ())]

    def load(self, documents: Iterable[Document]) -> None:
        """Take these as they are, into an empty state."""
        for document in documents:
            ref = Ref.of(document)
            self.objects[ref] = document
            self._enter(ref, document)

    def _enter(self, ref: Ref, document: Document) -> None:
        metadata = document["metadata"]
        self.kinds.setdefault(ref.kind, {})[ref] = None
        self.spaces.setdefault(ref.namespace, {})[ref] = None
        self.uids[metadata["uid"]] = ref
        if metadata.get("deletionTimestamp"):
            self.going[ref] = None
        for owner in metadata.get("ownerReferences") or ():
            self.dependents.setdefault(owner["uid"], {})[ref] = None

    def _leave(self, ref: Ref, document: Document) -> None:
        self.going.pop(ref, None)
        for owner in document["metadata"].get("ownerReferences") or ():
            found = self.dependents.get(owner["uid"], {})
            found.pop(ref, None)
            if not found:
                self.dependents.pop(owner["uid"], None)

    def put(self, document: Document, now: float) -> Document:
        """Keep it as the next version. A new one gets its identity."""
        ref = Ref.of(document)
        before = self.objects.get(ref)
        self.version += 1
        metadata = {**document["metadata"], "resourceVersion": str(self.version)}
        made = {**document, "metadata": metadata}
        self.objects[ref] = made
        if before is None:
            self.mark(metadata["uid"], "made", now)
            if ref.kind.startswith("CustomResourceDefinition."):
                self.mark(metadata["uid"], "version", self.version)
        else:
            self._leave(ref, before)
        self._enter(ref, made)
        self._note(Change(self.version, "MODIFIED" if before else "ADDED", ref, made))
        return made

    def remove(self, ref: Ref) -> None:
        self.version += 1
        document = self.objects.pop(ref)
        self._leave(ref, document)
        for index, key in ((self.kinds, ref.kind), (self.spaces, ref.namespace)):
            del index[key][ref]
            if not index[key]:
                del index[key]
        self.uids.pop(document["metadata"]["uid"], None)
        metadata = {**document["metadata"], "resourceVersion": str(self.version)}
        self.times.pop(metadata["uid"], None)
        self._note(Change(self.version, "DELETED", ref, {**document, "metadata": metadata}))

    def mark(self, uid: str, what: str, now: float) -> float:
        """When it first happened to the object, to the fraction of a second: now, where that is not known."""
        times = self.times.setdefault(uid, {})
        if what not in times:
            times[what] = now
            self.marks += 1
        return times[what]

    def _note(self, change: Change) -> None:
        self.changes.append(change)
        if len(self.changes) > 2 * KEPT_EVENTS:
            gone = len(self.changes) - KEPT_EVENTS
            self.forgotten = self.changes[gone - 1].version
            del self.changes[:gone]

    def new_uid(self) -> str:
        """Of the object that is kept next."""
        return str(uuid.uuid5(uuid.UUID(self.seed), str(self.version + 1)))

    def new_suffix(self, salt: str = "") -> str:
        """Five letters, as generated names end."""
        number = uuid.uuid5(uuid.UUID(self.seed), f"{salt}{self.version}").int
        return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(5))
