"""The machine-readable end of our commit messages: what moved where, from which build, by whom.

Git's own trailers (https://git-scm.com/docs/git-interpret-trailers), so that `git log` and every forge show
them and no database is needed. They are the evidence for the order of updates, for history and for rollback.

    Ci-Gitops-Image: production/shop registry.example.com/shop/web:1.1 -> :1.2@sha256:…
    Ci-Gitops-Set: production/shop apps/shop/values.yaml replicas 2 -> 3
    Ci-Gitops-Files: production/shop 4f1a… production/cart
    Ci-Gitops-Source: group/shop 4f1a… pipeline=812 time=2026-11-21T10:00:00+00:00
    Ci-Gitops-Cause: rollback 4f1a…
    Ci-Gitops-Actor: alice
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

_IMAGE = "Ci-Gitops-Image"
_VALUE = "Ci-Gitops-Set"
_FILES = "Ci-Gitops-Files"
_SOURCE = "Ci-Gitops-Source"
_CAUSE = "Ci-Gitops-Cause"
_ACTOR = "Ci-Gitops-Actor"
_LINE = re.compile(r"^(Ci-Gitops-[A-Za-z-]+):[ \t]*(.*)$", re.MULTILINE)
_NOTHING = "-"
_ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class ImageMove:
    """One image of one target: the references before and after, as the target's files spell them.

    `name` is the image's name in the target; `old` and `new` are references, `old` None for a new entry.
    """

    environment: str
    app: str
    name: str
    old: str | None
    new: str

    @property
    def target(self) -> str:
        return f"{self.environment}/{self.app}"


@dataclass(frozen=True, slots=True)
class ValueMove:
    """One other value (a chart's version, a key) of one target's file."""

    environment: str
    app: str
    path: str
    field: str
    old: str | None
    new: str


@dataclass(frozen=True, slots=True)
class FilesMove:
    """Every file that one target is rendered from, as at an earlier revision."""

    environment: str
    app: str
    revision: str
    shared: tuple[str, ...] = ()  # `environment/app` of each other target that is rendered from one of them

    @property
    def target(self) -> str:
        return f"{self.environment}/{self.app}"

    @property
    def old(self) -> None:
        """What they were is many things."""

    @property
    def new(self) -> str:
        return self.revision[:12]


Move = ImageMove | ValueMove | FilesMove


@dataclass(frozen=True, slots=True)
class Source:
    """The build that an image comes from: its project, commit and pipeline, as far as they are known."""

    project: str
    commit: str | None = None
    pipeline: int | None = None
    time: str | None = None  # the commit's, ISO 8601

    @property
    def moment(self) -> datetime | None:
        """The commit's time, None where there is none or it does not parse."""
        try:
            moment = datetime.fromisoformat(self.time) if self.time else None
        except ValueError:
            return None
        return moment if moment is None or moment.tzinfo else None


@dataclass(frozen=True, slots=True)
class Trailers:
    """What one commit of ours says of itself."""

    images: tuple[ImageMove, ...] = ()
    values: tuple[ValueMove, ...] = ()
    source: Source | None = None
    actor: str | None = None
    back_to: str | None = None  # of a way back: the revision that it goes back to
    files: tuple[FilesMove, ...] = ()

    @property
    def moves(self) -> tuple[Move, ...]:
        return (*self.images, *self.values, *self.files)

    @property
    def ours(self) -> bool:
        return bool(self.moves)


def format_trailers(trailers: Trailers) -> str:
    """The block of trailer lines, ready to follow a blank line in a commit message."""
    lines = [
        f"{_IMAGE}: {_word(move.target)} {_word(move.name)} {_word(move.old)} -> {_word(move.new)}"
        for move in trailers.images
    ]
    lines += [
        f"{_VALUE}: {_word(f'{move.environment}/{move.app}')} {_word(move.path)} {_word(move.field)}"
        f" {_word(move.old)} -> {_word(move.new)}"
        for move in trailers.values
    ]
    lines += [
        " ".join([f"{_FILES}:", *map(_word, (move.target, move.revision, *move.shared))]) for move in trailers.files
    ]
    if trailers.source:
        source = trailers.source
        facts = [_word(source.project), _word(source.commit)]
        facts += [f"pipeline={source.pipeline}"] if source.pipeline is not None else []
        facts += [f"time={_word(source.time)}"] if source.time else []
        lines.append(f"{_SOURCE}: {' '.join(facts)}")
    if trailers.back_to:
        lines.append(f"{_CAUSE}: {_ROLLBACK} {_word(trailers.back_to)}")
    if trailers.actor:
        lines.append(f"{_ACTOR}: {_word(trailers.actor)}")
    return "\n".join(lines)


def parse_trailers(message: str) -> Trailers:
    """The trailers of a commit message; lines that do not fit are left out (people write messages too).

    They are looked for in the whole message: a squash merge joins several messages to one.
    """
    images: list[ImageMove] = []
    values: list[ValueMove] = []
    files: list[FilesMove] = []
    source: Source | None = None
    actor: str | None = None
    back_to: str | None = None
    for key, rest in _LINE.findall(message.replace("\r\n", "\n")):
        words = rest.split()
        if key == _IMAGE and len(words) == 5 and words[3] == "->" and "/" in words[0]:
            environment, app = _unword(words[0]).split("/", 1)
            images.append(ImageMove(environment, app, _unword(words[1]), _optional(words[2]), _unword(words[4])))
        elif key == _VALUE and len(words) == 6 and words[4] == "->" and "/" in words[0]:
            environment, app = _unword(words[0]).split("/", 1)
            path, field, old = _unword(words[1]), _unword(words[2]), _optional(words[3])
            values.append(ValueMove(environment, app, path, field, old, _unword(words[5])))
        elif key == _FILES and len(words) >= 2 and "/" in words[0]:
            environment, app = _unword(words[0]).split("/", 1)
            files.append(FilesMove(environment, app, _unword(words[1]), tuple(map(_unword, words[2:]))))
        elif key == _SOURCE and len(words) >= 2:
            source = _parse_source(words)
        elif key == _CAUSE and len(words) == 2 and words[0] == _ROLLBACK:
            back_to = _unword(words[1])
        elif key == _ACTOR and words:
            actor = _unword(words[0])
    return Trailers(tuple(images), tuple(values), source, actor, back_to, tuple(files))


def split_trailers(message: str) -> tuple[Trailers, ...]:
    """The trailers of each paragraph that moves something, in their order.

    The message of a squash or merge holds one such paragraph for each commit that it brought: each move keeps the
    build that it came from.
    """
    paragraphs = re.split(r"\n[ \t]*\n", message.replace("\r\n", "\n"))
    return tuple(trailers for trailers in map(parse_trailers, paragraphs) if trailers.ours)


def _parse_source(words: Sequence[str]) -> Source:
    facts = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    pipeline = facts.get("pipeline", "")
    number = int(pipeline) if re.fullmatch(r"[0-9]{1,18}", pipeline) else None
    time = _unword(facts["time"]) if "time" in facts else None
    return Source(_unword(words[0]), _optional(words[1]), number, time)


def _word(text: str | None) -> str:
    """One word that survives a line: white space, `%` and control characters as %XX, nothing as `-`."""
    if not text:
        return _NOTHING
    if text == _NOTHING:
        return "%2D"
    return re.sub(r"[\s%\x00-\x1f\x7f-\x9f]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def _unword(word: str) -> str:
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), word.encode(errors="replace"))
    return raw.decode(errors="replace")


def _optional(word: str) -> str | None:
    return None if word == _NOTHING else _unword(word)


def merged_trailers(messages: Iterable[str]) -> Trailers:
    """The trailers of several commits (oldest first) as those of their sum: for squash and merge messages."""
    images: dict[tuple[str, str], ImageMove] = {}
    values: dict[tuple[str, str, str, str], ValueMove] = {}
    files: dict[str, FilesMove] = {}
    source: Source | None = None
    actor: str | None = None
    for trailers in map(parse_trailers, messages):
        for image in trailers.images:
            first = images.get((image.target, image.name), image)
            images[image.target, image.name] = ImageMove(image.environment, image.app, image.name, first.old, image.new)
        for value in trailers.values:
            key = (value.environment, value.app, value.path, value.field)
            before = values.get(key, value)
            values[key] = ValueMove(value.environment, value.app, value.path, value.field, before.old, value.new)
        files |= {move.target: move for move in trailers.files}
        source = trailers.source or source
        actor = trailers.actor or actor
    return Trailers(tuple(images.values()), tuple(values.values()), source, actor, files=tuple(files.values()))
