"""Commit messages: a subject that a person reads in a list, a body that says what moved, and the trailers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ci_gitops.core.text import counted, plain
from ci_gitops.core.trailers import ImageMove, Trailers, ValueMove, format_trailers

DEFAULT_SUBJECT = "deploy({environment}): {summary}"
SUBJECT_FIELDS = ("environment", "app", "summary")
_LONGEST_SUBJECT = 200  # characters; forges cut far earlier, Git does not mind


def short_reference(reference: str) -> str:
    """The part of an image reference that a person compares: the tag, else the short digest."""
    name, _, digest = reference.partition("@")
    tag = name.rsplit("/", 1)[-1].partition(":")[2]
    return tag or (digest.replace("sha256:", "")[:12] if digest else reference)


def summary(images: Sequence[ImageMove], values: Sequence[ValueMove]) -> str:
    """`web 1.1 -> 1.2`, or `3 images in 2 apps` where one line cannot name them all."""
    moves = {(move.name, move.new): move for move in images}
    if len(moves) == 1 and not values:
        move = next(iter(moves.values()))
        old = f"{short_reference(move.old)} -> " if move.old else ""
        return f"{_last(move.name)} {old}{short_reference(move.new)}"
    if len(values) == 1 and not images:
        value = values[0]
        return f"{value.app} {value.field} {value.old} -> {value.new}"
    apps = {image.app for image in images} | {value.app for value in values}
    parts = [counted(len(moves), "image")] if moves else []
    parts += [counted(len(values), "value")] if values else []
    return f"{' and '.join(parts)} in {counted(len(apps), 'app')}"


def subject(template: str | None, images: Sequence[ImageMove], values: Sequence[ValueMove]) -> str:
    """The first line: `template` with `{environment}`, `{app}` and `{summary}` filled in; other braces stay."""
    moves: list[ImageMove | ValueMove] = [*images, *values]
    fields = {
        "environment": ", ".join(dict.fromkeys(move.environment for move in moves)),
        "app": ", ".join(dict.fromkeys(move.app for move in moves)),
        "summary": summary(images, values),
    }
    filled = re.sub(r"\{(environment|app|summary)\}", lambda found: fields[found[1]], template or DEFAULT_SUBJECT)
    return " ".join(plain(filled).split())[:_LONGEST_SUBJECT]


def commit_message(template: str | None, trailers: Trailers, notes: Sequence[str] = ()) -> str:
    """The whole message of a commit that makes these moves."""
    lines = [f"- {move.target}: {move.name} {move.old or 'new'} -> {move.new}" for move in trailers.images]
    lines += [
        f"- {move.environment}/{move.app}: {move.path} {move.field} {move.old} -> {move.new}"
        for move in trailers.values
    ]
    lines += [f"- {move.target}: every file as at {move.new}" for move in trailers.files]
    lines += [f"- note: {note}" for note in notes]
    body = plain("\n".join(lines))
    return f"{subject(template, trailers.images, trailers.values)}\n\n{body}\n\n{format_trailers(trailers)}\n"


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
