"""What goes when something else goes: dependents, contents of namespaces, objects of a kind whose definition goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_gitops.core.api.server import custom_kinds
from ci_gitops.core.api.state import Document, Ref, named
from ci_gitops.core.controllers.hands import Hands, is_going

_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def run(hands: Hands) -> None:
    _collect(hands)
    for namespace in list(hands.state.of_kind("Namespace")):
        if is_going(namespace):
            _empty(hands, namespace)
    for definition in list(hands.state.of_kind("CustomResourceDefinition.apiextensions.k8s.io")):
        if is_going(definition):
            _remove_kind(hands, definition)
    _release(hands)


def _collect(hands: Hands) -> None:
    dependents: dict[str, list[Document]] = {}
    for document in list(hands.state.objects.values()):
        for owner in document["metadata"].get("ownerReferences") or ():
            dependents.setdefault(owner["uid"], []).append(document)
    by_uid = {document["metadata"]["uid"]: document for document in hands.state.objects.values()}
    for owner in list(by_uid.values()):
        _finish(hands, owner, dependents.get(owner["metadata"]["uid"], []))
    for uid, documents in dependents.items():
        if uid not in by_uid:
            for document in documents:
                _orphaned(hands, document, by_uid)


def _finish(hands: Hands, owner: Document, dependents: list[Document]) -> None:
    """An owner that goes with its dependents, or without them."""
    finalizers = owner["metadata"].get("finalizers") or ()
    if not is_going(owner):
        return
    uid = owner["metadata"]["uid"]
    if "foregroundDeletion" in finalizers:
        left = [each for each in dependents if Ref.of(each) in hands.state.objects]
        for each in left:
            if not is_going(each):
                hands.delete(each)
        blocking = [each for each in left if Ref.of(each) in hands.state.objects and _blocks(each, uid)]
        if not blocking:
            without_finalizer(hands, owner, "foregroundDeletion")
    elif "orphan" in finalizers:
        for each in dependents:
            kept = [ref for ref in each["metadata"]["ownerReferences"] if ref["uid"] != uid]
            _put(hands, each, ownerReferences=kept)
        without_finalizer(hands, owner, "orphan")


def _blocks(dependent: Document, uid: str) -> bool:
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in dependent["metadata"]["ownerReferences"])


def _orphaned(hands: Hands, document: Document, by_uid: Mapping[str, Document]) -> None:
    """Nobody is left who owns it."""
    live = hands.state.get(Ref.of(document))
    if live is None or is_going(live):
        return
    owners = live["metadata"].get("ownerReferences") or ()
    if owners and not any(owner["uid"] in by_uid for owner in owners):
        hands.delete(live)


def without_finalizer(hands: Hands, document: Document, name: str) -> None:
    """Take one away; an object that goes and has none left is gone."""
    live = hands.state.get(Ref.of(document))
    if live is None or name not in (live["metadata"].get("finalizers") or ()):
        return
    kept = [each for each in live["metadata"]["finalizers"] if each != name]
    made = _put(hands, live, finalizers=kept)
    if not kept and is_going(made) and not made["metadata"].get("deletionGracePeriodSeconds"):
        hands.state.remove(Ref.of(made))


def _put(hands: Hands, document: Document, **fields: Any) -> Document:
    metadata = {**document["metadata"], **fields}
    for name, value in fields.items():
        if not value:
            del metadata[name]
    return hands.state.put({**document, "metadata": metadata}, hands.now)


def _empty(hands: Hands, namespace: Document) -> None:
    name = namespace["metadata"]["name"]
    inside = [ref for ref in hands.state.objects if ref.namespace == name]
    for ref in inside:
        document = hands.state.get(ref)
        if document is not None and not is_going(document):
            hands.delete(document)
    if any(ref.namespace == name for ref in hands.state.objects):
        return
    if namespace["spec"].get("finalizers"):
        namespace = hands.state.put({**namespace, "spec": {}}, hands.now)
    if not namespace["metadata"].get("finalizers"):
        hands.state.remove(Ref.of(namespace))


def _remove_kind(hands: Hands, definition: Document) -> None:
    kinds = custom_kinds(definition)
    kind = named(definition["spec"]["group"], definition["spec"]["names"]["kind"])
    for document in list(hands.state.of_kind(kind)) if kinds else []:
        if not is_going(document):
            hands.delete(document)
    if not hands.state.kinds.get(kind):
        without_finalizer(hands, definition, _CLEANUP)


def _release(hands: Hands) -> None:
    """Claims and volumes are held as long as they are used."""
    used = {
        (pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"])
        for pod in hands.state.of_kind("Pod") if pod["status"].get("phase") not in ("Succeeded", "Failed")
        for volume in pod["spec"].get("volumes", ()) if "persistentVolumeClaim" in volume
    }  # fmt: skip
    for claim in list(hands.state.of_kind("PersistentVolumeClaim")):
        if is_going(claim) and (claim["metadata"]["namespace"], claim["metadata"]["name"]) not in used:
            without_finalizer(hands, claim, "kubernetes.io/pvc-protection")
    for volume in list(hands.state.of_kind("PersistentVolume")):
        if is_going(volume) and volume["status"].get("phase") != "Bound":
            without_finalizer(hands, volume, "kubernetes.io/pv-protection")
