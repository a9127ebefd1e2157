"""The images that one target declares at a revision, read from its files as they are: nothing is rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ci_gitops.core.edits import ImageUse, image_uses
from ci_gitops.core.update_work import TargetFiles, yaml_files
from ci_gitops.core.uses import Entry, Tree, kustomization_file, read_kustomization, reference, visible_images, walk
from ci_gitops.core.yamltext import find, parse, parse_path
from ci_gitops.errors import EditError


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of a target's files that says which version of an image it is: an entry, a key of values."""

    key: str  # the same in every environment of the app
    name: str  # by which an update finds it
    image: str  # the name that it is pulled by
    there: str  # the whole reference
    own: bool  # in the files of the target alone; others it shares with its neighbours


def images_in(tree: Tree, files: TargetFiles) -> tuple[str, ...]:
    """Their references, sorted; what only a chart's or a program's templates name is not among them."""
    return tuple(sorted({slot.there for slot in slots_of(tree, files)}))


def slots_of(tree: Tree, files: TargetFiles) -> tuple[Slot, ...]:
    """Where they are declared: of an overlay its own entries first."""
    folder = files.target.path
    if path := kustomization_file(tree, folder):
        return _of_overlay(tree, folder, path)
    if files.values:
        return _of_values(tree, files.values)
    texts = tree.read(yaml_files(tree, files.target))
    uses = (use for text in texts.values() for use in image_uses(text))
    return tuple(dict.fromkeys(_slot(use.name, use, own=True) for use in uses))


def _slot(key: str, use: ImageUse, *, own: bool) -> Slot:
    return Slot(key, use.name, use.effective, reference(use.effective, use.tag, use.digest), own)


def _of_overlay(tree: Tree, folder: str, path: str) -> tuple[Slot, ...]:
    below = visible_images(walk(tree, folder), folder)
    own = [_of_entry(each, below) for each in read_kustomization(tree, path, tree.read([path]).get(path, "")).entries]
    named = {slot.name for slot in own}
    return (*own, *(Slot(name, name, name, there, own=False) for name, there in below.items() if name not in named))


def _of_entry(entry: Entry, below: Mapping[str, str]) -> Slot:
    """An entry that gives only a new name leaves the version as it is below."""
    image = entry.new_name or entry.name
    kept = below.get(entry.name, "").removeprefix(entry.name) if not (entry.tag or entry.digest) else ""
    return Slot(entry.name, entry.name, image, entry.reference + kept, own=True)


def _of_values(tree: Tree, paths: Sequence[str]) -> tuple[Slot, ...]:
    texts = tree.read(paths)
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            loaded = yaml.load(texts.get(path, ""), yaml.BaseLoader)  # noqa: S506 - makes texts, lists and mappings only
        except (yaml.YAMLError, RecursionError) as error:
            raise EditError(f"{path} is not YAML: {str(error).splitlines()[0]}.") from error
        merged = _over(merged, loaded) if isinstance(loaded, Mapping) else merged
    own = texts.get(paths[-1], "")
    uses = image_uses(yaml.safe_dump(merged, sort_keys=False))
    return tuple(_slot(use.field, use, own=_says(own, use.field)) for use in uses)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Helm's way: of two files the later one wins, key by key."""
    merged = dict(below)
    for name, value in above.items():
        under = below.get(name)
        merged[name] = _over(under, value) if isinstance(value, Mapping) and isinstance(under, Mapping) else value
    return merged


def _says(text: str, key: str) -> bool:
    """Whether these values say anything at the key."""
    try:
        return find(parse(text), 0, parse_path(key)) is not None
    except EditError:
        return False
