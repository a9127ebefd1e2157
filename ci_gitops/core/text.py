"""Text that came from outside, made fit to be shown, and near matches to offer for what was misspelt."""

from __future__ import annotations

import re
from collections.abc import Iterable

# CSI, OSC (ended by BEL or ST), other two-byte escapes; then every control character but tab and newline.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """`text` without escape sequences, control characters and marks that turn the reading direction.

    Servers' messages, file contents and names are shown only through this: a terminal obeys what it is
    sent, so an escape sequence in a hook's message could rewrite the lines above it.
    """
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def near(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The names in `known` that a person who wrote `word` may have meant, best first."""
    names = sorted(set(known))
    if not names:
        return []
    import difflib  # here, since only mistakes need it

    return difflib.get_close_matches(word, names, n=limit, cutoff=0.6)


def did_you_mean(word: str, known: Iterable[str], what: str = "Known") -> str | None:
    """A hint for an unknown name: near matches, else the first known ones, else nothing."""
    names = sorted(set(known))
    matches = near(word, names)
    if matches:
        return f"Did you mean {' or '.join(repr(match) for match in matches)}?"
    if not names:
        return None
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{what}: {', '.join(names[:8])}{more}."


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
