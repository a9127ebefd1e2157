"""A folder of rendered manifests that behaves like a cluster where nothing acts: one file for each object.

It holds the objects of one target, in `ENVIRONMENT/APP/`, as they were rendered: no label is added. Applying replaces
an object as a whole, so that what stands in Git is what stands in the file; a file that a person changed has drifted.
Files that hold anything else than one object are a person's own and stay.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Literal

from ci_gitops.adapters.cluster.base import (
    FIELD_MANAGER,
    ApiError,
    Document,
    Event,
    Listed,
    Question,
    Resource,
)
from ci_gitops.adapters.cluster.files import KEPT, OURS, Files
from ci_gitops.core.fieldsets import same
from ci_gitops.core.inventory import Key
from ci_gitops.core.known_kinds import OF_THE_CLUSTER
from ci_gitops.core.manifests import Manifest, parse, text
from ci_gitops.core.targets import Target
from ci_gitops.core.whole_objects import file_name, owned_whole
from ci_gitops.errors import RenderError

_SUFFIXES = (".yaml", ".yml")
_SPACE = uuid.UUID("1d8b6f0e-6f5b-5c39-8f0e-0d6d1f0c7a11")  # of the UIDs that stand for places of files
_VERBS = frozenset(("create", "delete", "get", "list", "patch", "update"))


@dataclass(frozen=True, slots=True)
class _Kept:
    path: str
    document: Document


class Directory:
    """The Protocol `Cluster` over the files of one target."""

    namespace = ""  # objects that name none stay without
    alive = False
    pace = 1.0

    def __init__(self, files: Files, target: Target) -> None:
        self.files = files
        self.target = target
        self._folder = f"{target.environment}/{target.app}"
        self._lock = RLock()
        self._known: dict[Key, _Kept] | None = None

    def __str__(self) -> str:
        return f"{self.files}, {self._folder}"

    @property
    def version(self) -> str:
        """None that a chart could ask for."""
        return ""

    @property
    def stale(self) -> tuple[str, ...]:
        return ()

    @property
    def api_versions(self) -> tuple[str, ...]:
        return ()

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """Every kind can be kept in a file."""
        group, _, version = api_version.rpartition("/")
        return Resource(group, version, kind, f"{kind.lower()}s", kind not in OF_THE_CLUSTER, _VERBS)

    def preferred(self, group: str, kind: str) -> Resource | None:
        """In the version that the folder holds."""
        with self._lock:
            held = next((kept for key, kept in self._index().items() if (key.group, key.kind) == (group, kind)), None)
        return self.resource(str(held.document["apiVersion"]), kind) if held else None

    def forget(self) -> None:
        """Every kind is known."""

    def get(self, resource: Resource, namespace: str, name: str) -> Document | None:
        with self._lock:
            kept = self._index().get(Key(resource.group, resource.kind, namespace, name))
        return self._answer(kept) if kept else None

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Listed:
        before, _, name = fields.rpartition("metadata.name=")
        if labels or before or (fields and not name):
            raise ApiError(f"{self} selects by namespace and name only.", status=400, reason="BadRequest")
        with self._lock:
            found = [
                kept for key, kept in sorted(self._index().items())
                if (key.group, key.kind) == (resource.group, resource.kind)
                and namespace in (None, key.namespace) and name in ("", key.name)
            ]  # fmt: skip
        return Listed(tuple(map(self._answer, found)))

    def apply(
        self, document: Document, *, dry_run: bool = False, force: bool = False, manager: str = FIELD_MANAGER
    ) -> Document:
        """The object as a whole; what is equal is left as it is written."""
        document = _plain(document)
        with self._lock:
            old = self._index().get(Key.of(document))
            new = _Kept(self._path(document, old), document)
            if not dry_run and not (old and old.path == new.path and same(old.document, document)):
                self._write(new, old)
        return self._answer(new, manager)

    def create(self, document: Document, *, dry_run: bool = False) -> Document:
        with self._lock:
            if Key.of(document) in self._index():
                raise ApiError(f"{Key.of(document)} is there already.", status=409, reason="AlreadyExists")
            return self.apply(document, dry_run=dry_run)

    def replace(self, document: Document) -> Document:
        metadata = document["metadata"]
        with self._lock:
            old = self._index().get(Key.of(document))
            if old is None:
                raise ApiError(f"{Key.of(document)} is not there.", status=404, reason="NotFound")
            if metadata.get("resourceVersion") not in (None, "", _version(old)):
                raise ApiError(f"{Key.of(document)} has changed since it was read.", status=409, reason="Conflict")
            return self.apply(document)

    def patch(self, resource: Resource, namespace: str, name: str, operations: Sequence[Document]) -> Document:
        raise ApiError(f"{self} keeps objects whole and takes no patches.", status=405, reason="MethodNotAllowed")

    def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str = "", dry_run: bool = False,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Background",
    ) -> bool:  # fmt: skip
        key = Key(resource.group, resource.kind, namespace, name)
        with self._lock:
            kept = self._index().get(key)
            if kept is None or uid not in ("", self._uid(kept)):
                return False
            if not dry_run:
                self.files.remove(kept.path)
                del self._index()[key]
        return True

    def watch(
        self, resource: Resource, namespace: str | None = None, *, since: str = "", name: str = "",
        seconds: float = 60.0,
    ) -> Iterator[Event]:  # fmt: skip
        """Nothing happens by itself."""
        return iter(())

    def log(
        self, namespace: str, pod: str, container: str, *, lines: int = 20, previous: bool = False
    ) -> tuple[str, ...]:
        return ()

    def may(self, questions: Sequence[Question]) -> tuple[bool, ...]:
        """What the file system allows shows when it is asked."""
        return (True,) * len(questions)

    def publish(self, message: str) -> None:
        """The target's manifests, inventory and records; what belongs to others waits for theirs."""
        self.files.publish(message, self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of the target: its manifests, inventory and records."""
        return (self._folder, *(f"{OURS}/{kept}/{self._folder}" for kept in KEPT))

    def close(self) -> None:
        self.files.close()

    # Files

    def _index(self) -> dict[Key, _Kept]:
        """What the folder holds, read once."""
        if self._known is None:
            found = (
                _read(f"{self._folder}/{name}", content)
                for name, content in self.files.contents(self._folder).items()
                if name.endswith(_SUFFIXES) and not name.startswith(".")
            )
            self._known = {Key.of(kept.document): kept for kept in found if kept}
        return self._known

    def _path(self, document: Document, old: _Kept | None) -> str:
        """Where the object goes: where it is, unless its version, and so its file's name, has changed."""
        if old and old.document["apiVersion"] == document["apiVersion"]:
            return old.path
        path = f"{self._folder}/{file_name(document)}"
        holder = next((key for key, kept in self._index().items() if kept.path == path), None)
        if (holder or Key.of(document)) != Key.of(document):
            raise ApiError(f"{path} holds {holder} already.", status=409, reason="Conflict")
        return path

    def _write(self, new: _Kept, old: _Kept | None) -> None:
        key, document = Key.of(new.document), new.document
        manifest = Manifest(document["apiVersion"], key.kind, key.namespace or None, key.name, document)
        self.files.write(new.path, text([manifest]).encode())
        if old and old.path != new.path:
            self.files.remove(old.path)
        self._index()[key] = new

    def _answer(self, kept: _Kept, manager: str = FIELD_MANAGER) -> Document:
        return owned_whole(kept.document, manager, uid=self._uid(kept), resourceVersion=_version(kept))

    def _uid(self, kept: _Kept) -> str:
        key = Key.of(kept.document)
        return str(uuid.uuid5(_SPACE, "/".join((self._folder, key.group, key.kind, key.namespace, key.name))))


def _read(path: str, content: bytes) -> _Kept | None:
    """The file's object; None where it holds anything else."""
    try:
        found = parse(content.decode("utf-8-sig"), path)
    except (RenderError, UnicodeDecodeError):
        return None
    return _Kept(path, _plain(found[0].document)) if len(found) == 1 else None


def _version(kept: _Kept) -> str:
    return hashlib.sha256(repr(kept.document).encode()).hexdigest()[:16]


def _plain(document: Document) -> dict[str, Any]:
    """What was declared, without what answers add to it."""
    metadata: Mapping[str, Any] = document["metadata"]
    added = ("managedFields", "resourceVersion", "uid", *(() if metadata.get("namespace") else ("namespace",)))
    return {**document, "metadata": {key: value for key, value in metadata.items() if key not in added}}
