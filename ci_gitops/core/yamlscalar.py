"""How a string is written in a YAML file so that every reader takes it for that string.

A tag such as `1.10`, `12e4567` or `yes` is a number or a boolean for one reader and text for the next
(YAML 1.1 and 1.2, Go's, Ruby's and Python's resolvers), so whatever any of them could mistake is quoted.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["str", "null", "bool", "int", "float", "timestamp"]

_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("null", re.compile(r"(?i)^(~|null|)$")),
    ("bool", re.compile(r"(?i)^(y|yes|n|no|on|off|true|false)$")),
    ("int", re.compile(r"(?i)^[-+]?([0-9_][0-9_,]*|0x[0-9a-f_,]+|0o[0-7_,]+|0b[01_,]+)$")),
    ("int", re.compile(r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+$")),  # base 60, YAML 1.1
    ("float", re.compile(r"(?i)^[-+]?(\.[0-9_]*|[0-9][0-9_,]*(\.[0-9_]*)?)(e[-+]?[0-9_]+)?$")),
    ("float", re.compile(r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*$")),
    ("float", re.compile(r"(?i)^[-+]?\.(inf|nan)$")),
    ("timestamp", re.compile(r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?$")),
)
_INDICATORS = re.compile(
    r"^-(\s|$)|^[?:,\[\]{}#&*!|>'\"%@`=~<\s]|\s$|:\s|:$|\s#|[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]"
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", "\x1b": "\\e"}
_NEEDS_ESCAPE = re.compile(r"[\\\"\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def kind_of(plain: str) -> Kind:
    """What a reader may take `plain` for when it stands there without quotes."""
    # Go's reader drops underscores before it looks for a number: `+_8` is 8.
    bare = plain.replace("_", "") if plain[:1] in "+-.0123456789" else plain
    for kind, pattern in _KINDS:
        if pattern.match(plain) or pattern.match(bare):
            return kind
    return "str"


def needs_quotes(value: str, *, flow: bool = False) -> bool:
    """Without quotes some reader would take `value` for something else than this string."""
    if kind_of(value) != "str" or _INDICATORS.search(value):
        return True
    # A question mark within `{a: 0?}` is text for most readers, an indicator for PyYAML's own.
    return bool(flow and re.search(r"[,\[\]{}?]", value)) or value.startswith(("---", "..."))


def write_string(value: str, style: str = "", *, flow: bool = False) -> tuple[str, str]:
    """The source text of a string and its style, in the quotes that `style` asks for wherever it can be."""
    if style == "" and not needs_quotes(value, flow=flow):
        return value, ""
    if style == "'" and not _UNPRINTABLE.search(value):
        return "'" + value.replace("'", "''") + "'", "'"
    return '"' + _NEEDS_ESCAPE.sub(_escape, value) + '"', '"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"
