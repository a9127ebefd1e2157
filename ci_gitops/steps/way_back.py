"""Whether a merge request is a way back and nothing else, so that it has the gates of `rollback:` in its environment.

Those gates are meant to be fewer, and anybody who may push a branch can write any message. So a commit is not believed
for what it says: made anew from its trailers it must come out the same, and what it brings must have been so at the
revision that it names, which the target branch holds. Whatever cannot be shown has the normal gates.
"""

from __future__ import annotations

from collections.abc import Sequence

from ci_gitops.adapters.git import CommitInfo
from ci_gitops.core.git_refs import is_object_id
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.trailers import split_trailers
from ci_gitops.core.updates import Plan
from ci_gitops.steps.authorship import NOT_SHOWN, made_again, says_all
from ci_gitops.steps.workplace import Workplace


def goes_back(place: Workplace, request: MergeRequest) -> bool:
    """Whether each commit of its branch, at exactly the head that was read, is a way back; `place` is its target."""
    if not (request.block and all(told.back_to for told in request.block.commits)):
        return False  # it does not even say so
    repository = place.repository
    head = repository.fetch(request.source)
    own: Sequence[CommitInfo] = repository.only_in(head, place.revision) if head == request.head_sha else ()
    return bool(own) and all(_is_way_back(place, commit) for commit in own)


def _is_way_back(place: Workplace, commit: CommitInfo) -> bool:
    told = split_trailers(commit.message)
    if len(told) != 1 or len(commit.parents) != 1 or not is_object_id(told[0].back_to or ""):
        return False
    trailers, good = told[0], told[0].back_to or ""
    try:
        if place.repository.is_ancestor(good, place.revision) is not True:
            return False
        return says_all(place, commit, trailers) and _was_so(made_again(place, place.repository.fetch(good), trailers))
    except NOT_SHOWN:
        return False


def _was_so(plan: Plan) -> bool:
    """Whether the revision that was gone back to would stay what it is by these moves (an entry may be new)."""
    return all(image.old == image.new for image in plan.images) and not (plan.values or plan.files)
