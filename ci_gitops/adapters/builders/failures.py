"""From an engine's own words to the failing step, its last lines and its line of the Dockerfile.

Read from what the engines print: BuildKit's plain progress (in the clients of 20.10 and of today), Docker's classic
builder, and buildah.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.core.dockerfile import Instruction, find_instruction, instruction_at, instructions
from ci_gitops.errors import BuildError

_LAST_LINES = 20
_VERTEX = re.compile(r"#(\d+) (.*)")
_TITLE = re.compile(r"\[(?:[^\]]* )?\d+/\d+\] (.*)")
_TIMED = re.compile(r"\d+\.\d+ ?(.*)")
_CLASSIC_STEP = re.compile(r"Step \d+/\d+ : (.*)")
_BUILDAH_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)")
_BUILDAH_ERROR = re.compile(r"Error: building at STEP \"(.*?)\": (.*)", re.DOTALL)
_DOCKERFILE_LINE = re.compile(r"^\S+:(\d+)$|parse error (?:on )?line (\d+)", re.MULTILINE)
_LOADED = re.compile(r"\[internal\] load metadata for (.*)")
_LAYERS = re.compile(
    r"^(?:failed to build: |failed to solve(?: with frontend \S+)?: |rpc error: code = \w+ desc = |ERROR: |"
    r"failed to create LLB definition: )+"
)
_NO_FILE = re.compile(
    r"not found: not found|failed to compute cache key|no such file or directory|COPY failed|ADD failed"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a build ended with."""

    step: str | None  # the instruction, as the engine names it
    output: tuple[str, ...]  # what the step itself wrote
    reason: str  # the engine's last word
    line: int | None = None  # of the Dockerfile, where the engine says it
    internal: bool = False  # not a step of the Dockerfile: loading a base image, exporting


def read_failure(lines: Sequence[str]) -> Failure:
    """The failure in the lines that an engine wrote."""
    text = "\n".join(lines)
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    if any(line.startswith("#1 ") for line in lines):
        failure = _buildkit(lines, reason)
    elif _BUILDAH_ERROR.search(text) or any(_BUILDAH_STEP.match(line) for line in lines):
        failure = _buildah(lines, text, reason)
    else:
        failure = _classic(lines, reason)
    return failure


def build_error(failure: Failure, dockerfile: str, name: str) -> BuildError:
    """The failure with its place in the Dockerfile, as an error to show."""
    where = _place(failure, dockerfile)
    parts = [f"The image did not build: {name} line {where.line} failed." if where else "The image did not build."]
    if where:
        parts.append(where.excerpt)
    elif failure.step:
        parts.append(failure.step)
    if failure.output:
        parts.append("Its last lines:\n" + "\n".join(f"  {line}" for line in failure.output[-_LAST_LINES:]))
    parts.append(failure.reason)
    hint = None
    if where and where.text.split(" ")[0].upper() in ("COPY", "ADD") and _NO_FILE.search(failure.reason):
        hint = "Is the file in the context folder, and not left out by .dockerignore?"
    return BuildError("\n".join(parts), hint=hint)


def _place(failure: Failure, dockerfile: str) -> Instruction | None:
    if failure.line is not None:
        return instruction_at(dockerfile, failure.line)
    if not failure.step:
        return None
    loaded = _LOADED.fullmatch(failure.step)
    if loaded is None:
        return find_instruction(dockerfile, failure.step)
    # BuildKit of old names the image alone, with what Docker Hub's short names leave out.
    froms = [item for item in instructions(dockerfile) if item.text.upper().startswith("FROM ")]
    return next((item for item in froms if any(word in loaded[1] for word in item.text.split()[1:])), None)


def _buildkit(lines: Sequence[str], reason: str) -> Failure:
    titles: dict[str, str] = {}
    outputs: dict[str, list[str]] = {}
    failed: list[str] = []
    for line in lines:
        vertex = _VERTEX.match(line)
        if not vertex:
            continue
        number, said = vertex[1], vertex[2]
        timed = _TIMED.fullmatch(said)
        if timed:
            outputs.setdefault(number, []).append(timed[1])
        elif said.startswith("ERROR"):
            failed.append(number)
            reason = said.removeprefix("ERROR: ")  # without the names of all layers that it came through
        elif number not in titles:
            titles[number] = said
    number = failed[-1] if failed else ""
    title = titles.get(number, "")
    step = _TITLE.fullmatch(title)
    found = _DOCKERFILE_LINE.search("\n".join(line for line in lines if not line.startswith("#")))
    return Failure(
        step[1] if step else title or None, tuple(outputs.get(number, ())), _LAYERS.sub("", reason),
        _number(found), internal=step is None,
    )  # fmt: skip


def _classic(lines: Sequence[str], reason: str) -> Failure:
    step, output = _last_step(lines, _CLASSIC_STEP)
    found = _DOCKERFILE_LINE.search(reason)
    kept = [line for line in output if not line.startswith((" --->", "Removing intermediate"))]
    return Failure(step, tuple(kept[:-1]), reason, _number(found), internal=_is_from(step))


def _buildah(lines: Sequence[str], text: str, reason: str) -> Failure:
    step, output = _last_step(lines, _BUILDAH_STEP)
    error = _BUILDAH_ERROR.search(text)
    kept = [line for line in output if not line.startswith(("Error: ", "subprocess exited", "time="))]
    said = error[2].splitlines()[0] if error else reason.removeprefix("Error: ")
    return Failure(step, tuple(kept), said, internal=_is_from(step))


def _is_from(step: str | None) -> bool:
    """Not a step that the Dockerfile's author can mend: a base image is fetched, or nothing has begun."""
    return step is None or step.upper().startswith("FROM ")


def _number(found: re.Match[str] | None) -> int | None:
    return int(found[1] or found[2]) if found else None


def _last_step(lines: Sequence[str], pattern: re.Pattern[str]) -> tuple[str | None, list[str]]:
    step: str | None = None
    output: list[str] = []
    for line in lines:
        found = pattern.match(line)
        if found:
            step, output = found[1], []
        elif line.strip():
            output.append(line)
    return step, output
