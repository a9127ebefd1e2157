"""Walk through a page of docs/guides: its files are written and its commands are run, in order, word for word.

Guide.of(page).walk(folder, environ, {"registry.example.com": host})

    ```yaml title="apps/shop/values.yaml"       a file with these contents is written there
    ```console                                  `$ …` is run by bash; what stands below it is what it says
    ```

One shell runs the whole page, so that folders and variables carry over. A command must succeed, and its standard output
is what is compared. Commits, digests and
times differ from run to run; a line `…` stands for any lines. Addresses are the only words that are replaced: those
of the page by those of the real parts. `CI_GITOPS_TEST_GUIDES=write` writes what the commands said into the page.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

_FENCE = re.compile(r"(?ms)^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$")
_MARK = "--- the end of a command ---"
_CHANGING = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:<digest>"),
    (re.compile(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{12}\b|\b[0-9a-f]{7}\b"), "<commit>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ?"), "<time>"),
    (re.compile(r" +"), " "),  # columns are as wide as what stands in them
)


@dataclass(frozen=True)
class Step:
    """A file (`path` is set) or a command with what it should say."""

    text: str
    path: str | None = None
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guide:
    page: Path
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, page: Path) -> Guide:
        return cls(page, tuple(_steps(page.read_text())))

    def file(self, path: str) -> str:
        """The contents that the page shows for a file."""
        return next(step.text for step in self.steps if step.path == path)

    def walk(
        self,
        folder: Path,
        environ: Mapping[str, str],
        addresses: Mapping[str, str],
        said: Mapping[str, str] | None = None,
    ) -> None:
        """`said` are words that only the programs say: on the page, and here."""
        script = "".join(_as_shell(step) for step in self.steps)
        for written, real in addresses.items():
            script = script.replace(written, real)
        done = subprocess.run(
            ["bash"], input=script, cwd=folder, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=240,
        )  # fmt: skip
        output = done.stdout
        for written, real in {**addresses, **(said or {})}.items():
            output = output.replace(real, written)
        commands = [step for step in self.steps if step.path is None]
        *answers, rest = re.split(rf"{_MARK} (\d+)\n", output)
        assert len(answers) == 2 * len(commands), f"{self.page.name} ended early:\n{output}"
        assert not rest.strip(), rest
        answered = [
            replace(step, said=tuple(text.splitlines())) for step, text in zip(commands, answers[::2], strict=True)
        ]
        if os.environ.get("CI_GITOPS_TEST_GUIDES") == "write":
            self._write(commands, answered)
            return
        for wanted, got, code in zip(commands, answered, answers[1::2], strict=True):
            assert code == "0", f"{self.page.name}: $ {wanted.text}\nended with {code}:\n" + "\n".join(got.said)
            _compare(self.page.name, wanted, got)

    def _write(self, wanted: list[Step], got: list[Step]) -> None:
        text, done = self.page.read_text(), ""
        for old, new in zip(wanted, got, strict=True):
            before, _, text = text.partition(_shown(old))
            done += before + _shown(old if _like(old.said, new.said) else new)
        self.page.write_text(done + text)


def _steps(page: str) -> Iterator[Step]:
    for block in _FENCE.finditer(page):
        if block["title"]:
            yield Step(block["text"], block["title"])
        elif block["kind"] == "console":
            for part in re.split(r"(?m)^\$ ", block["text"])[1:]:
                lines = part.splitlines()
                count = next(at for at, line in enumerate(lines, 1) if not line.endswith("\\"))
                yield Step("\n".join(lines[:count]), said=tuple(lines[count:]))


def _as_shell(step: Step) -> str:
    if step.path:
        return f"mkdir -p \"$(dirname '{step.path}')\"\ncat > '{step.path}' <<'END OF FILE'\n{step.text}END OF FILE\n"
    told = 'told="$(mktemp)"'
    run = f'{{ {step.text}\n}} </dev/null 2>"$told" || {{ code=$?; cat "$told"; (exit $code); }}'
    return f"{told}\n{run}; echo '{_MARK}' $?\n"


def _shown(step: Step) -> str:
    return "\n".join((f"$ {step.text}", *step.said)) + "\n"


def _plain(line: str) -> str:
    for changing, name in _CHANGING:
        line = changing.sub(name, line)
    return line.strip()


def _like(wanted: tuple[str, ...], got: tuple[str, ...]) -> bool:
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(_plain(line)) + r"\n" for line in wanted if line)
    return re.fullmatch(pattern, "".join(f"{_plain(line)}\n" for line in got if line)) is not None


def _compare(page: str, wanted: Step, got: Step) -> None:
    assert _like(wanted.said, got.said), "\n".join(
        (
            f"{page}: $ {wanted.text}",
            "(CI_GITOPS_TEST_GUIDES=write writes it anew)",
            "the page says:",
            *wanted.said,
            "the program says:",
            *got.said,
        )
    )
