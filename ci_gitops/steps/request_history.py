"""What came before a merge request, as the forge knows it, and how its own gates stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ci_gitops.core.gates import GateState
from ci_gitops.core.mergerequest_text import Block
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.trailers import ImageMove
from ci_gitops.errors import CiGitopsError
from ci_gitops.steps.gate_facts import Bench
from ci_gitops.steps.request_text import Draft

LONGEST = 30.0  # seconds
_EARLIER = 3
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RequestHistory:
    """`left_out` says what was not to be had."""

    bringing: tuple[MergeRequest, ...] = ()
    earlier: tuple[MergeRequest, ...] = ()
    superseded: tuple[MergeRequest, ...] = ()
    left_out: tuple[str, ...] = ()


def history_of(draft: Draft, sources: Iterable[str]) -> RequestHistory:
    """`sources` are the environments that its images come from."""
    left_out: list[str] = []
    request, forge = draft.request, draft.forge

    def asked(what: str, question: Callable[[], _T]) -> _T | None:
        try:
            return question()
        except CiGitopsError as error:
            left_out.append(f"{what}: {error.message}")
            return None

    found = RequestHistory()
    if request and request.iid > 0:
        closed = asked("merge requests that it supersedes", lambda: forge.find(target=request.target, state="closed"))
        ended = tuple(each for each in closed or () if each.superseded_by == request.iid)
        found = replace(found, superseded=ended[-_EARLIER:])
    merged = asked("merge requests before this one", lambda: forge.find(state="merged")) or ()
    newest = sorted((each for each in merged if each.block), key=lambda each: -each.merged_at)
    earlier = [each for each in newest if each.target == draft.place.branch and each.targets & draft.block.targets]
    return replace(
        found, earlier=tuple(earlier[:_EARLIER]), bringing=_bringing(newest, draft.block, tuple(sources)),
        left_out=tuple(left_out),
    )  # fmt: skip


def gates_of(draft: Draft) -> tuple[GateState, ...] | None:
    """Each gate with its state, for the head that it has now; None where it is not open yet."""
    if draft.request is None or draft.request.iid <= 0:
        return None
    request = draft.forge.get(draft.request.iid)
    return Bench(draft.forge, draft.places, draft.place).judged(request, draft.policy.gates).states


def _bringing(newest: Sequence[MergeRequest], block: Block, sources: Sequence[str]) -> tuple[MergeRequest, ...]:
    """The merge requests that brought these very images to where they come from."""
    wanted = {(move.app, move.name, move.new) for move in block.moves if isinstance(move, ImageMove)}
    found: dict[int, MergeRequest] = {}
    for request in newest:
        moved = {
            (move.app, move.name, move.new)
            for move in (request.block or Block()).moves
            if isinstance(move, ImageMove) and move.environment in sources
        }
        if moved & wanted:
            found.setdefault(request.iid, request)
            wanted -= moved
    return tuple(found.values())[:_EARLIER]
