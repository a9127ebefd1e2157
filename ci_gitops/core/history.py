"""Which images of a plan a newer build has already written, read from the commits of the branch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ci_gitops.core.build_order import Evidence, compare, find_evidence
from ci_gitops.core.trailers import ImageMove, Source, Trailers

History = Sequence[tuple[str, Trailers]]  # newest first: SHA and trailers


@dataclass(frozen=True, slots=True)
class Judgement:
    """`older`: moves that would overwrite a newer build, with what wrote it. `notes` are for people."""

    older: tuple[tuple[ImageMove, Evidence], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def skip(self) -> frozenset[tuple[str, str]]:
        return frozenset((move.target, move.name) for move, _ in self.older)


def judge(moves: Iterable[ImageMove], source: Source | None, history: History) -> Judgement:
    """Hold each move against the newest commit that names its image and target."""
    older: list[tuple[ImageMove, Evidence]] = []
    notes: list[str] = []
    for move in moves:
        evidence = find_evidence(history, move.target, move.name)
        verdict = compare(source, evidence)
        if evidence is None or source is None or evidence.source is None:
            continue
        if verdict == "older":
            older.append((move, evidence))
        elif verdict == "other-project":
            notes.append(
                f"{move.target}: {move.name} was last written by {evidence.source.project}, now by {source.project}"
            )
    return Judgement(tuple(older), tuple(dict.fromkeys(notes)))


def settled(moves: Iterable[ImageMove], history: History) -> bool:
    """Is there a commit in `history` for each of these moves, so that more history would change nothing?"""
    return all(find_evidence(history, move.target, move.name) for move in moves)


def gather(
    moves: Sequence[ImageMove], read: Callable[[], History], deepen: Callable[[int], bool], steps: Sequence[int]
) -> History:
    """History deep enough to judge `moves`: deepened in `steps` of commits until settled or at an end."""
    history = read()
    for count in steps:
        if settled(moves, history) or not deepen(count):
            break
        history = read()
    return history


def explain_older(move: ImageMove, evidence: Evidence, source: Source) -> str:
    """Why a move is left out, for the person who looks at the older pipeline's job."""
    assert evidence.source
    theirs, ours = evidence.source, source
    if theirs.pipeline is not None and ours.pipeline is not None:
        which = f"pipeline {theirs.pipeline} (this is {ours.pipeline})"
    else:
        which = f"a commit of {theirs.time} (this is of {ours.time})"
    return (
        f"{move.target}: {move.name} stays at {evidence.move.new}: the newer {which} of {ours.project} "
        f"wrote it in {evidence.commit[:12]}"
    )
