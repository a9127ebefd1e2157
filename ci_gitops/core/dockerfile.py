"""Instructions of a Dockerfile and the lines they stand on, so that a failing step can be shown where it is written."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its first line (from 1), its lines as written, and the whole in one line."""

    line: int
    source: tuple[str, ...]
    text: str

    @property
    def excerpt(self) -> str:
        """The lines with their numbers."""
        last = self.line + len(self.source) - 1
        width = len(str(last))
        return "\n".join(f"{self.line + index:>{width}} | {line}" for index, line in enumerate(self.source))


def instructions(text: str) -> list[Instruction]:
    """Every instruction, with continued lines and here-documents joined."""
    found: list[Instruction] = []
    lines = text.removeprefix("\ufeff").splitlines()
    escape = "`" if re.match(r"#\s*escape\s*=\s*`", text) else "\\"
    number = 0
    while number < len(lines):
        if not lines[number].strip() or lines[number].lstrip().startswith("#"):
            number += 1
            continue
        end, words = _instruction_end(lines, number, escape)
        found.append(Instruction(number + 1, tuple(lines[number:end]), _one_line(" ".join(words))))
        number = end
    return found


def _instruction_end(lines: list[str], start: int, escape: str) -> tuple[int, list[str]]:
    """The index after the instruction's last line, and its lines without continuation marks and comments."""
    words: list[str] = []
    number = start
    while number < len(lines):
        line = lines[number].rstrip()
        number += 1
        if words and (not line.strip() or line.lstrip().startswith("#")):
            continue
        continued = line.endswith(escape)
        words.append(line[:-1] if continued else line)
        if not continued:
            break
    for _, marker in _HEREDOC.findall(" ".join(words)):
        while number < len(lines):
            number += 1
            if lines[number - 1].strip() == marker:
                break
    return number, words


def find_instruction(text: str, step: str) -> Instruction | None:
    """The instruction that an engine names as `step`: by its text, else the one most like it.

    Engines put variables in, so the text of a step may differ from what is written.
    """
    wanted = _one_line(step)
    known = instructions(text)
    for instruction in known:
        if instruction.text == wanted:
            return instruction
    keyword = wanted.split(" ", 1)[0].upper()
    alike = [
        (difflib.SequenceMatcher(None, instruction.text, wanted).ratio(), -instruction.line, instruction)
        for instruction in known
        if instruction.text.split(" ", 1)[0].upper() == keyword
    ]
    best = max(alike, default=None, key=lambda entry: entry[:2])
    return best[2] if best and best[0] >= _ALIKE else None


def instruction_at(text: str, line: int) -> Instruction | None:
    """The instruction that covers a line."""
    for instruction in instructions(text):
        if instruction.line <= line < instruction.line + len(instruction.source):
            return instruction
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())
