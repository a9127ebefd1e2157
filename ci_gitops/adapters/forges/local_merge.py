"""The merge itself, by Git: a merge commit, one squashed commit, or the target moved forward."""

from __future__ import annotations

from dataclasses import dataclass

from ci_gitops.adapters.forges.base import MergeCall, Project
from ci_gitops.adapters.git import Person, Repository
from ci_gitops.core.mergerequests import MergeMethod, MergeRequest
from ci_gitops.errors import GitError


@dataclass(frozen=True, slots=True)
class Landing:
    """What the target branch would be moved to; without `sha` the reason why it cannot."""

    base: str  # the target branch's head that it was made for
    sha: str = ""
    reason: str = ""
    conflicts: tuple[str, ...] = ()
    behind: bool = False


def land(
    repository: Repository, request: MergeRequest, base: str, call: MergeCall, project: Project, person: Person
) -> Landing | None:
    """Merge the guarded head into `base`; None where a branch has moved since they were listed."""
    head = call.head_sha
    if (_fetched(repository, request.target), _fetched(repository, request.source)) != (base, head):
        return None
    method: MergeMethod = call.method or ("squash" if project.squash else project.merge_method)
    if method == "fast-forward":
        if repository.is_ancestor(head, base):
            return Landing(base, base)
        if repository.is_ancestor(base, head):
            return Landing(base, head)
        reason = f"{request.target} has moved on: its branch needs a rebase (fast-forward only)"
        return Landing(base, reason=reason, behind=True)
    message = call.message or f"Merge branch {request.source!r} into {request.target!r}\n\n{request.title}\n"
    merged = repository.merge(base, head, message, author=person, committer=person, squash=method == "squash")
    if merged.sha:  # the base itself where somebody has brought it there by hand
        return Landing(base, merged.sha)
    reason = f"it conflicts with {request.target} in {', '.join(merged.conflicts)}"
    return Landing(base, reason=reason, conflicts=merged.conflicts)


def _fetched(repository: Repository, branch: str) -> str | None:
    """The branch's head, fetched; None where it has just been deleted (others merge at the same time)."""
    try:
        return repository.fetch(branch)
    except GitError:
        if f"refs/heads/{branch}" in repository.remote_refs(f"refs/heads/{branch}"):
            raise
        return None
