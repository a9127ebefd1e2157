"""What every command returns, and what a failed one may leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found or did.

    `document` holds plain data (str, int, bool, None, sequences, mappings) and becomes the JSON document;
    `text` is the same for a person, ready to print, without a final newline. It may use the marks of
    `output.styled`. `exit_code` is 0 unless the command was asked to tell differences (3).
    """

    kind: str
    document: Mapping[str, Any]
    text: str = ""
    exit_code: int = 0
