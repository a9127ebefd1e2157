"""What a merge request says: its title, and the one marked block of its description that we keep current.

The block is for people (a table) and for us (our trailers in its first line, which stay when a person squashes
our commits). People's text around it stays. Whatever comes from outside is made harmless: no quick action,
no second block, no broken table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ci_gitops.core.messages import short_reference
from ci_gitops.core.text import counted, plain
from ci_gitops.core.trailers import ImageMove, Move, Trailers, format_trailers, merged_trailers, parse_trailers

#: GitLab takes 1,048,576 characters; an adapter whose forge takes less gives its own limit (GitHub: 65,536).
DESCRIPTION_LIMIT = 1_000_000
TITLE_LIMIT = 200  # GitLab: 255, GitHub: 256

_BLOCK = re.compile(r"<!-- ci-gitops:begin (?P<data>\{.*?\}) -->\n(?P<body>.*?)\n?<!-- ci-gitops:end -->", re.DOTALL)
# A line that begins with a slash and a word: https://docs.gitlab.com/user/project/quick_actions/
_QUICK_ACTION = re.compile(r"^([ \t>*+-]*)/(?=[A-Za-z_])", re.MULTILINE)
_SHOWN = (1000, 50, 5)  # rows of the table, from generous to what always fits


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
        """With one more commit on top: what it moves again keeps its first old value and is held once."""
        total = merged_trailers(map(format_trailers, (*self.commits, trailers)))
        again = {_key(move) for move in trailers.moves}
        newest = replace(
            trailers,
            images=tuple(move for move in total.images if _key(move) in again),
            values=tuple(move for move in total.values if _key(move) in again),
        )
        return Block((*self._filtered(lambda move: _key(move) not in again), newest))

    def without(self, targets: Iterable[str]) -> Block:
        """After these targets have moved to another merge request."""
        gone = frozenset(targets)
        return Block(self._filtered(lambda move: _target(move) not in gone))

    def _filtered(self, keep: Callable[[Move], bool]) -> tuple[Trailers, ...]:
        kept = (
            replace(one, images=tuple(filter(keep, one.images)), values=tuple(filter(keep, one.values)))
            for one in self.commits
        )
        return tuple(one for one in kept if one.ours)


def parse_block(description: str) -> Block | None:
    """The block of a description; None where there is none, or none that we wrote."""
    found = _BLOCK.search(description.replace("\r\n", "\n"))
    if found is None:
        return None
    try:
        data = json.loads(found["data"])
        return Block(tuple(parse_trailers(text) for text in data["trailers"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def put_block(description: str, block: Block, sections: Sequence[str] = (), limit: int = DESCRIPTION_LIMIT) -> str:
    """`description` with our block in it: the one that is there replaced, else added at the end.

    `sections` are paragraphs of Markdown below the table (a diff, gates); the caller has made foreign text in
    them `harmless`. Where all is longer than `limit`, the sections go first, then rows of the table.
    """
    description = description.replace("\r\n", "\n")
    found = _BLOCK.search(description)
    before, after = (description[: found.start()], description[found.end() :]) if found else (description, "")
    if not found and before.strip():
        before = before.rstrip("\n") + "\n\n"
    room = limit - len(before) - len(after)
    texts = [_render(block, sections, _SHOWN[0])]
    texts += [_render(block, (), shown) for shown in _SHOWN]
    return before + next((text for text in texts if len(text) <= room), texts[-1]) + after


def _render(block: Block, sections: Sequence[str], shown: int) -> str:
    moves = sorted(block.moves, key=_key)
    parts = [_table(moves[:shown])]
    if len(moves) > shown:
        parts.append(f"{counted(len(moves) - shown, 'more change')} not listed here.")
    parts += sections
    parts.append("_ci-gitops keeps this block current. Text outside it stays as you write it._")
    return f"<!-- ci-gitops:begin {_data(block)} -->\n" + "\n\n".join(parts) + "\n<!-- ci-gitops:end -->"


def _data(block: Block) -> str:
    data = {"version": 1, "trailers": [format_trailers(commit) for commit in block.commits]}
    dumped = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # Inside an HTML comment neither `--` nor `>` may stand; in JSON strings both can be written otherwise.
    return dumped.replace("--", "\\u002d\\u002d").replace(">", "\\u003e").replace("<", "\\u003c")


def _table(moves: Sequence[Move]) -> str:
    lines = ["| environment | app | what | from | to |", "|---|---|---|---|---|"]
    for move in moves:
        cells = (move.environment, move.app, _name(move), move.old, move.new)
        lines.append("| " + " | ".join(code(cell) if cell else "–" for cell in cells) + " |")
    return "\n".join(lines)


def code(text: str) -> str:
    """`text` as a code span that fits into a table cell: nothing in it is Markdown, HTML, a mention or a command."""
    flat = " ".join(plain(text).split()).replace("|", "\\|").replace("<!--", "<!- -")
    ticks = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def harmless(text: str) -> str:
    """Foreign text for a description or comment: no line that a forge takes for a command, no comment marks."""
    return _QUICK_ACTION.sub(r"\1\\/", plain(text).replace("<!--", "&lt;!--"))


def title_for(environment: str, moves: Sequence[Move]) -> str:
    """One line: what goes where. The same moves give the same title."""
    apps = sorted({move.app for move in moves})
    versions = sorted({short_reference(move.new) for move in moves})
    what = " and ".join(apps) if len(apps) <= 2 else counted(len(apps), "app")
    to = f" to {versions[0]}" if len(versions) == 1 else f" ({counted(len(moves), 'change')})"
    return clipped(f"Update {what} in {environment}{to}")


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
    return (_target(move), move.path, move.field)


def _name(move: Move) -> str:
    return move.name if isinstance(move, ImageMove) else f"{move.path} {move.field}"
