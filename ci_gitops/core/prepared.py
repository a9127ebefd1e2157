"""From what was rendered to what is sent: each object complete, marked as ours, and hooks apart.

Plans, applying, waiting and inventories all start from this one record, so that they speak of the same objects.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ci_gitops.core.desired import desired
from ci_gitops.core.hooks import Hook, Phase, as_applied, hook_name, wishes
from ci_gitops.core.inventory import PART_OF, SOURCE, Inventory, Key, owner_labels
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.targets import Target
from ci_gitops.errors import RenderError

#: (apiVersion, kind) -> whether its objects live in namespaces; None: nobody knows the kind.
Scopes = Callable[[str, str], bool | None]
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PreparedHook:
    """A hook in one of its phases, named and as it is sent."""

    hook: Hook
    document: Document = field(repr=False)

    @property
    def phase(self) -> Phase:
        return self.hook.phase

    def runs(self, *, installing: bool) -> bool:
        """Whether it is for a first deploy of its target, or for a later one."""
        return self.hook.at_install if installing else self.hook.at_upgrade


@dataclass(frozen=True, slots=True)
class Prepared:
    """One target's objects as they are sent. `rendered` is the hash of all that was rendered, hooks included."""

    target: Target
    rendered: str
    documents: tuple[Document, ...] = field(repr=False)
    hooks: tuple[PreparedHook, ...] = field(default=(), repr=False)
    skipped: tuple[Document, ...] = field(default=(), repr=False)  # declared, and by their annotation never applied
    warnings: tuple[str, ...] = ()

    @property
    def keys(self) -> frozenset[Key]:
        """All that is declared and no hook: what is one of these is not pruned."""
        return frozenset(Key.of(document) for document in (*self.documents, *self.skipped))


def prepare(
    target: Target, manifests: Sequence[Manifest], *, namespace: str, scopes: Scopes, inventory: Inventory | None
) -> Prepared:
    """What is sent for `manifests`; RenderError where two of them are one object.

    `namespace` is where objects go that name none. With an `inventory` each object gets the owner's labels and the
    annotation that names the source; without one, as in a folder, nothing is changed and hooks are objects like others.
    """
    rendered = rendered_hash(manifests)
    documents: list[Document] = []
    skipped: list[Document] = []
    warnings: list[str] = []
    hooks: list[PreparedHook] = []
    for manifest in manifests:
        if inventory is None:  # a folder: manifests stay as they were rendered, and nobody runs hooks
            documents.append(manifest.document)
            continue
        sent = _placed(desired(manifest.document), namespace, scopes)
        asked = wishes(sent)
        warnings += [f"{manifest}: there is no hook {word!r}; it is left out." for word in asked.unknown]
        if asked.is_hook:
            hooks += _hooks(sent, asked.hooks, rendered, hooks, inventory)
        else:
            (skipped if asked.skipped else documents).append(_marked(sent, inventory))
    _refuse_doubles(target, [Key.of(document) for document in documents], documents)
    return Prepared(target, rendered, tuple(documents), tuple(hooks), tuple(skipped), tuple(warnings))


def rendered_hash(manifests: Iterable[Manifest]) -> str:
    """Of the whole rendered set, in no order: it tells whether a revision is new for a target."""
    each = sorted(_canonical(manifest.document) for manifest in manifests)
    return hashlib.sha256(b"\0".join(each)).hexdigest()


def _canonical(document: Document) -> bytes:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return text.encode(errors="surrogatepass")


def _placed(sent: dict[str, Any], namespace: str, scopes: Scopes) -> dict[str, Any]:
    """With the namespace that the server would put it in; none where its kind lives in none."""
    namespaced = scopes(sent["apiVersion"], sent["kind"])
    metadata = sent["metadata"]
    if namespaced and not metadata.get("namespace"):
        sent["metadata"] = {**metadata, "namespace": namespace}
    elif namespaced is False and "namespace" in metadata:
        sent["metadata"] = {key: value for key, value in metadata.items() if key != "namespace"}
    return sent


def _marked(sent: dict[str, Any], inventory: Inventory | None, *, member: bool = True) -> dict[str, Any]:
    if inventory is None:
        return sent
    metadata = dict(sent["metadata"])
    labels = owner_labels(inventory)
    if not member:
        del labels[PART_OF]
    metadata["labels"] = {**_mapping(metadata.get("labels")), **labels}
    metadata["annotations"] = {**_mapping(metadata.get("annotations")), SOURCE: inventory.source}
    sent["metadata"] = metadata
    return sent


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _hooks(
    sent: dict[str, Any],
    phases: Iterable[Hook],
    rendered: str,
    before: Sequence[PreparedHook],
    inventory: Inventory | None,
) -> list[PreparedHook]:
    found = []
    for hook in phases:
        metadata = sent["metadata"]
        index = sum(each.phase == hook.phase for each in before)
        name = metadata.get("name") or hook_name(metadata["generateName"], rendered, hook.phase, index)
        found.append(PreparedHook(hook, _marked(as_applied(sent, name), inventory, member=False)))
    return found


def _refuse_doubles(target: Target, keys: Sequence[Key], documents: Sequence[Document]) -> None:
    double = next((key for key, count in Counter(keys).items() if count > 1), None)
    if double is None:
        return
    places = [number for number, key in enumerate(keys, 1) if key == double]
    versions = [str(documents[number - 1]["apiVersion"]) for number in places]
    which = " and ".join(f"object {number} ({version})" for number, version in zip(places, versions, strict=True))
    raise RenderError(
        f"{target}: {double} is rendered {len(places)} times: {which} of {len(keys)}.",
        hint="Two manifests may not declare the same object: `ci-gitops render` shows both.",
    )
