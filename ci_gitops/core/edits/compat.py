"""The values that `kustomize edit set image` would leave in the file, still by edits of single lines.

An entry that an argument names is replaced as a whole: what the argument does not give is dropped, `*`
keeps what the first entry of that name has, `tagSuffix` always goes. Entries of the same name become one.
(kubernetes-sigs/kustomize, kustomize/commands/edit/set/setimage.go)
"""

from __future__ import annotations

from collections.abc import Sequence

from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.edits.kustomization import Entry, entries_at, put
from ci_gitops.core.images import KEEP, ImageArgument
from ci_gitops.core.yamlaliases import look
from ci_gitops.core.yamlscalar import kind_of
from ci_gitops.core.yamltext import Mapping, Path, Scalar, path_text
from ci_gitops.errors import EditError

_WHERE: Path = ("images",)
_FIELDS = ("name", "newName", "newTag", "digest", "tagSuffix")
_AFTER = {"newName": "name", "newTag": "newName", "digest": "newTag"}


def set_entries(draft: Draft, document: int, images: Sequence[ImageArgument]) -> None:
    """Apply all arguments of one call; the last one of a name counts."""
    _check_strings(draft, entries_at(draft, document, _WHERE))
    _collapse(draft, document)
    for image in {image.name: image for image in images}.values():
        entries = entries_at(draft, document, _WHERE)
        number = next((n for n, entry in enumerate(entries) if (entry.text("name") or "") == image.name), None)
        wanted = _wanted(image, entries[number] if number is not None else None)
        if number is None:
            draft.append(document, _WHERE, list(wanted.items()))
        else:
            _replace(draft, document, (*_WHERE, number), wanted)


def _check_strings(draft: Draft, entries: Sequence[Entry]) -> None:
    for number, entry in enumerate(entries):
        for field in _FIELDS:
            node = look(entry.node, field, entry.known)
            if isinstance(node, Scalar) and not node.style and kind_of(node.value) in ("int", "float", "bool"):
                raise EditError(
                    f"{draft.path}:{node.line}:{node.column}: {path_text((*_WHERE, number, field))} is {node.value},"
                    " which is not a string; kustomize cannot read it.",
                    hint="Put it in quotes, or call without --compat.",
                )


def _collapse(draft: Draft, document: int) -> None:
    names: set[str] = set()
    number = 0
    for entry in entries_at(draft, document, _WHERE):
        name = entry.text("name") or ""
        if name in names:
            draft.note(f"The second entry named {name!r} is dropped, as kustomize does.")
            draft.remove_item(document, _WHERE, number)
        else:
            number += 1
        names.add(name)


def _wanted(image: ImageArgument, entry: Entry | None) -> dict[str, str]:
    parts = {"name": image.name, "newName": image.new_name, "newTag": image.tag, "digest": image.digest}
    wanted = {}
    for field, part in parts.items():
        value = entry.text(field) if entry and part == KEEP and field != "name" else part
        if value and (value != KEEP or field == "name"):
            wanted[field] = value
    return wanted


def _replace(draft: Draft, document: int, path: Path, wanted: dict[str, str]) -> None:
    for field, value in wanted.items():
        if field != "name":
            put(draft, document, (*path, field), value, after=_AFTER[field])
    entry = draft.find(document, path)
    for field in entry.keys() if isinstance(entry, Mapping) else ():
        if field in _FIELDS and field not in wanted:
            draft.remove_key(document, (*path, field))
