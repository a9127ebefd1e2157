"""What goes when something else goes: dependents, contents of namespaces, objects of a kind whose definition goes."""

from __future__ import annotations

from typing import Any

from ci_gitops.core.api.server import custom_kinds
from ci_gitops.core.api.state import Document, Ref, named
from ci_gitops.core.controllers.hands import Hands, is_going

_DEFINITION = "CustomResourceDefinition.apiextensions.k8s.io"
_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def run(hands: Hands) -> None:
    state = hands.state
    for uid in list(state.dependents):
        if uid not in state.uids:
            for dependent in state.owned_by(uid):
                _orphaned(hands, dependent)
    for ref in list(state.going):
        document = state.get(ref)
        if document is None:
            continue
        _finish(hands, document, state.owned_by(document["metadata"]["uid"]))
        if ref.kind == "Namespace":
            _empty(hands, document)
        elif ref.kind == _DEFINITION:
            _remove_kind(hands, document)
        elif ref.kind in ("PersistentVolumeClaim", "PersistentVolume"):
            _release(hands, document)


def _finish(hands: Hands, owner: Document, dependents: list[Document]) -> None:
    """An owner that goes with its dependents, or without them."""
    finalizers = owner["metadata"].get("finalizers") or ()
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


def _orphaned(hands: Hands, document: Document) -> None:
    """Nobody is left who owns it."""
    live = hands.state.get(Ref.of(document))
    if live is None or is_going(live):
        return
    owners = live["metadata"].get("ownerReferences") or ()
    if owners and not any(owner["uid"] in hands.state.uids for owner in owners):
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
    for ref in list(hands.state.spaces.get(name, ())):
        document = hands.state.get(ref)
        if document is not None and not is_going(document):
            hands.delete(document)
    if hands.state.spaces.get(name):
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


def _release(hands: Hands, document: Document) -> None:
    """Claims and volumes are held as long as they are used."""
    if document["kind"] == "PersistentVolume":
        if document["status"].get("phase") != "Bound":
            without_finalizer(hands, document, "kubernetes.io/pv-protection")
        return
    metadata = document["metadata"]
    used = any(
        (volume.get("persistentVolumeClaim") or {}).get("claimName") == metadata["name"]
        for pod in hands.state.of_kind("Pod", metadata["namespace"])
        if pod["status"].get("phase") not in ("Succeeded", "Failed")
        for volume in pod["spec"].get("volumes", ())
    )
    if not used:
        without_finalizer(hands, document, "kubernetes.io/pvc-protection")
