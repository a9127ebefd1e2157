"""`ci-gitops set-image`: images in files on this machine, by byte-exact edits and without Git."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from ci_gitops.adapters import files
from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.edit_result import result_of
from ci_gitops.core.edits.images import (
    also_matched,
    also_matched_text,
    edit_images,
    image_uses,
    local_resources,
    named_in,
    not_used,
    read_arguments,
)
from ci_gitops.core.edits.kustomization import FILE_NAMES
from ci_gitops.core.edits.records import Edit
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.yamltext import UnreadableError
from ci_gitops.errors import EditError
from ci_gitops.results import Result
from ci_gitops.run import Run


@dataclass(frozen=True, slots=True)
class Found:
    """One file to look at: named by the user, or found below a folder that was."""

    path: Path
    tree: Path
    named: bool


@command("set-image", exits=(0, 1, 2))
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@option(
    "--path",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A file, or a folder with a kustomization (for --key: with a values.yaml); may be repeated."
    "  [default: the current folder]",
)
@option("--recursive", is_flag=True, help="Edit every file below the folders that declares the image already.")
@option("--key", metavar="A.B.C", help="Where the image stands in Helm values or a custom resource: image, a[1].b.")
@option("--compat", type=click.Choice(["kustomize"]), help="Leave the values that `kustomize edit set image` leaves.")
@option("--dry-run", is_flag=True, help="Show the unified diff and write nothing.")
@pass_run
def cli(
    run: Run,
    images: tuple[str, ...],
    paths: tuple[Path, ...],
    recursive: bool,
    key: str | None,
    compat: str | None,
    dry_run: bool,
) -> Result:
    """Set images in kustomizations, Helm values and manifests.

    IMAGE is NAME:TAG, NAME@DIGEST, NAME=NEW-NAME or NAME=NEW-NAME:TAG@DIGEST, where * keeps what is there.
    Only the changed values move: comments, quotes, order and line ends stay. All files are written, or none.
    """
    arguments = read_arguments(images, compat)
    found = list(_files(paths or (Path(),), recursive, key))
    edits = [_with_hints(edit, arguments) for edit in _edits(run, found, arguments, key, compat)]
    changed = [edit for edit in edits if edit.changed]
    for edit in edits:
        for note in edit.notes:
            run.output.note(f"{edit.path}: {note}")
    if not dry_run:
        files.write_all(changed)
    return result_of(changed, len(found), dry_run)


def _edits(
    run: Run, found: Sequence[Found], images: Sequence[ImageArgument], key: str | None, compat: str | None
) -> list[Edit]:
    """The edits of all files, made before the first is written."""
    edits: list[Edit] = []
    missing = {image.name: image for image in images}
    for file in found:
        try:
            text = files.read_text(file.path, file.tree)
            if not file.named and not _may_name(text, images):
                continue
            edit, names = edit_images(text, images, path=str(file.path), key=key, compat=compat, add=file.named)
        except UnreadableError as error:
            if file.named:
                raise
            run.output.warn(f"Left alone: {error.message}")
            continue
        for name in names:
            missing.pop(name, None)
        if file.named and not names and len(found) > 1:
            run.output.warn(f"{edit.path} uses none of these images.")
        edits.append(edit)
    for image in missing.values():
        uses = [use for edit in edits for use in image_uses(edit.old, path=edit.path)]
        raise not_used(image, [str(file.path) for file in found], uses)
    return edits


def _may_name(text: str, images: Sequence[ImageArgument]) -> bool:
    """A quick look before a file is parsed: the last part of a name stands in it, or an escape could hide it."""
    return "\\" in text or any(image.name.rsplit("/", 1)[-1] in text for image in images)


def _files(paths: Sequence[Path], recursive: bool, key: str | None) -> Iterator[Found]:
    trees = files.Trees()
    seen: set[str] = set()
    for given in paths:
        for path, named in _below(given, recursive, key):
            absolute = os.path.abspath(path)  # noqa: PTH100 - links are judged where the file is read
            if absolute not in seen:
                seen.add(absolute)
                yield Found(path, trees.of(path), named)


def _below(path: Path, recursive: bool, key: str | None) -> Iterator[tuple[Path, bool]]:
    if not path.is_dir():
        yield path, True
    elif recursive:
        for file in files.yaml_files(path, FILE_NAMES):
            yield file, False
    elif key is not None and os.path.exists(f"{path}/values.yaml"):  # noqa: PTH110
        yield path / "values.yaml", True
    else:
        yield _kustomization_in(path), True


def _kustomization_in(folder: Path) -> Path:
    there = [name for name in FILE_NAMES if os.path.exists(f"{folder}/{name}")]  # noqa: PTH110 - for a thousand
    if len(there) == 1:
        return folder / there[0]
    if there:
        raise EditError(
            f"{folder} has two kustomizations, {' and '.join(there)}; kustomize builds neither.",
            hint="Remove one of them, then try again.",
        )
    raise EditError(
        f"{folder} has no kustomization ({', '.join(FILE_NAMES)}).",
        hint="Name a file by --path FILE, or every file below a folder by --path FOLDER --recursive.",
    )


def _with_hints(edit: Edit, images: Sequence[ImageArgument]) -> Edit:
    """The edit, with a note for each image of the resources that a name would match as a regular expression."""
    dotted = [image.name for image in images if "." in image.name]
    path = Path(edit.path)
    if not dotted or path.name not in FILE_NAMES or not edit.changed:
        return edit
    names: set[str] = set()
    for resource in local_resources(edit.new):
        file = path.parent / resource
        if file.is_file() and file.stat().st_size < files.MAX_BYTES:
            names |= named_in(file.read_text(encoding="utf-8", errors="replace"))
    hints = [also_matched_text(name, other) for name in dotted for other in also_matched(name, names)]
    return replace(edit, notes=tuple(dict.fromkeys((*edit.notes, *hints))))
