"""The requests that an API server answers, on the state of one cluster: pure, with the time handed in.

A write goes the server's way: what is sent is read by its type, merged, filled in, judged, and kept as the next version
with the record of who owns what.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

from ci_gitops.core.api import canonical, defaults, definitions, ownership, serverside, strategy, typed
from ci_gitops.core.api.admission import admitted
from ci_gitops.core.api.ownership import Holder, Managers
from ci_gitops.core.api.patches import PatchError, patched
from ci_gitops.core.api.refusals import (
    RefusalError,
    Wrong,
    already_exists,
    bad_request,
    changed_identity,
    forbidden,
    invalid,
    modified,
    not_found,
    unversioned,
    without_object,
)
from ci_gitops.core.api.schemas import Kind, recorded
from ci_gitops.core.api.serverside import ConflictError, Write
from ci_gitops.core.api.state import Document, Ref, State, copied, named
from ci_gitops.core.api.validation import problems
from ci_gitops.core.fieldsets import same

Propagation = Literal["Foreground", "Background", "Orphan"]
_BEFORE_APPLY = "before-first-apply"
_DEFINITION = "CustomResourceDefinition.apiextensions.k8s.io"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes, and whether it is only to be said what that would do."""

    manager: str
    dry_run: bool = False
    subresource: str = ""  # that is written to, where it is not the object itself


class Server:
    """One state at one time."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now

    @property
    def time(self) -> str:
        return stamp(self.now)

    # What is served

    def kinds(self) -> tuple[Kind, ...]:
        """All kinds that are served, in the order of preference within a group."""
        custom = (kind for found in self.state.of_kind(_DEFINITION) for kind in custom_kinds(found))
        return (*recorded().kinds, *custom)

    def kind(self, api_version: str, name: str) -> Kind | None:
        found = _built_in().get((api_version, name))
        if found is not None:
            return found
        for definition in self.state.of_kind(_DEFINITION):
            spec = definition["spec"]
            if spec["names"]["kind"] == name and api_version.startswith(f"{spec['group']}/"):
                return next((kind for kind in custom_kinds(definition) if kind.api_version == api_version), None)
        return None

    def since(self, kind: Kind) -> int:
        """The version from which watches of a kind can go on. The history of a kind begins with it."""
        if kind.custom:
            definition = self.state.get(Ref(_DEFINITION, "", kind.qualified))
            uid = definition["metadata"]["uid"] if definition is not None else ""
            return max(self.state.forgotten, int(self.state.times.get(uid, {}).get("version", 0)))
        return self.state.forgotten

    # Reading

    def get(self, kind: Kind, namespace: str, name: str) -> Document | None:
        found = self.state.get(self._ref(kind, namespace, name))
        return shown(kind, found) if found is not None else None

    def _ref(self, kind: Kind, namespace: str, name: str) -> Ref:
        return Ref(named(kind.group, kind.kind), namespace if kind.namespaced else "", name)

    # Writing

    def apply(
        self, kind: Kind, namespace: str, name: str, config: Mapping[str, Any], sender: Sender, *, force: bool = False
    ) -> Document:
        ref = self._ref(kind, namespace, name)
        given = (config.get("metadata") or {}).get("namespace") or ""
        config = self._sent(kind, ref, config)
        if (config.get("metadata") or {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        about = f"({given}/{name}; {kind.group}/{kind.version}, Kind={kind.kind})"
        try:
            typed.check(kind.schema, config)
        except typed.TypedError as error:
            told = error.places[0] if len(error.places) == 1 else "errors:\n" + "\n".join(
                f"  {place}" for place in error.places)  # fmt: skip
            raise RefusalError(500, "", f"failed to create typed patch object {about}: {told}") from error
        live = self.state.get(ref)
        if live is None:
            self._need_namespace(kind, ref)
        self._heed(kind, ref, config, live)
        base = self._typed_live(kind, live)
        managers = ownership.read(live) if live is not None else {}
        if live is not None and not managers:
            before = Holder.updating(_BEFORE_APPLY, kind.api_version)
            managers = serverside.update(
                Write(kind.schema, before, kind.api_version, self.time), self._typed_live(kind, None), base, {}
            )
        write = Write(kind.schema, Holder.applying(sender.manager), kind.api_version, self.time, strategy.ignored(kind))
        try:
            merged, managers = serverside.apply(write, base, config, managers, force=force)
        except ConflictError as error:
            causes = [(each.field, f"conflict with {each.holder}") for each in error.conflicts]
            raise RefusalError(409, "Conflict", str(error), causes) from error
        merged["metadata"]["name"] = ref.name
        try:
            made = _written(kind, merged, nulls=True)
        except canonical.UndecodableError as error:
            what = f"{kind.group}/{kind.version}"
            cannot = f"unable to convert unstructured object to {what}, Kind={kind.kind}: {error.prefix}{error}"
            told = f"failed to convert new object {about} to proper version: {cannot}"
            raise RefusalError(500, "", told) from error
        return self._stored(kind, ref, live, made, managers, sender)

    def _heed(self, kind: Kind, ref: Ref, config: Document, live: Document | None) -> None:
        """What an apply says of the object that it means."""
        metadata = config["metadata"]
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        if live is None:
            if uid:
                raise without_object(kind, ref.name, uid)
            return
        if version and version != live["metadata"]["resourceVersion"]:
            raise modified(kind, ref.name)
        if uid and uid != live["metadata"]["uid"]:
            raise invalid(kind, ref.name, [Wrong("metadata.uid", f'Invalid value: "{uid}": field is immutable')])

    def create(self, kind: Kind, namespace: str, document: Mapping[str, Any], sender: Sender) -> Document:
        metadata = document.get("metadata") or {}
        name = metadata.get("name") or ""
        if not name and metadata.get("generateName"):
            name = metadata["generateName"][:58] + self.state.new_suffix(metadata["generateName"])
        if not name:
            raise invalid(kind, "", [Wrong("metadata.name", "Required value: name or generateName is required")])
        ref = self._ref(kind, namespace, name)
        if metadata.get("resourceVersion"):
            raise RefusalError(500, "InternalError", "resourceVersion should not be set on objects to be created")
        self._need_namespace(kind, ref)
        made = self._sent(kind, ref, document)
        made["metadata"]["name"] = name
        return self._updated(kind, ref, None, self._read(kind, made), sender)

    def replace(self, kind: Kind, namespace: str, document: Mapping[str, Any], sender: Sender) -> Document:
        ref = self._ref(kind, namespace, document["metadata"]["name"])
        live = self.state.get(ref)
        made = self._read(kind, self._sent(kind, ref, document))
        wanted = made["metadata"].get("resourceVersion")
        if live is None:
            if kind.custom or kind.kind not in strategy.MADE_BY_REPLACING:
                raise not_found(kind.qualified, ref.name)
            self._need_namespace(kind, ref)
            return self._updated(kind, ref, None, made, sender)
        if not wanted and (kind.custom or kind.kind in strategy.VERSIONED):
            raise unversioned(kind, ref.name)
        if wanted and wanted != live["metadata"]["resourceVersion"]:
            raise modified(kind, ref.name)
        uid = made["metadata"].get("uid")
        if uid and uid != live["metadata"]["uid"]:
            raise changed_identity(kind, ref.name, uid, live["metadata"]["uid"])
        return self._updated(kind, ref, live, made, sender)

    def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Mapping[str, Any]], sender: Sender
    ) -> Document:
        ref = self._ref(kind, namespace, name)
        live = self.state.get(ref)
        if live is None:
            raise not_found(kind.qualified, name)
        try:
            made = patched(shown(kind, live), operations)
        except PatchError as error:
            told = "the server rejected our request due to an error in our request"
            raise RefusalError(422, "Invalid", told) from error
        version = made["metadata"].get("resourceVersion")
        if version and version != live["metadata"]["resourceVersion"]:
            raise modified(kind, name)
        try:
            canonical.canonical(kind.schema, made)
        except canonical.UndecodableError as error:
            shown_patch = json.dumps(made, separators=(",", ":"))
            raise invalid(kind, "", [Wrong("patch", f"Invalid value: {json.dumps(shown_patch)}: {error}")]) from error
        return self._updated(kind, ref, live, self._read(kind, made, strict=False), sender)

    def delete(
        self, kind: Kind, namespace: str, name: str, propagation: Propagation, *, uid: str = "", dry_run: bool = False
    ) -> bool:
        """False where there is none. RefusalError 409 where it is another one."""
        ref = self._ref(kind, namespace, name)
        live = self.state.get(ref)
        if live is None:
            return False
        if uid and uid != live["metadata"]["uid"]:
            raise changed_identity(kind, name, uid, live["metadata"]["uid"])
        if ref in _PROTECTED:
            raise forbidden(kind, name, "this namespace may not be deleted")
        if not dry_run:
            delete(self, ref, propagation)
        return True

    def set_status(
        self, kind: Kind, live: Document, status: Mapping[str, Any], manager: str, *,
        annotations: Mapping[str, str] | None = None,
    ) -> Document:  # fmt: skip
        """What a controller writes by way of an object's status; nothing where it says so already."""
        schema = kind.schema.below("status")
        status = canonical.canonical(schema, status) if schema is not None and not kind.custom else status
        metadata = live["metadata"]
        if annotations is not None:
            metadata = {**metadata, "annotations": dict(annotations)}
        if status == live.get("status") and metadata == live["metadata"]:
            return live
        base = self._typed_live(kind, live)
        made: Document = {**base, "metadata": {**base["metadata"], **metadata}, "status": copied(status)}
        made["metadata"].pop("managedFields", None)
        write = Write(kind.schema, Holder.updating(manager, kind.api_version, "status"), kind.api_version, self.time)
        managers = serverside.update(write, base, made, ownership.read(live))
        made["metadata"]["managedFields"] = ownership.written(managers)
        return self.state.put(made, self.now)

    # The server's way of a write

    def _sent(self, kind: Kind, ref: Ref, document: Mapping[str, Any]) -> Document:
        """A copy of what was sent, with the namespace of its address."""
        made: Document = copied(dict(document))
        metadata = made.setdefault("metadata", {}) or {}
        made["metadata"] = metadata
        given = metadata.get("namespace")
        if kind.namespaced:
            if given and given != ref.namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            metadata["namespace"] = ref.namespace
        made["apiVersion"], made["kind"] = kind.api_version, kind.kind
        return made

    def _need_namespace(self, kind: Kind, ref: Ref) -> None:
        if not kind.namespaced:
            return
        namespace = self.state.get(Ref("Namespace", "", ref.namespace))
        if namespace is None:
            raise not_found("namespaces", ref.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {ref.namespace} because it is being terminated"
            raise forbidden(
                kind, ref.name, why, [("metadata.namespace", f"namespace {ref.namespace} is being terminated")]
            )

    def _typed_live(self, kind: Kind, live: Document | None) -> Document:
        if live is not None:
            metadata = {name: value for name, value in live["metadata"].items() if name != "managedFields"}
            return {**live, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        if kind.custom:
            return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
        return {**canonical.canonical(kind.schema, {}), "apiVersion": kind.api_version, "kind": kind.kind}

    def _read(self, kind: Kind, document: Document, *, strict: bool = True) -> Document:
        """What a plain write says. RefusalError where it cannot be read, or says what the kind does not know."""
        about = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        unknown = list(typed.unknown(kind.schema, document)) if strict else []
        if unknown:
            told = ", ".join(f'unknown field "{field}"' for field in unknown)
            raise bad_request(f"{about}: strict decoding error: {told}")
        try:
            typed.check(kind.schema, definitions.pruned(kind.schema, document), duplicates=True)
        except typed.TypedError as error:
            if not kind.custom:  # those are judged by their schema when they are to be kept
                raise bad_request(f"{about}: {error.places[0]}") from error
        return document

    def _updated(self, kind: Kind, ref: Ref, live: Document | None, made: Document, sender: Sender) -> Document:
        managers = ownership.read(live if live is not None else {})
        given = made["metadata"].pop("managedFields", None)
        if given is not None and live is not None:
            managers = ownership.read({"metadata": {"managedFields": given}}) if given != [{}] else {}
        made["metadata"]["name"] = ref.name
        try:
            made = _written(kind, made)
        except canonical.UndecodableError as error:
            raise bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'
            ) from error
        write = Write(
            kind.schema, Holder.updating(sender.manager, kind.api_version, sender.subresource), kind.api_version,
            self.time, strategy.ignored(kind),
        )  # fmt: skip
        if live is None or managers:  # an object of which nobody's fields are known stays so until it is applied
            with contextlib.suppress(typed.TypedError):  # then it is not kept
                managers = serverside.update(write, self._typed_live(kind, live), made, managers)
        return self._stored(kind, ref, live, made, managers, sender)

    def _stored(
        self, kind: Kind, ref: Ref, live: Document | None, made: Document, managers: Managers, sender: Sender
    ) -> Document:
        """With what only the server says, judged, kept."""
        made = copied(made)
        if live is None:
            made = strategy.created(kind, made)
            made["metadata"]["uid"] = self.state.new_uid()
            made["metadata"]["creationTimestamp"] = self.time
        else:
            made = strategy.changed(kind, made, live)
        made = admitted(self.state, kind, made, live)
        wrong = problems(kind, made, live)
        if wrong:
            raise invalid(kind, ref.name, wrong)
        if live is None and ref in self.state.objects:
            raise already_exists(kind, ref.name, going=ref in self.state.going)
        entries = ownership.written(managers)
        if live is not None and _is_same(made, entries, live):
            return shown(kind, live)
        if entries:
            made["metadata"]["managedFields"] = entries
        if sender.dry_run:
            if live is not None:
                made["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
            return shown(kind, made)
        if live is not None and made["metadata"].get("deletionTimestamp") and not made["metadata"].get("finalizers"):
            self.state.put(made, self.now)
            self.state.remove(ref)
            return shown(kind, made)
        return shown(kind, self.state.put(made, self.now))


def delete(server: Server, ref: Ref, propagation: Propagation = "Background") -> None:
    """Take an object away, or mark it as going where something must be done first."""
    state, now = server.state, server.now
    live = state.objects[ref]
    metadata = dict(live["metadata"])
    finalizers = [name for name in metadata.get("finalizers", ()) if name not in ("foregroundDeletion", "orphan")]
    if propagation != "Background":
        finalizers.append("foregroundDeletion" if propagation == "Foreground" else "orphan")
    grace = _grace(ref, live)
    going = bool(metadata.get("deletionTimestamp"))
    if not finalizers and not grace and ref.kind != "Namespace":
        state.remove(ref)
        return
    if going and finalizers == metadata.get("finalizers", []):
        return
    if not going:
        metadata["deletionTimestamp"] = stamp(now + grace)
        metadata["deletionGracePeriodSeconds"] = grace
        if metadata.get("generation"):
            metadata["generation"] += 1
    if finalizers:
        metadata["finalizers"] = finalizers
    made = {**live, "metadata": metadata}
    if ref.kind == "Namespace":
        del metadata["deletionGracePeriodSeconds"]
        made["status"] = {**live.get("status", {}), "phase": "Terminating"}
    state.put(made, now)


def _grace(ref: Ref, live: Document) -> int:
    """A pod that runs has time to end."""
    if ref.kind != "Pod" or not live["spec"].get("nodeName"):
        return 0
    if live["status"].get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(live["spec"].get("terminationGracePeriodSeconds", 30))


_PROTECTED = {Ref("Namespace", "", name) for name in ("default", "kube-system", "kube-public")}
_CUSTOM: dict[str, tuple[Any, tuple[Kind, ...]]] = {}


@cache
def _built_in() -> dict[tuple[str, str], Kind]:
    return {(kind.api_version, kind.kind): kind for kind in recorded().kinds}


def custom_kinds(definition: Document) -> tuple[Kind, ...]:
    """What a CustomResourceDefinition serves, made once for each of its specifications."""
    uid = definition["metadata"]["uid"]
    known = _CUSTOM.get(uid)
    if known is None or known[0] != definition["spec"]:
        known = _CUSTOM[uid] = (definition["spec"], tuple(definitions.kinds(definition)))
    return known[1]


def shown(kind: Kind, document: Document) -> Document:
    """A copy in the version that was asked for."""
    rest = {name: value for name, value in document.items() if name not in ("apiVersion", "kind")}
    return {"apiVersion": kind.api_version, "kind": kind.kind, **copied(rest)}


def _written(kind: Kind, document: Document, *, nulls: bool = False) -> Document:
    """By its type, with defaults. `nulls` keeps those that a custom resource may not hold, so that they are refused."""
    if kind.custom:
        made: Document = definitions.pruned(kind.schema, document)
        if not nulls:
            made = definitions.without_nulls(kind.schema, made)
        definitions.fill(kind.schema, made)
        made["metadata"] = {name: value for name, value in made["metadata"].items() if value not in (None, {}, [], "")}
        return made
    made = canonical.canonical(kind.schema, document)
    if kind.kind == "Secret" and "stringData" in made:
        texts = made.pop("stringData")
        encoded = canonical.encoded(texts)
        made["data"] = {**made.get("data", {}), **encoded}
    defaults.fill(kind.schema, made)
    return made


def _is_same(made: Document, entries: list[dict[str, Any]], live: Document) -> bool:
    """Whether nothing changes but the time at which managers wrote."""

    def timeless(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{name: value for name, value in entry.items() if name != "time"} for entry in found]

    def plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in metadata.items() if name not in ("managedFields", "resourceVersion")}

    return same({**made, "metadata": plain(made["metadata"])}, {**live, "metadata": plain(live["metadata"])}) and (
        timeless(entries) == timeless(live["metadata"].get("managedFields", ()))
    )


def stamp(now: float) -> str:
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
