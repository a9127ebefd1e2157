"""What a merge request says: its title, and the one marked block of its description that we keep current.

The block is for people (a table) and for us (our trailers in its first line, which stay when a person squashes
our commits). People's text around it stays. Whatever comes from outside is made harmless: no quick action,
no second block, no broken table.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ci_gitops.core.images import ImageRef
from ci_gitops.core.markdown import code, fenced, folded, table
from ci_gitops.core.messages import short_reference
from ci_gitops.core.text import counted, plain
from ci_gitops.core.trailers import (
    FilesMove,
    ImageMove,
    Move,
    Trailers,
    format_trailers,
    merged_trailers,
    parse_trailers,
)
from ci_gitops.errors import UsageError

#: GitLab takes 1,048,576 characters; an adapter whose forge takes less gives its own limit (GitHub: 65,536).
DESCRIPTION_LIMIT = 1_000_000
TITLE_LIMIT = 200  # GitLab: 255, GitHub: 256

_BEGIN, _FILLED, _END = "<!-- ci-gitops:begin ", "} -->", "<!-- ci-gitops:end -->"
_SHOWN = (1000, 50, 5)  # rows of the table, from generous to what always fits
_LONG = 10  # rows that are shown at once
_MUCH = 16_000  # characters of trailers that are kept as they are
_MOST_UNPACKED = 16_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """The content of the marked block: the trailers of our commits, oldest first, each move in the newest that has it.

    Where a person squashed those commits, this is the evidence of what was written, by which pipeline.
    """

    commits: tuple[Trailers, ...] = ()

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(move for commit in self.commits for move in commit.moves)

    @property
    def targets(self) -> frozenset[str]:
        """`environment/app` of each target that the merge request holds."""
        return frozenset(_target(move) for move in self.moves)

    def updated(self, trailers: Trailers) -> Block:
        """With one more commit on top: what it moves again keeps its first old value and is held once.

        Where it brings all files of a target, nothing that was done to that target before is left.
        """
        total = merged_trailers(map(format_trailers, (*self.commits, trailers)))
        again = {_key(move) for move in trailers.moves}
        newest = replace(
            trailers,
            images=tuple(move for move in total.images if _key(move) in again),
            values=tuple(move for move in total.values if _key(move) in again),
        )
        whole = {_target(move) for move in trailers.files}
        return Block((*self._filtered(lambda move: _key(move) not in again and _target(move) not in whole), newest))

    def before(self, trailers: Trailers) -> Block:
        """What is left of it below such a commit on top."""
        return Block(self.updated(trailers).commits[:-1])

    def without(self, targets: Iterable[str]) -> Block:
        """After these targets have moved to another merge request."""
        gone = frozenset(targets)
        return Block(self._filtered(lambda move: _target(move) not in gone))

    def _filtered(self, keep: Callable[[Move], bool]) -> tuple[Trailers, ...]:
        kept = (
            replace(
                one,
                images=tuple(filter(keep, one.images)),
                values=tuple(filter(keep, one.values)),
                files=tuple(filter(keep, one.files)),
            )
            for one in self.commits
        )
        return tuple(one for one in kept if one.ours)


def parse_block(description: str) -> Block | None:
    """The block of a description; None where there is none, or none that we wrote."""
    found = _find(description.replace("\r\n", "\n"))
    if found is None:
        return None
    try:
        data = json.loads(found.data)
        trailers = _unpacked(data["packed"]) if "packed" in data else data["trailers"]
        return Block(tuple(parse_trailers(text) for text in trailers))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
        return None


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a description has a block, and its parts."""

    start: int
    end: int
    data: str
    body: str


def _find(description: str) -> _Found | None:
    """The first block. Anybody may write a description: each character is looked at once, whatever it holds."""
    start = description.find(_BEGIN)
    while start >= 0:
        line = description.find("\n", start)
        end = description.find(_END, line) if line >= 0 else -1
        if end < 0:
            return None
        data = description[start + len(_BEGIN) : line]
        if data.startswith("{") and data.endswith(_FILLED):
            body = description[line + 1 : end].removesuffix("\n")
            return _Found(start, end + len(_END), data[: 1 - len(_FILLED)], body)
        start = description.find(_BEGIN, line)
    return None


def _packed(trailers: Sequence[str]) -> Mapping[str, object]:
    """The trailers as JSON holds them: very many are made small, so that people's text has room beside them."""
    if sum(map(len, trailers)) <= _MUCH:
        return {"trailers": trailers}
    return {"packed": base64.b64encode(zlib.compress(json.dumps(trailers).encode(), 9)).decode()}


def _unpacked(packed: str) -> list[str]:
    found = json.loads(zlib.decompressobj().decompress(base64.b64decode(packed), _MOST_UNPACKED))
    return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the text below the table (`first`: above it), in Markdown in which foreign text is harmless.

    Where room is short, the section with the smallest `weight` gives way first: to `short`, or to nothing. What only
    changes in words that are true for a moment is not written again: `gist` is what counts of it, else all of it.
    """

    text: str
    short: str = ""
    weight: int = 0
    gist: str | None = None
    first: bool = False


def put_block(description: str, block: Block, sections: Sequence[Section] = (), limit: int = DESCRIPTION_LIMIT) -> str:
    """`description` with our block in it: the one that is there replaced, else added at the end.

    Where all is longer than `limit`, the sections give way first, then rows of the table.
    """
    description = description.replace("\r\n", "\n")
    found = _find(description)
    before, after = (description[: found.start], description[found.end :]) if found else (description, "")
    if not found and before.strip():
        before = before.rstrip("\n") + "\n\n"
    room = limit - len(before) - len(after)
    gist = _digest(*(section.text if section.gist is None else section.gist for section in sections))
    data = {"version": 1, **_packed([format_trailers(commit) for commit in block.commits]), "gist": gist}
    if found and _says_so(found, data):
        return description
    text = next((text for body in _bodies(block, sections) if len(text := _marked(data, body)) <= room), None)
    return before + (text or _marked(data, _body(block, (), _SHOWN[-1]))) + after


def _says_so(found: _Found, data: Mapping[str, object]) -> bool:
    """Whether the block that is there, untouched by people, says the same in other words."""
    try:
        there = json.loads(found.data)
    except (ValueError, RecursionError):
        return False
    return isinstance(there, dict) and there == {**data, "text": _digest(found.body)}


def _marked(data: Mapping[str, object], body: str) -> str:
    dumped = json.dumps({**data, "text": _digest(body)}, ensure_ascii=False, separators=(",", ":"))
    # Inside an HTML comment neither `--` nor `>` may stand; in JSON strings both can be written otherwise.
    safe = dumped.replace("--", "\\u002d\\u002d").replace(">", "\\u003e").replace("<", "\\u003c")
    return f"<!-- ci-gitops:begin {safe} -->\n{body}\n<!-- ci-gitops:end -->"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _bodies(block: Block, sections: Sequence[Section]) -> Iterator[str]:
    """The body as it should be, then shorter and shorter."""
    shown = list(sections)
    yield _body(block, shown, _SHOWN[0])
    for section in sorted(sections, key=lambda each: each.weight):
        shown[shown.index(section)] = replace(section, text=section.short)
        yield _body(block, shown, _SHOWN[0])
    for rows in _SHOWN[1:]:
        yield _body(block, shown, rows)


def _body(block: Block, sections: Sequence[Section], rows: int) -> str:
    above, below = ([each.text for each in sections if each.text and each.first is first] for first in (True, False))
    parts = [*above, _moves_table(sorted(block.moves, key=_key), rows), *below]
    return "\n\n".join([*parts, "_ci-gitops keeps this block current. Text outside it stays as you write it._"])


def _moves_table(moves: Sequence[Move], rows: int) -> str:
    """What moves: short versions in a table, and below it whatever these leave out."""
    several = len({move.environment for move in moves}) > 1
    header = [*(["environment"] if several else []), "app", "what", "from", "to"]
    lines = []
    for move in moves[:rows]:
        cells = [*([move.environment] if several else []), move.app, _name(move)]
        old, new = (_version(move, each) for each in (move.old, move.new))
        lines.append([*map(code, cells), old, f"**{new}**"])
    text = table(header, lines)
    if len(lines) > _LONG:
        apps = counted(len({_target(move) for move in moves}), "target")
        text = folded(f"{counted(len(moves), 'change')} in {apps}", text)
    if len(moves) > rows:
        text += f"\n\n{counted(len(moves) - rows, 'more change')} not listed here."
    whole = "\n".join(line for move in moves[:rows] for line in _whole(move))
    return f"{text}\n\n{folded('The whole references', fenced(whole, 'diff'))}" if whole else text


def _version(move: Move, reference: str | None) -> str:
    """What a person compares: tag and short digest of an image of the same name, else all that is there."""
    if not reference:
        return ""
    image = image_of(reference) if isinstance(move, ImageMove) else None
    if image is None or not isinstance(move, ImageMove):
        return code(reference)
    name = "" if image.name == move.name else image.name
    tag = f":{image.tag}" if name and image.tag else image.tag or ""
    parts = [*([name + tag] if name or tag else []), *([short_digest(image.digest)] if image.digest else [])]
    return " ".join(map(code, parts or [reference]))


def _whole(move: Move) -> list[str]:
    """Both references of an image whose digests are shortened in the table."""
    images = [image_of(each) if each else None for each in (move.old, move.new)] if isinstance(move, ImageMove) else []
    if not any(image and image.digest for image in images):
        return []
    return [*([f"- {move.old}"] if move.old else []), f"+ {move.new}"]


def image_of(reference: str) -> ImageRef | None:
    try:
        return ImageRef.parse(reference)
    except UsageError:
        return None


def short_digest(digest: str) -> str:
    """`4f1a0c2b9d8e` for `sha256:4f1a0c2b9d8e…`."""
    return digest.removeprefix("sha256:")[:12]


def title_for(environment: str, block: Block) -> str:
    """One line: what goes where. The same moves give the same title."""
    moves = block.moves
    apps = sorted({move.app for move in moves})
    back = sorted({move.new for move in moves if isinstance(move, FilesMove)})
    if back and {move.app for move in moves if isinstance(move, FilesMove)} == {*apps}:
        return clipped(f"Roll back every file of {' and '.join(apps)} in {environment} to {' and '.join(back)}")
    versions = sorted({short_reference(move.new) for move in moves})
    what = " and ".join(apps) if len(apps) <= 2 else counted(len(apps), "app")
    to = f" to {versions[0]}" if len(versions) == 1 else f" ({counted(len(moves), 'change')})"
    verb = "Roll back" if block.commits and all(commit.back_to for commit in block.commits) else "Update"
    return clipped(f"{verb} {what} in {environment}{to}")


def merge_message(
    title: str, source: str, target: str, reference: str, block: Block | None, notes: Sequence[str]
) -> str:
    """The message of the merge or squash commit: the trailers of our commits go on with it.

    `notes` are further trailer lines (an overridden gate). Each commit's trailers stay a paragraph of their own, so
    that each image keeps the build that it came from.
    """
    lines = [clipped(title), f"Merge branch {source!r} into {target!r}, {reference}"]
    paragraphs = [format_trailers(commit) for commit in (block.commits if block else ())]
    return "\n\n".join([*lines, *(["\n".join(notes)] if notes else []), *paragraphs]) + "\n"


def clipped(title: str, limit: int = TITLE_LIMIT) -> str:
    """`title` on one line, not longer than a forge takes."""
    flat = " ".join(plain(title).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def _target(move: Move) -> str:
    return f"{move.environment}/{move.app}"


def _key(move: Move) -> tuple[str, ...]:
    if isinstance(move, ImageMove):
        return (_target(move), "", move.name)
    if isinstance(move, FilesMove):
        return (_target(move), "")
    return (_target(move), move.path, move.field)


def _name(move: Move) -> str:
    if isinstance(move, FilesMove):
        return f"every file, shared with {', '.join(move.shared)}" if move.shared else "every file"
    return move.name if isinstance(move, ImageMove) else f"{move.path} {move.field}"
