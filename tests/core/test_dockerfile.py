from __future__ import annotations

import pytest

from ci_gitops.core.dockerfile import find_instruction, instruction_at, instructions

TEXT = """\
# syntax=docker/dockerfile:1
FROM debian:12 AS base

ARG VERSION=1
RUN apt-get update && \\
    # a comment in between
    apt-get install -y curl

COPY --chown=app . /app
RUN <<EOF
echo one
EOF
RUN echo $VERSION
"""


def test_instructions_know_their_lines() -> None:
    found = [(item.line, len(item.source), item.text.split(" ")[0]) for item in instructions(TEXT)]
    assert found == [(2, 1, "FROM"), (4, 1, "ARG"), (5, 3, "RUN"), (9, 1, "COPY"), (10, 3, "RUN"), (13, 1, "RUN")]


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("RUN apt-get update &&     apt-get install -y curl", 5),
        ("COPY --chown=app . /app", 9),
        ("RUN echo 1", 13),  # BuildKit has put the variable in
        ("ENTRYPOINT something", None),
        ("", None),
    ],
)
def test_a_step_is_found_as_engines_name_it(step: str, line: int | None) -> None:
    found = find_instruction(TEXT, step)
    assert (found.line if found else None) == line


def test_the_excerpt_shows_every_line_with_its_number() -> None:
    found = instruction_at(TEXT, 7)
    assert found
    assert found.excerpt.splitlines()[0] == "5 | RUN apt-get update && \\"
    assert found.excerpt.splitlines()[-1] == "7 |     apt-get install -y curl"


@pytest.mark.parametrize("text", ["", "# nothing\n", "RUN a \\", "RUN <<EOF\nnever ended", "\ufeffFROM scratch"])
def test_odd_files_are_read_all_the_same(text: str) -> None:
    assert len(instructions(text)) <= 1
