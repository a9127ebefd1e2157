"""Images of plain manifests: those of containers wherever a pod template stands, and one string by its path."""

from __future__ import annotations

from collections.abc import Iterator

from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.edits.records import ImageUse
from ci_gitops.core.images import KEEP, ImageArgument, ImageRef
from ci_gitops.core.yamlaliases import Anchors, anchors, look
from ci_gitops.core.yamltext import Mapping, Node, Path, Scalar, path_text, walk
from ci_gitops.errors import EditError, UsageError

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


class OtherImageError(EditError):
    """At the place that was named stands another image."""


def is_manifest(root: Node | None) -> bool:
    return isinstance(root, Mapping) and root.text("apiVersion") is not None and root.text("kind") is not None


def containers(root: Node | None, known: Anchors) -> Iterator[tuple[Path, Scalar, ImageRef]]:
    """Each container's image: of pods, of pod templates at any depth, of the items of a List."""
    for path, node in walk(root):
        if len(path) < 2 or path[-2] not in _CONTAINERS or not isinstance(path[-1], int):
            continue
        scalar = look(node, "image", known)
        reference = read(scalar.value) if isinstance(scalar, Scalar) else None
        if isinstance(scalar, Scalar) and reference:
            yield (*path, "image"), scalar, reference


def read(text: str) -> ImageRef | None:
    """The reference that `text` is, if it is one."""
    try:
        return ImageRef.parse(text)
    except UsageError:
        return None


def set_containers(draft: Draft, document: int, image: ImageArgument) -> bool:
    """Change each container that runs the image; whether there is one."""
    found = containers(draft.documents[document], anchors(draft.parsed, document))
    matching = [(path, reference) for path, _, reference in found if reference.name == image.name]
    for path, reference in matching:
        draft.set(document, path, str(changed(draft, reference, image)))
    return bool(matching)


def set_string(draft: Draft, document: int, path: Path, image: ImageArgument) -> None:
    """Change the reference that is one string at `path`."""
    node = draft.find(document, path)
    if not isinstance(node, Scalar):
        raise EditError(f"{draft.path}: {path_text(path)} is not an image reference.")
    reference = read(node.value)
    where = f"{draft.path}:{node.line}:{node.column}"
    if reference is None and (image.new_name in (None, KEEP) or node.value):
        raise EditError(f"{where}: {path_text(path)} is {node.value!r}, which is not an image reference.")
    current = reference or ImageRef(str(image.new_name))
    check_name_at(draft, where, path, current.name, image)
    draft.set(document, path, str(changed(draft, current, image)))


def check_name_at(draft: Draft, where: str, path: Path, current: str, image: ImageArgument) -> None:
    """Where the place is given by its path, the argument's name must still be that image's, at least its end."""
    if image.new_name is not None or current == image.name or f"/{current}".endswith(f"/{image.name}"):
        return
    raise OtherImageError(
        f"{where}: {path_text(path)} is the image {current!r}, not {image.name!r}.",
        hint=f"To put another image there write {image.name}={image.wanted}.",
    )


def changed(draft: Draft, current: ImageRef, image: ImageArgument) -> ImageRef:
    """The reference that the argument makes of the current one; what goes stale is dropped, and it is said."""
    name = current.name if image.new_name in (None, KEEP) else str(image.new_name)
    tag = current.tag if image.tag in (None, KEEP) else image.tag
    digest = current.digest if image.digest in (None, KEEP) else image.digest
    if image.tag not in (None, KEEP) and image.digest is None and current.digest:
        draft.note(f"{image.name}: the digest {current.digest} was of the image before and is dropped.")
        digest = None
    if image.digest not in (None, KEEP) and image.tag is None and current.tag:
        draft.note(f"{image.name}: the tag {current.tag} was of the image before and is dropped.")
        tag = None
    return ImageRef(name, tag, digest)


def uses(root: Mapping, known: Anchors) -> Iterator[ImageUse]:
    """The images of a manifest's containers."""
    for path, scalar, reference in containers(root, known):
        yield ImageUse(reference.name, reference.tag, reference.digest, path_text(path), scalar.line, "manifest")
