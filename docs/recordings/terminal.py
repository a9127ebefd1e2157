"""Run a command in a terminal of its own and read off what a person sees on it when it has ended."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PIECE = re.compile(r"\x1b\[(?P<numbers>[0-9;]*)(?P<what>[A-Za-z])|(?P<text>[^\x1b])", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """Characters side by side that look the same; `style` is a number of SGR, "" for plain ones."""

    text: str
    style: str = ""


@dataclass
class Screen:
    """As much of a terminal as the program uses: lines that wrap, colours, and lines that are written again."""

    columns: int
    _lines: list[list[tuple[str, str]]] = field(default_factory=lambda: [[]])
    _at: int = 0
    _style: str = ""

    def write(self, said: str) -> None:
        for piece in _PIECE.finditer(said):
            if piece["text"]:
                self._put(piece["text"])
            elif piece["what"] == "m":
                self._style = piece["numbers"].removeprefix("0")
            elif piece["what"] == "K":
                self._lines[-1].clear()

    def lines(self) -> list[tuple[Run, ...]]:
        while len(self._lines) > 1 and not self._lines[-1]:
            self._lines.pop()
        return [tuple(_runs(line)) for line in self._lines]

    def _put(self, character: str) -> None:
        line = self._lines[-1]
        if character == "\n":
            self._lines.append([])
            self._at = 0
        elif character == "\r":
            self._at = 0
        else:
            if self._at == self.columns:
                self._put("\n")
                line = self._lines[-1]
            line[self._at : self._at + 1] = [(character, self._style)]
            self._at += 1


def _runs(line: list[tuple[str, str]]) -> Iterator[Run]:
    text, style = "", ""
    for character, its in line:
        if its != style and text:
            yield Run(text, style)
            text = ""
        text, style = text + character, its
    if text.rstrip():
        yield Run(text.rstrip(), style)


def shown(command: str, columns: int, cwd: Path, environ: Mapping[str, str]) -> tuple[int, list[tuple[Run, ...]]]:
    """The exit code of a line of shell, and what stands on the screen."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=cwd, env={**environ, "TERM": "xterm"}, stdin=theirs, stdout=theirs,
            stderr=theirs, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(theirs)
    said = b"".join(_read(ours))
    os.close(ours)
    screen = Screen(columns)
    screen.write(said.decode())
    return process.wait(), screen.lines()


def _read(handle: int) -> Iterator[bytes]:
    """Linux tells the end of a terminal that nobody holds any more as an error."""
    while True:
        try:
            data = os.read(handle, 65536)
        except OSError:
            return
        if not data:
            return
        yield data
