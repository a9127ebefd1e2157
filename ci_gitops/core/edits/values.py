"""Images in Helm values: maps of `repository`, `registry`, `tag` and `digest`, or one string."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.edits.kustomization import put
from ci_gitops.core.edits.manifests import check_name_at, read, set_string
from ci_gitops.core.edits.records import ImageUse
from ci_gitops.core.images import KEEP, ImageArgument, ImageRef
from ci_gitops.core.yamlaliases import Anchors, anchors, look, stands_for
from ci_gitops.core.yamltext import Mapping, Node, Path, Scalar, is_null, path_text, walk
from ci_gitops.errors import EditError

_NAME_KEYS = ("repository", "image", "name")
_VERSION_KEYS = ("tag", "digest")
_PART_KEYS = ("tag", "digest", "repository", "registry")
#: Where other manifests carry Helm values: Flux's HelmRelease, Argo CD's Application, kustomize's helmCharts.
_VALUE_KEYS = ("values", "valuesObject", "valuesInline")


@dataclass(frozen=True, slots=True)
class ValuesImage:
    """What a map of values says of its image."""

    name: str
    tag: str | None
    digest: str | None
    name_key: str | None
    registry: str | None = None  # where it stands in a key of its own
    joined: bool = False  # the tag holds the digest as well: `1.2@sha256:…`


def values_image(node: Node, known: Anchors) -> ValuesImage:
    def text(key: str) -> str | None:
        value = look(node, key, known)
        return value.value if isinstance(value, Scalar) and not is_null(value) else None

    name_key = next((key for key in _NAME_KEYS if text(key) is not None), None)
    registry = text("registry") or None
    name = (text(name_key) or "") if name_key else ""
    tag, at, digest = (text("tag") or "").partition("@")
    full = f"{registry}/{name}" if registry and name else name
    return ValuesImage(
        full, tag or None, (digest if at else text("digest")) or None, name_key, registry, joined=bool(at)
    )


def is_values(root: Node | None) -> bool:
    """A map that is neither a manifest nor a chart."""
    return isinstance(root, Mapping) and root.text("apiVersion") is None and root.text("kind") is None


def places(
    root: Node | None, known: Anchors, *, within_manifest: bool = False
) -> Iterator[tuple[Path, Node, ImageRef]]:
    """Each place that declares an image; in a manifest only under the keys that hold Helm values."""
    maps: set[Path] = set()
    for path, written in walk(root):
        if within_manifest and not any(part in _VALUE_KEYS for part in path):
            continue
        node = stands_for(written, known)
        if isinstance(node, Mapping) and _declares(path, node, known):
            maps.add(path)
            image = values_image(node, known)
            yield path, written, ImageRef(image.name, image.tag, image.digest)
        elif isinstance(node, Scalar) and path and path[:-1] not in maps and str(path[-1]).lower().endswith("image"):
            reference = read(node.value)
            if reference:
                yield path, written, reference


def _declares(path: Path, node: Mapping, known: Anchors) -> bool:
    """A map with a repository and something that makes it an image's; `name` alone says too little."""

    def has(key: str, *, filled: bool) -> bool:
        value = look(node, key, known)
        return isinstance(value, Scalar) and not (filled and (is_null(value) or not value.value))

    if not any(has(key, filled=True) for key in ("repository", "image")):
        return False
    is_image = bool(path) and str(path[-1]).lower().endswith("image")
    return is_image or any(has(key, filled=False) for key in _VERSION_KEYS)


def set_matching(draft: Draft, document: int, image: ImageArgument, *, within_manifest: bool = False) -> bool:
    """Change each place that declares the image by its exact name; whether there is one."""
    known = anchors(draft.parsed, document)
    found = places(draft.documents[document], known, within_manifest=within_manifest)
    matching = [path for path, _, reference in found if reference.name == image.name]
    for path in matching:
        set_at(draft, document, path, image)
    return bool(matching)


def set_at(draft: Draft, document: int, path: Path, image: ImageArgument) -> None:
    """Change the image at a path: a map, or one string."""
    node = draft.find(document, path)
    parent = draft.find(document, path[:-1])
    if isinstance(node, Scalar) and isinstance(parent, Mapping):
        if path[-1] in _PART_KEYS:
            _refuse_part(draft, node, path, image)
        if path[-1] == "image" and _is_half(node, parent):
            path, node = path[:-1], parent
    if not isinstance(node, Mapping):
        set_string(draft, document, path, image)
        return
    current = values_image(node, anchors(draft.parsed, document))
    where = f"{draft.path}:{node.line}:{node.column}"
    keys = node.keys()
    if current.name_key is None and not any(key in _VERSION_KEYS for key in keys):
        raise EditError(
            f"{where}: {path_text(path)} has neither repository nor tag nor digest.",
            hint=f"Its keys: {', '.join(keys)}.",
        )
    if current.name:
        check_name_at(draft, where, path, current.name, image)
    if image.new_name not in (None, KEEP):
        _set_name(draft, document, path, current, str(image.new_name))
    if current.joined:
        _set_joined(draft, document, path, current, image)
    else:
        _set_version(draft, document, path, current, image)


def _is_half(node: Scalar, parent: Mapping) -> bool:
    """`image: nginx` with its tag or digest in a key beside it."""
    beside = any(isinstance(parent.get(key), Scalar) for key in _VERSION_KEYS)
    return beside and not re.search(r"@|:[^/]*$", node.value)


def _refuse_part(draft: Draft, node: Scalar, path: Path, image: ImageArgument) -> NoReturn:
    where = f"--key {path_text(path[:-1])}" if len(path) > 1 else f"`ci-gitops set {path_text(path)}={image.tag}`"
    raise EditError(
        f"{draft.path}:{node.line}:{node.column}: {path_text(path)} is a part of an image, not an image.",
        hint=f"Name the map that holds it: {where}.",
    )


def _set_name(draft: Draft, document: int, path: Path, current: ValuesImage, name: str) -> None:
    if name == current.name:
        return
    reference = ImageRef(name)
    repository = name
    if current.registry:
        has_host = name.startswith(reference.registry + "/")
        repository = name.removeprefix(reference.registry + "/")
        draft.set(document, (*path, "registry"), reference.registry if has_host else "docker.io")
    put(draft, document, (*path, current.name_key or "repository"), repository, after="registry")


def _set_joined(draft: Draft, document: int, path: Path, current: ValuesImage, image: ImageArgument) -> None:
    tag = current.tag if image.tag in (None, KEEP) else image.tag
    digest = current.digest if image.digest in (None, KEEP) else image.digest
    if image.tag not in (None, KEEP) and image.digest is None:
        draft.note(f"{image.name}: the digest {current.digest} was of the image before and is dropped.")
        digest = None
    draft.set(document, (*path, "tag"), (tag or "") + (f"@{digest}" if digest else ""))


def _set_version(draft: Draft, document: int, path: Path, current: ValuesImage, image: ImageArgument) -> None:
    if image.tag not in (None, KEEP):
        put(draft, document, (*path, "tag"), str(image.tag), after=current.name_key or "repository")
        if image.digest is None and current.digest:
            # An empty digest, not a missing one: the chart's own default may hold another.
            draft.note(f"{image.name}: the digest {current.digest} was of the image before and is emptied.")
            draft.set(document, (*path, "digest"), "")
    if image.digest not in (None, KEEP):
        if draft.find(document, (*path, "digest")) is None:
            draft.note(f"{path_text((*path, 'digest'))} is new: the chart must read it, or only the tag counts.")
        put(draft, document, (*path, "digest"), str(image.digest), after="tag")
        if image.tag is None and current.tag:
            draft.note(f"{image.name}: the tag {current.tag} stays beside the new digest; charts let the digest win.")


def uses(root: Node | None, known: Anchors, *, within_manifest: bool = False) -> Iterator[ImageUse]:
    """The images that values declare."""
    for path, node, image in places(root, known, within_manifest=within_manifest):
        yield ImageUse(image.name, image.tag, image.digest, path_text(path), node.line, "values")
