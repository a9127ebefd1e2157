"""`set KEY=VALUE`: one scalar of a YAML file gets another value and keeps the type that it had.

What was a string stays one, quoted wherever a reader could take the new text for something else. Numbers and
booleans stay plain where both the old and the new text are such that every reader sees what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.edits.keys import Place, locate
from ci_gitops.core.edits.records import Edit
from ci_gitops.core.yamlscalar import kind_of
from ci_gitops.core.yamltext import Mapping, Scalar, path_text, walk
from ci_gitops.core.yamltext import Sequence as List
from ci_gitops.errors import EditError, UsageError

#: Numbers that every reader gives back as they were written; 1.10 would come back as 1.1, 007 as 7.
_EXACT_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{0,14}[1-9])?")
#: A file's mode is written so: to readers of YAML 1.1 it is octal, and to a server it must be a number.
_OCTAL = re.compile(r"0o?[0-7]+")
_BOOLEAN = re.compile("true|false")
_OLD_BOOLEAN = re.compile("(?i)y|yes|n|no|on|off")  # booleans of YAML 1.1 only
_NAMES = {"null": "nothing", "bool": "a boolean", "int": "a number", "float": "a number", "timestamp": "a date"}


def set_values(text: str, assignments: Sequence[tuple[str, str]], *, path: str, document: str | None = None) -> Edit:
    """Give each KEY its VALUE, in the one document that has the key or in the one that `document` names.

    Raises EditError where a key is not there, is there twice, or cannot be edited safely.
    """
    draft = Draft(text, path)
    values: dict[Place, str] = {}
    for key, value in assignments:
        place = locate(draft.parsed, key, document)
        if values.setdefault(place, value) != value:
            raise UsageError(f"The key {key!r} is given twice: {values[place]!r} and {value!r}.", hint="Give it once.")
    return set_places(draft, values.items())


def set_places(draft: Draft, values: Iterable[tuple[Place, str]]) -> Edit:
    """Give the value at each place of a draft its new text, in the type and the quotes that it has."""
    for place, value in values:
        _refuse_encrypted(draft, place.document)
        node = draft.find(place.document, place.path)
        if isinstance(node, Mapping | List):
            raise _not_a_scalar(draft, place, node)
        old = kind_of(node.value) if isinstance(node, Scalar) and not node.style else "str"
        plain = isinstance(node, Scalar) and old != "str" and _stays_plain(old, node.value, value)
        changed = draft.set(place.document, place.path, value, plain=plain)
        if changed and old not in ("str", "null") and not plain:
            name = path_text(place.path)
            draft.note(f"{draft.path}: {name} was {_NAMES[old]} and is now the string {value!r}.")
    return draft.edit()


def _stays_plain(kind: str, old: str, new: str) -> bool:
    """The new text is of a type that needs no quotes where `old` had none."""
    if kind == "null":
        return new == old != ""
    if kind == "bool" and _OLD_BOOLEAN.fullmatch(old) and _OLD_BOOLEAN.fullmatch(new):
        return True
    if _OCTAL.fullmatch(old) and _OCTAL.fullmatch(new):
        return True
    if kind == "timestamp" and kind_of(new) == "timestamp":
        return "\n" not in new
    return bool(_EXACT_NUMBER.fullmatch(new) or _BOOLEAN.fullmatch(new) or new == "null")


def _not_a_scalar(draft: Draft, place: Place, node: Mapping | List) -> EditError:
    below = [repr(path_text((*place.path, *path))) for path, value in walk(node) if isinstance(value, Scalar)]
    more = f" and {len(below) - 5} more" if len(below) > 5 else ""
    return EditError(
        f"{draft.path}:{node.line}:{node.column}: {path_text(place.path)} is a "
        f"{'map' if isinstance(node, Mapping) else 'list'}, not a single value.",
        hint=f"Its values: {', '.join(below[:5])}{more}."
        if below
        else "Single values are set; write the rest by hand.",
    )


def _refuse_encrypted(draft: Draft, document: int) -> None:
    """SOPS signs all values of a file together: after an edit by anybody else it cannot be decrypted."""
    root = draft.documents[document]
    sops = root.get("sops") if isinstance(root, Mapping) else None
    if isinstance(sops, Mapping) and sops.text("mac"):
        raise EditError(
            f"{draft.path}: the file is encrypted with SOPS, whose checksum an edit would break.",
            hint="Change it with `sops set` or `sops edit`.",
        )
