"""The images that a target uses now, with their versions: where an update would write, and what stands there.

Found as `core.update_images` finds them, so that what is looked up is what would be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ci_gitops.core.edits import image_uses
from ci_gitops.core.images import ImageRef
from ci_gitops.core.update_work import TargetFiles, yaml_files
from ci_gitops.core.uses import Tree, kustomization_file, read_kustomization, visible_images, walk
from ci_gitops.core.yamltext import Mapping, parse, parse_path
from ci_gitops.errors import EditError, UsageError


@dataclass(frozen=True, slots=True)
class ImageInUse:
    """One image. `name` is what an update calls it, `pulled` where it comes from; `problem`: why it cannot be followed."""

    name: str
    pulled: str
    tag: str | None = None
    digest: str | None = None
    problem: str | None = None

    @property
    def reference(self) -> str:
        return str(ImageRef(self.pulled, self.tag, self.digest))

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, self.pulled)


def images_in_use(files: TargetFiles, tree: Tree) -> dict[str, ImageInUse]:
    """By the name that an update takes. EditError where a file cannot be read."""
    path = kustomization_file(tree, files.target.path)
    if path:
        found = _of_kustomization(tree, files, path)
    elif files.values:
        found = _of_values(tree, files)
    else:
        found = _of_manifests(tree, files)
    return _joined(found)


def _joined(found: Iterable[ImageInUse]) -> dict[str, ImageInUse]:
    """One for each name; an update would bring all its places to the same version."""
    joined: dict[str, ImageInUse] = {}
    for image in map(_checked, found):
        before = joined.setdefault(image.name, image)
        if (before.tag, before.digest) != (image.tag, image.digest) and not before.problem:
            problem = f"it is used in two versions, {before.reference} and {image.reference}: update it once by hand"
            joined[image.name] = ImageInUse(image.name, image.pulled, None, None, problem)
    return joined


def _checked(image: ImageInUse) -> ImageInUse:
    try:
        ImageRef.parse(image.reference)
    except UsageError:
        problem = f"{image.reference} is a template or a placeholder, no image of a registry"
        return ImageInUse(image.name, image.pulled, image.tag, image.digest, problem)
    return image


def _read(name: str, reference: str) -> ImageInUse:
    """From a reference as the walk of kustomizations gives it."""
    rest, _, digest = reference.partition("@")
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    pulled, tag = (rest[:colon], rest[colon + 1 :]) if colon >= 0 else (rest, "")
    return ImageInUse(name, pulled, tag or None, digest or None)


def _of_kustomization(tree: Tree, files: TargetFiles, path: str) -> Iterator[ImageInUse]:
    folder = files.target.path
    below = visible_images(walk(tree, folder), folder)
    entries = read_kustomization(tree, path, tree.read([path])[path]).entries
    for entry in entries:
        base = _read(entry.name, below.get(entry.name, entry.name))
        tag = entry.tag or (None if entry.digest else base.tag)
        digest = entry.digest or (None if entry.tag else base.digest)
        yield ImageInUse(entry.name, entry.new_name or base.pulled, tag, digest)
    named = {entry.name for entry in entries}
    yield from (_read(name, reference) for name, reference in below.items() if name not in named)


def _of_values(tree: Tree, files: TargetFiles) -> Iterator[ImageInUse]:
    """Later files win; an environment's own may hold the tag alone."""
    texts = tree.read(files.values)
    found: dict[str, ImageInUse] = {}
    for path in files.values:
        text = texts.get(path)
        if text is None:
            continue
        for key, image in found.items():
            tag, digest = _scalar(text, path, key, "tag"), _scalar(text, path, key, "digest")
            if tag or digest:
                found[key] = ImageInUse(image.name, image.pulled, tag or image.tag, digest or image.digest)
        for use in image_uses(text, path=path):
            found[use.field] = ImageInUse(use.name, use.name, use.tag, use.digest)
    yield from found.values()


def _scalar(text: str, path: str, key: str, name: str) -> str | None:
    node = next(iter(parse(text, path).documents), None)
    for part in parse_path(key):
        node = node.get(part) if isinstance(node, Mapping) and isinstance(part, str) else None
    return node.text(name) if isinstance(node, Mapping) else None


def _of_manifests(tree: Tree, files: TargetFiles) -> Iterator[ImageInUse]:
    for path, text in tree.read(yaml_files(tree, files.target)).items():
        for use in image_uses(text, path=path):
            yield ImageInUse(use.name, use.effective, use.tag, use.digest)


def templates_among(files: TargetFiles, tree: Tree) -> tuple[str, ...]:
    """The target's files that are templates, in which no image can be found."""
    found = []
    for path, text in tree.read(yaml_files(tree, files.target)).items():
        try:
            if parse(text, path).template:
                found.append(path)
        except EditError:
            found.append(path)
    return tuple(found)
