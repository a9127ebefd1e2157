"""A branch of ours made anew on its target's head, for projects that merge by fast-forward only.

Where many merge requests go into one branch, each merge leaves all the others behind. Their commits are ours, so
they are made again one by one, with their messages; gates and approvals are for the new head then.
"""

from __future__ import annotations

from typing import Literal

from ci_gitops.adapters.git import Person, RefUpdate
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.steps.authorship import of_people
from ci_gitops.steps.workplace import Workplace

#: made: it has a new head; moved: another run was faster, look again; stays: it conflicts, or is a person's work.
Renewal = Literal["made", "moved", "stays"]


def renew(place: Workplace, request: MergeRequest, committer: Person) -> Renewal:
    """`place` is the branch that it goes into, as it was last looked at."""
    repository = place.repository
    there = repository.remote_refs(f"refs/heads/{request.source}")
    if request.head_sha not in there.values():
        return "moved"
    head, base = repository.fetch(request.source), repository.fetch(request.target)
    own = repository.only_in(head, base)
    if head != request.head_sha or not own:
        return "moved"
    if of_people(place, own):
        return "stays"
    top = base
    for commit in reversed(own):
        author = Person(commit.author, commit.email)
        merged = repository.merge(top, commit.sha, commit.message, author=author, committer=committer, squash=True)
        if merged.sha is None:
            return "stays"
        top = merged.sha
    landed = repository.push([RefUpdate(f"refs/heads/{request.source}", top, head)]).landed
    return "made" if landed else "moved"
