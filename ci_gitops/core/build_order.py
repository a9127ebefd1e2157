"""Which of two builds is the newer one: an older pipeline never overwrites what a newer one of its project wrote.

The order holds per source project, target and image. Between different projects the last writer wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ci_gitops.core.trailers import ImageMove, Source, Trailers

Verdict = Literal["write", "older", "other-project"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The commit that last wrote an image of a target, and the build that it came from."""

    commit: str
    move: ImageMove
    source: Source | None


def find_evidence(history: Iterable[tuple[str, Trailers]], target: str, image: str) -> Evidence | None:
    """The newest commit in `history` (newest first: SHA and trailers) that names that image and target."""
    for commit, trailers in history:
        for move in trailers.images:
            if move.target == target and move.name == image:
                return Evidence(commit, move, trailers.source)
    return None


def compare(ours: Source | None, evidence: Evidence | None) -> Verdict:
    """May a build `ours` write over `evidence`? What is not known is no reason to refuse."""
    if ours is None or evidence is None or evidence.source is None:
        return "write"
    theirs = evidence.source
    if ours.project != theirs.project:
        return "other-project"
    if ours.pipeline is not None and theirs.pipeline is not None:
        return "older" if ours.pipeline < theirs.pipeline else "write"
    if ours.moment is not None and theirs.moment is not None:
        return "older" if ours.moment < theirs.moment else "write"
    return "write"
