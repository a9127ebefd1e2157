"""Set images in the text of any file: which kind of file it is decides where its images stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ci_gitops.core import yamltext
from ci_gitops.core.edits import compat as kustomize
from ci_gitops.core.edits import kustomization, manifests, values
from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.edits.records import Edit, ImageUse
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.yamlaliases import anchors
from ci_gitops.core.yamltext import Mapping, Node, Path, YamlText, parse_path, path_text
from ci_gitops.errors import EditError, UsageError


def set_images(
    text: str,
    images: Sequence[ImageArgument | str],
    *,
    path: str = "<text>",
    key: str | None = None,
    compat: str | None = None,
) -> Edit:
    """The edit that makes a file use these images.

    A kustomization gets an entry where it has none; in other files each image must be there already.
    `key` is the path of the one image that is meant (`image`, `web.image`, `spec.image`). `compat="kustomize"`
    leaves the values that `kustomize edit set image` would leave.
    """
    arguments = read_arguments(images, compat)
    edit, found = edit_images(text, arguments, path=path, key=key, compat=compat)
    for image in arguments:
        if image.name not in found:
            raise not_used(image, [path], image_uses(text, path=path))
    return edit


def read_arguments(images: Sequence[ImageArgument | str], compat: str | None = None) -> list[ImageArgument]:
    """Parsed arguments; of two for the same name the last one counts."""
    if not images:
        raise UsageError("No image was named.", hint="Name it as NAME:TAG, for example web:1.2.")
    if compat not in (None, "kustomize"):
        raise UsageError(f"There is no compatibility with {compat!r}.", hint="`kustomize` is known.")
    parsed = [image if isinstance(image, ImageArgument) else ImageArgument.parse(image, compat) for image in images]
    return list({image.name: image for image in parsed}.values())


def edit_images(
    text: str,
    images: Sequence[ImageArgument],
    *,
    path: str = "<text>",
    key: str | None = None,
    compat: str | None = None,
    add: bool = True,
) -> tuple[Edit, frozenset[str]]:
    """The edit of one file, and the names of the images that were found in it.

    With `add` the file is the one that is meant: a kustomization gets missing entries, and a `key` must be there.
    Without, it is one of many that are searched.
    """
    draft = Draft(text, path)
    draft.find(0, ())  # refuses a template
    if key is not None:
        found = _at_key(draft, images, parse_path(key), compat, add)
    elif kustomization.is_kustomization(_first(draft), path):
        found = _kustomization(draft, images, compat, add)
    elif compat and add:
        raise UsageError(f"{path} is no kustomization; --compat kustomize is for these only.")
    elif compat:
        found = set()
    else:
        found = {image.name for image in images if _anywhere(draft, image)}
    _hint_regular_expressions(draft, images)
    return draft.edit(), frozenset(found)


def _first(draft: Draft) -> Node | None:
    return next((root for root in draft.documents if root is not None), None)


def _kustomization(draft: Draft, images: Sequence[ImageArgument], compat: str | None, add: bool) -> set[str]:
    document = next((number for number, root in enumerate(draft.documents) if root is not None), 0)
    root = draft.documents[document]
    if root is not None and not isinstance(root, Mapping):
        raise EditError(f"{draft.path}:{root.line}:{root.column}: a kustomization is a map, and this is none.")
    if compat:
        names = (
            {use.name for use in kustomization.uses(root, ("images",), anchors(draft.parsed, document))}
            if isinstance(root, Mapping)
            else set()
        )
        wanted = [image for image in images if add or image.name in names]
        if wanted:
            kustomize.set_entries(draft, document, wanted)
        return {image.name for image in wanted}
    return {image.name for image in images if kustomization.set_entry(draft, document, ("images",), image, add=add)}


def _anywhere(draft: Draft, image: ImageArgument) -> bool:
    """Set the image in each document of a file that is no kustomization; whether it was found."""
    found = False
    for document, root in enumerate(draft.documents):
        where = kustomization.images_path(root, draft.path)
        if where is not None:
            found |= kustomization.set_entry(draft, document, where, image, add=False)
        elif manifests.is_manifest(root):
            found |= manifests.set_containers(draft, document, image)
            found |= values.set_matching(draft, document, image, within_manifest=True)
        elif values.is_values(root):
            found |= values.set_matching(draft, document, image)
    return found


def _at_key(draft: Draft, images: Sequence[ImageArgument], key: Path, compat: str | None, named: bool) -> set[str]:
    if len(images) != 1 or compat:
        raise UsageError("--key is the place of one image: name exactly one, without --compat.")
    if kustomization.is_kustomization(_first(draft), draft.path):
        if not named:
            return set()
        raise UsageError(f"{draft.path} is a kustomization: its images are found by their names, without --key.")
    others: list[EditError] = []
    places = [number for number in range(len(draft.documents)) if draft.find(number, key) is not None]
    for number in places:
        try:
            values.set_at(draft, number, key, images[0])
        except manifests.OtherImageError as error:
            others.append(error)
    if len(others) < len(places):
        return {images[0].name}
    if named:
        raise others[0] if others else _no_such_key(draft, key)
    return set()


def _no_such_key(draft: Draft, key: Path) -> EditError:
    nodes = max((yamltext.trail(draft.parsed, number, key) for number in range(len(draft.documents))), key=len)
    part = key[max(len(nodes) - 1, 0)]
    return EditError(
        f"{draft.path}: there is no {path_text(key)} (nothing at {part!r}).",
        hint=yamltext.near_key(nodes[-1], part) if nodes else None,
    )


def _hint_regular_expressions(draft: Draft, images: Sequence[ImageArgument]) -> None:
    """kustomize reads an entry's name as a regular expression: say so where it would match another entry's."""
    if not any("." in image.name for image in images) or not kustomization.is_kustomization(_first(draft), draft.path):
        return
    others = {use.name for number in range(len(draft.documents)) for use in _uses(draft.parsed, number, draft.path)}
    for image in images:
        for other in also_matched(image.name, others):
            draft.note(also_matched_text(image.name, other))


def also_matched(name: str, others: set[str]) -> list[str]:
    """The other names that kustomize would change too, because to it `name` is a regular expression."""
    if "." not in name or not re.fullmatch(r"[\w./:-]+", name):
        return []
    pattern = re.compile(name)
    return sorted(other for other in others if other != name and pattern.fullmatch(other))


def also_matched_text(name: str, other: str) -> str:
    return f"kustomize reads the name {name!r} as a regular expression, which matches {other!r} too."


_IMAGE_LINE = re.compile(
    r"""^[ \t-]*image:[ \t]*["']?([^\s"'@]{1,400}?)(?::[^/\s"'@]{1,200})?(?:@\S{1,200})?["']?[ \t\r]*$""", re.MULTILINE
)


def named_in(text: str) -> set[str]:
    """Names of images that stand on lines of their own: quick, for hints only."""
    return set(_IMAGE_LINE.findall(text))


def local_resources(text: str) -> tuple[str, ...]:
    """The files and folders that a kustomization builds from."""
    root = next((root for root in yamltext.parse(text).documents if isinstance(root, Mapping)), None)
    found: list[str] = []
    for name in ("resources", "bases", "components"):
        node = root.get(name) if root else None
        items = node.items if isinstance(node, yamltext.Sequence) else []
        found += [item.value for item in items if isinstance(item, yamltext.Scalar)]
    return tuple(resource for resource in found if "://" not in resource)


def image_uses(text: str, *, path: str = "<text>") -> tuple[ImageUse, ...]:
    """Every image that a file declares, in its order; nothing where it is no YAML or a template."""
    try:
        parsed = yamltext.parse(text, path)
    except EditError:
        return ()
    if parsed.template:
        return ()
    return tuple(use for number in range(len(parsed.documents)) for use in _uses(parsed, number, path))


def _uses(parsed: YamlText, number: int, path: str) -> Iterator[ImageUse]:
    root = parsed.documents[number]
    if not isinstance(root, Mapping):
        return
    known = anchors(parsed, number)
    where = kustomization.images_path(root, path)
    if where is not None:
        yield from kustomization.uses(root, where, known)
    elif manifests.is_manifest(root):
        yield from manifests.uses(root, known)
        yield from values.uses(root, known, within_manifest=True)
    elif values.is_values(root):
        yield from values.uses(root, known)


def not_used(image: ImageArgument, paths: Sequence[str], uses: Sequence[ImageUse]) -> EditError:
    """The failure where an image is in none of the files, with the names that are."""
    where = paths[0] if len(paths) == 1 else f"any of the {len(paths)} files"
    names = sorted({use.name for use in uses} | {use.effective for use in uses})
    return EditError(
        f"The image {image.name!r} is not used in {where}.",
        hint=did_you_mean(image.name, names, "Images there") or "No image was found there at all.",
    )
