"""The images that a target uses now, by the names that an update takes, with what keeps one from being followed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ci_gitops.core.images import ImageRef
from ci_gitops.core.target_images import Slot, slots_of
from ci_gitops.core.update_work import TargetFiles, yaml_files
from ci_gitops.core.uses import Tree
from ci_gitops.core.yamltext import parse
from ci_gitops.errors import EditError, UsageError


@dataclass(frozen=True, slots=True)
class ImageInUse:
    """One image. `name` is what an update calls it, `pulled` where it comes from.

    `problem` says why it cannot be followed.
    """

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
    return _joined(_read(slot) for slot in slots_of(tree, files))


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


def _read(slot: Slot) -> ImageInUse:
    rest, _, digest = slot.there.partition("@")
    colon = rest.find(":", rest.rfind("/") + 1)
    tag = rest[colon + 1 :] if colon >= 0 else ""
    return ImageInUse(slot.name, slot.image, tag or None, digest or None)


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
