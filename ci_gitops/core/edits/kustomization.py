"""The `images` of a kustomization: found by exact name, changed in place, added as their neighbours are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.edits.records import ImageUse
from ci_gitops.core.images import KEEP, ImageArgument
from ci_gitops.core.text import near
from ci_gitops.core.yamlaliases import Anchors, anchors, look, stands_for
from ci_gitops.core.yamltext import Mapping, Node, Path, Scalar, Sequence, is_null
from ci_gitops.errors import EditError

#: The names under which kustomize finds a kustomization in a folder.
FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KINDS = (None, "Kustomization", "Component")
_FLUX = "kustomize.toolkit.fluxcd.io/"
_OWN = "kustomize.config.k8s.io/"


def is_kustomization(root: Node | None, path: str) -> bool:
    """By the file's name, or by what the document says that it is."""
    api_version = root.text("apiVersion") if isinstance(root, Mapping) else None
    if api_version is not None:
        return api_version.startswith(_OWN)
    return path.rsplit("/", 1)[-1] in FILE_NAMES


def images_path(root: Node | None, path: str) -> Path | None:
    """Where a document keeps entries for images: a kustomization's, or those of Flux's Kustomization."""
    if is_kustomization(root, path):
        return ("images",)
    if isinstance(root, Mapping) and (root.text("apiVersion") or "").startswith(_FLUX):
        return ("spec", "images")
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as kustomize reads it: through aliases and merges, which are refused only where they are edited."""

    node: Mapping
    known: Anchors

    def text(self, name: str) -> str | None:
        value = look(self.node, name, self.known)
        return value.value if isinstance(value, Scalar) and not is_null(value) else None


def set_entry(draft: Draft, document: int, where: Path, image: ImageArgument, *, add: bool) -> bool:
    """Make the entry of one image say what the argument says; False where it has none and none is added."""
    entries = entries_at(draft, document, where)
    number = _number(draft, entries, image)
    if number is None:
        if add:
            _add(draft, document, where, image, entries)
        return add
    _change(draft, document, (*where, number), image)
    return True


def entries_at(draft: Draft, document: int, where: Path) -> list[Entry]:
    """The entries in the order of the file; EditError where they are not a list of maps."""
    root = draft.documents[document]
    if where == ("images",) and isinstance(root, Mapping):
        _check_root(draft, root)
    node = draft.find(document, where)
    if node is None or (isinstance(node, Scalar) and is_null(node)):
        return []
    if not isinstance(node, Sequence):
        raise EditError(f"{draft.path}:{node.line}:{node.column}: images must be a list.")
    known = anchors(draft.parsed, document)
    entries = [stands_for(item, known) for item in node.items]
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            place = node.items[number]
            raise EditError(f"{draft.path}:{place.line}:{place.column}: images[{number}] must be a map with a name.")
    return [Entry(entry, known) for entry in entries if isinstance(entry, Mapping)]


def _check_root(draft: Draft, root: Mapping) -> None:
    kind = root.text("kind")
    if kind not in _KINDS:
        raise EditError(f"{draft.path}: its kind is {kind!r}, where Kustomization or Component was expected.")
    keys = root.keys()
    for key in keys:
        if key.lower() == "images" and key != "images":
            raise EditError(f"{draft.path}: it writes {key!r} where `images` was expected.")


def _number(draft: Draft, entries: list[Entry], image: ImageArgument) -> int | None:
    """The entry of that name, else the only one whose newName is that name."""
    named = [number for number, entry in enumerate(entries) if entry.text("name") == image.name]
    if len(named) > 1:
        first, second = entries[named[0]].node, entries[named[1]].node
        raise EditError(
            f"{draft.path}:{second.line}:{second.column}: images has two entries named {image.name!r} (the first at"
            f" line {first.line}); which one to change is not said.",
            hint="Remove one of the two, then try again.",
        )
    if named or image.new_name not in (None, KEEP):
        return named[0] if named else None
    renamed = [number for number, entry in enumerate(entries) if entry.text("newName") == image.name]
    if len(renamed) != 1:
        return None
    draft.note(f"{image.name} is the newName of the entry {entries[renamed[0]].text('name')!r}; that entry is changed.")
    return renamed[0]


def _add(draft: Draft, document: int, where: Path, image: ImageArgument, entries: list[Entry]) -> None:
    parts = {"newName": image.new_name, "newTag": image.tag, "digest": image.digest}
    given = [(key, value) for key, value in parts.items() if value not in (None, KEEP)]
    names = [name for entry in entries if (name := entry.text("name"))]
    if not given:
        raise EditError(
            f"{draft.path}: it has no entry for {image.name!r} whose values could be kept.",
            hint=f"Its images: {', '.join(names)}." if names else None,
        )
    similar = near(image.name, names)
    if similar:
        draft.note(f"An entry for {image.name!r} was added; there is also one for {similar[0]!r}.")
    draft.append(document, where, [("name", image.name), *((key, str(value)) for key, value in given)])


def _change(draft: Draft, document: int, path: Path, image: ImageArgument) -> None:
    stale = None
    if image.tag not in (None, KEEP) and image.digest is None:
        stale = "digest"
    elif image.digest not in (None, KEEP) and image.tag is None:
        stale = "newTag"
    if stale and (old := _text(draft, document, (*path, stale))):
        what = "the digest" if stale == "digest" else "the tag"
        draft.note(f"{image.name}: {what} {old} was of the image before and is dropped.")
        draft.remove_key(document, (*path, stale))
    renames = image.new_name not in (None, KEEP)
    if renames and image.new_name != (_text(draft, document, (*path, "newName")) or image.name):
        put(draft, document, (*path, "newName"), str(image.new_name), after="name")
    if image.tag not in (None, KEEP):
        put(draft, document, (*path, "newTag"), str(image.tag), after="newName")
    if image.digest not in (None, KEEP):
        put(draft, document, (*path, "digest"), str(image.digest), after="newTag")


def put(draft: Draft, document: int, path: Path, value: str, *, after: str) -> None:
    """Set a value, or add its key after `after` (else after the name, else last)."""
    if draft.find(document, path) is not None:
        draft.set(document, path, value)
        return
    parent = draft.find(document, path[:-1])
    names = parent.keys() if isinstance(parent, Mapping) else []
    draft.insert_key(document, path, value, after=after if after in names else "name" if "name" in names else None)


def _text(draft: Draft, document: int, path: Path) -> str | None:
    node = draft.find(document, path)
    return node.value if isinstance(node, Scalar) and not is_null(node) and node.value else None


def uses(root: Mapping, where: Path, known: Anchors) -> Iterator[ImageUse]:
    """The images that a kustomization declares."""
    node: Node | None = root
    for part in where:
        node = look(node, str(part), known)
    for number, item in enumerate(node.items if isinstance(node, Sequence) else ()):
        entry = stands_for(item, known)
        if isinstance(entry, Mapping) and (name := Entry(entry, known).text("name")):
            field = ".".join(map(str, where)) + f"[{number}]"
            tag, digest, new_name = (Entry(entry, known).text(key) for key in ("newTag", "digest", "newName"))
            yield ImageUse(name, tag, digest, field, item.line, "kustomization", new_name)
