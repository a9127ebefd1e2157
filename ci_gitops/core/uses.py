"""Which images a target uses, found by walking its declaration: an overlay with its bases, components and patches.

Nothing is rendered: the walk answers "would an entry for this image change anything" without a renderer, and
reads each level of the tree in one go, so that a repository on a server costs one request a level.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from collections.abc import Mapping as Texts
from dataclasses import dataclass, field
from typing import Protocol

from ci_gitops.core.edits import image_uses
from ci_gitops.core.layout import KUSTOMIZATIONS
from ci_gitops.core.yamltext import Mapping, Node, Scalar, Sequence, parse
from ci_gitops.errors import EditError

_DEEPEST = 32  # levels of bases below an overlay
_MOST = 2_000  # kustomizations in one walk
_YAML = (".yaml", ".yml", ".json")


class Tree(Protocol):
    """The files of a config repository at one revision."""

    def holds(self, path: str) -> bool:
        """Is there a file or folder at `path`? `.` is the root."""
        ...

    def files(self) -> tuple[str, ...]:
        """Every file's path."""
        ...

    def read(self, paths: Iterable[str]) -> Texts[str, str]:
        """The texts of those `paths` that are files."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a kustomization's `images`."""

    name: str
    new_name: str | None = None
    tag: str | None = None
    digest: str | None = None

    @property
    def reference(self) -> str:
        """What the entry makes of its image, as far as it says."""
        return reference(self.new_name or self.name, self.tag, self.digest)


def reference(name: str, tag: str | None, digest: str | None) -> str:
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


@dataclass(frozen=True, slots=True)
class Kustomization:
    """What the walk needs of one kustomization file; paths are the repository's."""

    file: str
    entries: tuple[Entry, ...] = ()
    folders: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # remote bases, generators, charts: what no walk can look into


@dataclass(slots=True)
class Walk:
    """All that was found below one folder."""

    kustomizations: dict[str, Kustomization] = field(default_factory=dict)  # by folder
    images: dict[str, dict[str, str]] = field(default_factory=dict)  # manifest -> image name -> reference


def kustomization_file(tree: Tree, folder: str) -> str | None:
    """The one kustomization of `folder`; EditError where there are two, as kustomize itself says."""
    found = [path for name in KUSTOMIZATIONS if tree.holds(path := join(folder, name))]
    if len(found) > 1:
        raise EditError(
            f"{folder} holds two kustomizations: {' and '.join(found)}.",
            hint="Delete one of them: kustomize refuses such a folder too.",
        )
    return found[0] if found else None


def join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def walk(tree: Tree, folder: str) -> Walk:
    """Read the kustomization of `folder` and all that it refers to, level by level."""
    found = Walk()
    frontier = [folder]
    manifests: list[str] = []
    for _ in range(_DEEPEST):
        files = {path: each for each in frontier if (path := kustomization_file(tree, each))}
        texts = tree.read(files)
        for path, text in texts.items():
            found.kustomizations[files[path]] = read_kustomization(tree, path, text)
        level = [found.kustomizations[each] for each in files.values() if each in found.kustomizations]
        manifests += [path for each in level for path in each.manifests]
        below = dict.fromkeys(each for one in level for each in one.folders)
        frontier = [each for each in below if each not in found.kustomizations]
        if not frontier or len(found.kustomizations) > _MOST:
            break
    for path, text in tree.read(dict.fromkeys(manifests)).items():
        uses = image_uses(text, path=path)
        found.images[path] = {use.name: reference(use.name, use.tag, use.digest) for use in uses}
    return found


def read_kustomization(tree: Tree, path: str, text: str) -> Kustomization:
    """The parts of one kustomization that say which images it sees."""
    document = next(iter(parse(text, path).documents), None)
    if not isinstance(document, Mapping):
        return Kustomization(path)
    folder = posixpath.dirname(path) or "."
    folders, manifests, unseen = [], [], []
    for reference in _references(document):
        place = posixpath.normpath(join(folder, reference)) if not posixpath.isabs(reference) else ".."
        if place == ".." or place.startswith("../") or not tree.holds(place):
            unseen.append(reference)
        elif kustomization_file(tree, place):
            folders.append(place)
        elif place.endswith(_YAML):
            manifests.append(place)
    unseen += [key for key in ("helmCharts", "generators", "transformers") if _items(document, key)]
    return Kustomization(path, _entries(document), tuple(folders), tuple(manifests), tuple(unseen))


def _references(document: Mapping) -> list[str]:
    """What is read besides the file itself; a patch that is written in place is not a path."""
    keys = ("resources", "bases", "components", "patchesStrategicMerge")
    found = [item.value for key in keys for item in _items(document, key) if isinstance(item, Scalar)]
    patches = [item.text("path") for item in _items(document, "patches") if isinstance(item, Mapping)]
    return [item for item in (*found, *patches) if item and "\n" not in item]


def _items(document: Mapping, key: str) -> list[Node]:
    value = document.get(key)
    return value.items if isinstance(value, Sequence) else []


def _entries(document: Mapping) -> tuple[Entry, ...]:
    items = [item for item in _items(document, "images") if isinstance(item, Mapping)]
    return tuple(
        Entry(name, item.text("newName"), item.text("newTag"), item.text("digest"))
        for item in items
        if (name := item.text("name"))
    )


def visible_images(found: Walk, folder: str) -> dict[str, str]:
    """The images that an `images` entry of `folder` can match: name -> reference, as its bases leave them."""
    return _visible(found, folder, frozenset(), own_entries=False)


def _visible(found: Walk, folder: str, above: frozenset[str], *, own_entries: bool) -> dict[str, str]:
    kustomization = found.kustomizations.get(folder)
    if kustomization is None or folder in above:
        return {}
    images: dict[str, str] = {}
    for each in kustomization.folders:
        images |= _visible(found, each, above | {folder}, own_entries=True)
    for path in kustomization.manifests:
        images |= found.images.get(path, {})
    if not own_entries:
        return images
    for entry in kustomization.entries:
        # A component's entries apply to the images of whoever includes it, which this walk does not see from here.
        images.pop(entry.name, None)
        images[entry.new_name or entry.name] = entry.reference
    return images


def unseen_parts(found: Walk) -> tuple[str, ...]:
    """What the walk could not look into, so that "not found" is no proof."""
    return tuple(dict.fromkeys(part for each in found.kustomizations.values() for part in each.unseen))
