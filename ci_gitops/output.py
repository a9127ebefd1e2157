"""What the program prints: results to standard output, everything else to standard error.

A command returns one `Result`. Progress, notes and warnings go through the `Output` while it works.
Each character that leaves the process passes `clean`: escape sequences out, secrets masked.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

from ci_gitops.core.text import plain
from ci_gitops.errors import CiGitopsError
from ci_gitops.masking import mask
from ci_gitops.results import Result

API_VERSION = "ci-gitops/v1"
Format = Literal["text", "json", "yaml"]
_COLOURS = {"green": "32", "red": "31", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_CI_WIDTH = 160


def clean(text: str) -> str:
    """Text made fit to leave the process."""
    return mask(plain(text))


def _clean_document(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {str(key): _clean_document(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_clean_document(item) for item in value]
    return value


_STYLE = re.compile(r"\ue000([a-z]+)\ue001(.*?)\ue002", re.DOTALL)


def styled(style: str, text: str) -> str:
    """`text` marked as `green`, `red`, `yellow`, `cyan`, `bold` or `dim`; colour only where a person looks."""
    return f"\ue000{style}\ue001{text}\ue002"


def diff_text(lines: Sequence[str]) -> str:
    """Unified diff lines with their colours."""
    marks = {"+": "green", "-": "red", "@": "cyan"}
    shown = []
    for line in lines:
        style = "bold" if line.startswith(("+++", "---")) else marks.get(line[:1])
        shown.append(styled(style, line) if style else line)
    return "\n".join(shown)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, as wide as their widest cell; the last one is never padded."""
    cells = [[*header], *[[*row] for row in rows]]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for number, row in enumerate(cells):
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(padded).rstrip()
        lines.append(styled("bold", line) if number == 0 else line)
    return "\n".join(lines)


def _width(cell: str) -> int:
    return len(_STYLE.sub(r"\2", cell))


@dataclass(slots=True)
class Output:
    """The streams of one run and how to write to them."""

    format: Format = "text"
    verbosity: int = 0  # -1 quiet, 0 normal, 1 verbose, 2 every command
    colour: bool = False  # colours on both streams
    live: bool = False  # a person's terminal: lines may be redrawn
    gitlab: bool = False  # GitLab CI: collapsible sections
    log_format: Literal["text", "json"] = "text"
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    _live_line: bool = False

    @classmethod
    def for_streams(
        cls,
        environ: Mapping[str, str],
        *,
        format: Format = "text",  # noqa: A002 - the option's own name
        verbosity: int = 0,
        no_color: bool = False,
        log_format: Literal["text", "json"] = "text",
    ) -> Output:
        """Colour, live lines and sections by where the streams go (NO_COLOR and GITLAB_CI are honoured)."""
        gitlab = environ.get("GITLAB_CI") == "true"
        person = sys.stderr.isatty() and environ.get("TERM") != "dumb" and not gitlab
        wants_colour = gitlab or (sys.stdout.isatty() and environ.get("TERM") != "dumb")
        colour = wants_colour and not no_color and not environ.get("NO_COLOR")
        return cls(format, verbosity, colour, person and log_format == "text", gitlab, log_format)

    @property
    def width(self) -> int:
        """Columns that a line may have: the terminal's, 160 in CI."""
        if not self.live:
            return _CI_WIDTH
        try:
            return os.get_terminal_size(self.err.fileno()).columns
        except OSError:
            return _CI_WIDTH

    def render(self, text: str) -> str:
        """Cleaned text, with its marks turned into colours or taken out."""
        text = clean(text)
        if self.colour:
            return _STYLE.sub(lambda found: f"\x1b[{_COLOURS[found[1]]}m{found[2]}\x1b[0m", text)
        return _STYLE.sub(r"\2", text)

    def result(self, result: Result, error: CiGitopsError | None = None) -> None:
        """Print the one result, as text or as the one document of the chosen format."""
        if self.format == "text":
            if result.text and (self.verbosity >= 0 or error is None):
                self._write(self.out, self.render(result.text) + "\n")
            return
        document = {"apiVersion": API_VERSION, "kind": result.kind, **result.document}
        if error is not None:
            document["error"] = _error_fields(error)
        self._document(document)

    def failure(self, error: CiGitopsError) -> None:
        """Say what went wrong; as a document where no result says it."""
        self._end_live()
        if self.format != "text" and error.result is None:
            self._document({"apiVersion": API_VERSION, "kind": "Error", "error": _error_fields(error)})
        self._log("error", error.message, hint=error.hint)

    def step(self, text: str) -> None:
        """One line of progress: redrawn in place on a terminal, a plain line elsewhere."""
        if self.verbosity < 0:
            return
        if self.live:
            line = self.render(text).split("\n", 1)[0][: self.width - 3]
            self._write(self.err, f"\r\x1b[2K{line} …")
            self._live_line = True
        else:
            self._log("info", text)

    def note(self, text: str) -> None:
        """Something that a person should know and that stays on the screen."""
        if self.verbosity >= 0:
            self._log("info", text)

    def warn(self, text: str) -> None:
        self._log("warning", text)

    def detail(self, text: str) -> None:
        """For `-v`: what is looked at and decided."""
        if self.verbosity >= 1:
            self._log("debug", text)

    def command(self, text: str) -> None:
        """For `-vv`: each program and request."""
        if self.verbosity >= 2:
            self._log("debug", text)

    @contextmanager
    def section(self, name: str, header: str) -> Iterator[None]:
        """A collapsible section in GitLab's job log; a progress line elsewhere."""
        if not self.gitlab:
            self.step(header)
            yield
            return
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        self._write(self.err, f"\x1b[0Ksection_start:{int(time.time())}:{safe}\r\x1b[0K{self.render(header)}\n")
        try:
            yield
        finally:
            self._write(self.err, f"\x1b[0Ksection_end:{int(time.time())}:{safe}\r\x1b[0K\n")

    def close(self) -> None:
        """Take a live line away, so that the shell's prompt starts clean."""
        self._end_live()

    def _end_live(self) -> None:
        if self._live_line:
            self._write(self.err, "\r\x1b[2K")
            self._live_line = False

    def _log(self, level: str, text: str, hint: str | None = None) -> None:
        self._end_live()
        if self.log_format == "json":
            import json

            record = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": level}
            record["message"] = _STYLE.sub(r"\2", clean(text))
            if hint:
                record["hint"] = clean(hint)
            self._write(self.err, json.dumps(record, ensure_ascii=False) + "\n")
            return
        prefix = {"error": styled("red", "Error:") + " ", "warning": styled("yellow", "Warning:") + " "}
        self._write(self.err, self.render(prefix.get(level, "") + text) + "\n")
        if hint:
            self._write(self.err, self.render(f"  {hint}") + "\n")

    def _document(self, document: Mapping[str, Any]) -> None:
        cleaned = _clean_document(document)
        if self.format == "yaml":
            import yaml

            dumped = yaml.safe_dump(cleaned, sort_keys=False, allow_unicode=True)
        else:
            import json

            dumped = json.dumps(cleaned, indent=2, ensure_ascii=False) + "\n"
        self._write(self.out, dumped)

    def _write(self, stream: TextIO, text: str) -> None:
        if stream is self.out:
            self._end_live()
        stream.write(text)
        stream.flush()


def _error_fields(error: CiGitopsError) -> dict[str, Any]:
    return {"code": error.exit_code, "type": error.kind, "message": error.message, "hint": error.hint}


Progress = Callable[[str], None]
"""Where an adapter tells what it is doing: one short line, without a final newline."""
