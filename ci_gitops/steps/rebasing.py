"""A branch of ours made anew on its target's head, for projects that merge by fast-forward only.

Where many merge requests go into one branch, each merge leaves all the others behind. Their commits are ours, so
they are made again one by one, with their messages; gates and approvals are for the new head then.
"""

from __future__ import annotations

from ci_gitops.adapters.git import Person, RefUpdate, Repository
from ci_gitops.core.mergerequests import MergeRequest, person_commit


def renewed(repository: Repository, request: MergeRequest, committer: Person) -> str:
    """The new head of its branch; "" where it stays as it is: it has moved, it conflicts, or is a person's work."""
    head, base = repository.fetch(request.source), repository.fetch(request.target)
    own = repository.only_in(head, base)
    if head != request.head_sha or not own or person_commit(own):
        return ""
    top = base
    for commit in reversed(own):
        author = Person(commit.author, commit.email)
        merged = repository.merge(top, commit.sha, commit.message, author=author, committer=committer, squash=True)
        if merged.sha is None:
            return ""
        top = merged.sha
    if not repository.push([RefUpdate(f"refs/heads/{request.source}", top, head)]).landed:
        return ""
    return top
