"""Objects and those that their controllers made of them, down to the pod whose container holds everything up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ci_gitops.core.health import Health
from ci_gitops.core.health.fields import at, mappings, number, text
from ci_gitops.core.inventory import Key

Document = Mapping[str, Any]
_REVISION = "deployment.kubernetes.io/revision"
_DEEPEST = 8  # an object may name itself, or its child, as its owner


@dataclass(frozen=True, slots=True)
class Node:
    """One object, how it does, and what came from it."""

    key: Key
    health: Health
    document: Document = field(repr=False)
    children: tuple[Node, ...] = ()

    @property
    def uid(self) -> str:
        return text(self.document, "metadata", "uid")

    def every(self) -> Iterator[Node]:
        """This one and all below it."""
        yield self
        for child in self.children:
            yield from child.every()

    def trail(self) -> tuple[Node, ...]:
        """From this object down to the one whose trouble explains its own; what is on its way out explains nothing."""
        troubled = [child for child in self.current() if child.health.status not in ("healthy", "suspended")]
        if not troubled:
            return (self,)
        worst = troubled[0]
        for child in troubled[1:]:
            worst = child if child.health.is_worse(worst.health) else worst
        return (self, *worst.trail())

    def current(self) -> tuple[Node, ...]:
        """The children that decide: of a Deployment's ReplicaSets the newest, and nothing that is being deleted."""
        alive = tuple(each for each in self.children if at(each.document, "metadata", "deletionTimestamp") is None)
        sets = [each for each in alive if each.key.kind == "ReplicaSet"]
        if self.key.kind != "Deployment" or not sets:
            return alive
        return (max(sets, key=_rollout),)


def _rollout(node: Node) -> tuple[int, str]:
    written = text(node.document, "metadata", "annotations", _REVISION)
    revision = int(written) if written.isdecimal() and len(written) < 18 else 0
    return revision, text(node.document, "metadata", "creationTimestamp")


def grow(root: Document, pool: Iterable[Document], assess: Callable[[Document], Health]) -> Node:
    """The tree of `root` from a pool of objects that may be its children: by their ownerReferences, and the claims
    that a pod uses.
    """
    by_owner: dict[str, list[Document]] = {}
    claims: dict[tuple[str, str], Document] = {}
    for document in pool:
        for owner in mappings(document, "metadata", "ownerReferences"):
            by_owner.setdefault(text(owner, "uid"), []).append(document)
        if document.get("kind") == "PersistentVolumeClaim":
            claims[text(document, "metadata", "namespace"), text(document, "metadata", "name")] = document
    return _node(root, _Pool(by_owner, claims, assess), _DEEPEST)


@dataclass(frozen=True, slots=True)
class _Pool:
    by_owner: Mapping[str, list[Document]]
    claims: Mapping[tuple[str, str], Document]
    assess: Callable[[Document], Health]

    def children(self, document: Document) -> Iterator[Document]:
        yield from self.by_owner.get(text(document, "metadata", "uid") or "-", ())
        if document.get("kind") == "Pod":
            namespace = text(document, "metadata", "namespace")
            places = ((namespace, name) for name in claims_of(document))
            yield from (self.claims[place] for place in places if place in self.claims)


def _node(document: Document, pool: _Pool, deep: int) -> Node:
    found = pool.children(document) if deep else ()
    children = [_needed(_node(child, pool, deep - 1)) for child in found if not _is_retired(child)]
    children.sort(key=lambda node: node.key)
    return Node(Key.of(document), pool.assess(document), document, tuple(children))


def _needed(claim: Node) -> Node:
    """A claim without a volume, which is no trouble until a pod waits for it."""
    if text(claim.document, "status", "phase") != "Pending" or claim.health.status != "healthy":
        return claim
    storage = text(claim.document, "spec", "storageClassName")
    return replace(claim, health=Health("progressing", f"It has no volume, and a pod waits for it (class {storage})."))


def claims_of(pod: Document) -> tuple[str, ...]:
    """The names of the PersistentVolumeClaims that a pod uses."""
    volumes = mappings(pod, "spec", "volumes")
    names = (text(each, "persistentVolumeClaim", "claimName") for each in volumes)
    return tuple(name for name in names if name)


def _is_retired(document: Document) -> bool:
    """A ReplicaSet that is only kept for a way back."""
    if document.get("kind") != "ReplicaSet":
        return False
    return number(document, "spec", "replicas", default=1) == 0 and number(document, "status", "replicas") == 0
