"""What leaves: the objects that a target holds and Git declares no longer, behind many seat belts.

Inventory, labels and UID must all say that it is ours, or it stays; where anything could not be read, nothing goes.
What stays for a reason keeps its place in the inventory, so that the next pass sees it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ci_gitops.core.differences import Compared, deleted, skipped
from ci_gitops.core.guards import Refusal
from ci_gitops.core.hooks import wishes
from ci_gitops.core.inventory import Inventory, Key, Member, owner_labels
from ci_gitops.core.stages import removal
from ci_gitops.core.text import counted

Document = Mapping[str, Any]
#: Kinds that take more with them than themselves, or what no Git brings back.
NAMED_ONLY = frozenset(("Namespace", "CustomResourceDefinition", "PersistentVolumeClaim"))
_NEVER = "default"  # namespaces that every cluster has; so are kube-*
_APPROVED = ("ci-gitops/deletion-approved", "argocd.argoproj.io/deletion-approved")
_FLUX = "kustomize.toolkit.fluxcd.io/prune"
_MANY, _SHARE = 3, 50  # objects and percent of the inventory: more of both at once is a mass deletion


@dataclass(frozen=True, slots=True, kw_only=True)
class Belts:
    """How prune was asked for. `whole`: the target itself goes, by `delete`, and nobody is surprised by many."""

    kinds: frozenset[str] = frozenset()  # --prune-kind
    limit: int | None = None  # --prune-limit, in percent
    whole: bool = False
    labelled: bool = True  # False for a folder, whose objects bear no labels
    manager: str = "ci-gitops"


@dataclass(frozen=True, slots=True)
class Kept:
    """A member that stays although Git does not declare it. `warn` where a person should know."""

    member: Member
    reason: str
    live: Document | None = None
    warn: bool = True


@dataclass(frozen=True, slots=True)
class Leaving:
    """What becomes of the members that are not declared any more."""

    deletes: tuple[Document, ...] = ()  # live objects, in the order to remove them
    kept: tuple[Kept, ...] = ()
    forgotten: tuple[Member, ...] = ()  # gone already, or somebody else's now
    refusal: Refusal | None = None  # the whole pass is refused
    why: str = "No longer in Git."

    @property
    def compared(self) -> tuple[Compared, ...]:
        """For the plan: what goes, and what stays with its reason."""
        gone = tuple(deleted(live, self.why) for live in self.deletes)
        return gone + tuple(skipped(kept.live, kept.reason) for kept in self.kept if kept.warn and kept.live)


def leaving(
    inventory: Inventory,
    declared: Collection[Key],
    live: Callable[[Key], Document | None],
    *,
    failed: Callable[[Key], str | None],
    doubt: str | None = None,
    belts: Belts = Belts(),
) -> Leaving:
    """Decide about every member that is not in `declared`.

    `failed` says why nobody knows whether an object is there, `doubt` is why nothing at all may be pruned.
    """
    used = {str(_metadata(document).get("uid") or "") for key in declared if (document := live(key))} - {""}
    judging = _Judging(inventory, belts, frozenset(used))
    deletes: list[Document] = []
    kept: list[Kept] = []
    forgotten: list[Member] = []
    for member in sorted(inventory.members):
        if member.key in declared:
            continue
        unknown = failed(member.key)
        document = None if unknown else live(member.key)
        words = unknown or doubt
        verdict = Kept(member, f"It stays, since not everything is known: {words}", document) if words else (
            judging.verdict(member, document)
        )  # fmt: skip
        if isinstance(verdict, Kept):
            kept.append(verdict)
        elif verdict == "delete" and document is not None:
            deletes.append(document)
        else:
            forgotten.append(member)
    ordered = tuple(document for stage in removal(deletes) for document in stage)
    refusal = _mass(inventory, len(ordered), belts)
    why = "Its app is removed." if belts.whole else "No longer in Git."
    return Leaving(ordered, tuple(kept), tuple(forgotten), refusal, why)


@dataclass(frozen=True, slots=True)
class _Judging:
    inventory: Inventory
    belts: Belts
    used: frozenset[str]  # UIDs of objects that are declared, perhaps under another group

    def verdict(self, member: Member, live: Document | None) -> Kept | str:
        """`delete`, `forget`, or why it stays."""
        if live is None:
            return "forget"
        metadata = _metadata(live)
        if str(metadata.get("uid") or "") in self.used:
            return "forget"  # the same object, declared in another API group
        if self.belts.labelled:
            found = self._belongs(member, live)
            if found is not None:
                return found
        if metadata.get("deletionTimestamp"):
            return Kept(member, "It is being deleted already.", live, warn=False)
        if wishes(live).is_hook:
            return "forget"
        reason = self._belted(member, live)
        return Kept(member, reason, live) if reason else "delete"

    def _belongs(self, member: Member, live: Document) -> Kept | str | None:
        """None where labels and UID say what the inventory says."""
        metadata = _metadata(live)
        labels = metadata.get("labels") or {}
        wanted = owner_labels(self.inventory)
        if any(labels.get(name) not in (None, value) for name, value in wanted.items()):
            return "forget"  # it is another app's now, or another source's
        if any(name not in labels for name in wanted):
            return Kept(member, "It stays: its labels do not say any more that it is ours.", live)
        if member.uid and member.uid != metadata.get("uid"):
            return Kept(member, "It stays: it is not the object that we applied, but one of the same name.", live)
        managers = {entry.get("manager") for entry in metadata.get("managedFields") or ()}
        if not member.uid and self.belts.manager not in managers:
            return Kept(member, "It stays: nothing says that we applied it.", live)
        return None

    def _belted(self, member: Member, live: Document) -> str | None:
        """Why an object that is ours stays nevertheless."""
        kind, name = member.key.kind, member.key.name
        if kind == "Namespace" and member.key.group == "" and (name == _NEVER or name.startswith("kube-")):
            return "It stays: Kubernetes needs this namespace."
        if kind in NAMED_ONLY and kind.lower() not in {named.lower() for named in self.belts.kinds}:
            return f"It stays: a {kind} is deleted only with --prune-kind {kind}."
        if _metadata(live).get("ownerReferences"):
            return "It stays: it belongs to another object (ownerReferences), which removes it."
        return self._opted_out(live)

    def _opted_out(self, live: Document) -> str | None:
        annotations = _metadata(live).get("annotations") or {}
        options = wishes(live).options
        wanted = options.delete if self.belts.whole else options.prune
        if wanted == "no" or annotations.get(_FLUX) == "disabled":
            return "It stays: its annotation says that it is not to be deleted."
        if wanted == "confirm" and not any(annotations.get(name) for name in _APPROVED):
            return f"It stays until a person approves: set its annotation {_APPROVED[0]} to any text."
        return None


def _mass(inventory: Inventory, count: int, belts: Belts) -> Refusal | None:
    """More than half of what a target holds, and not just a few: rather a mistake than a wish."""
    held = len(inventory.members)
    limit = _SHARE if belts.limit is None else belts.limit
    if belts.whole or count < _MANY or count * 100 <= held * limit:
        return None
    percent = -(-count * 100 // held)
    return Refusal(
        f"{inventory.target}: {count} of its {counted(held, 'object')} would be deleted ({percent} %, the limit is "
        f"{limit} %). Nothing is written.",
        f"Is that what you want? --prune-limit {percent}% allows it.",
    )


def remaining(inventory: Inventory, applied: Iterable[Member], left: Leaving, gone: Collection[Key]) -> Inventory:
    """What the target holds then: what was `applied`, and of what is not declared all that was not seen to go.

    `gone` are the deleted objects whose end was confirmed.
    """
    members = {member.key: member for member in applied}
    forgotten = {member.key for member in left.forgotten}
    for member in inventory.members:
        if member.key not in gone and member.key not in forgotten:
            members.setdefault(member.key, member)
    return replace(inventory, members=tuple(sorted(members.values())))


def _metadata(document: Document) -> Document:
    found = document.get("metadata")
    return found if isinstance(found, Mapping) else {}
