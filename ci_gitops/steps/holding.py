"""Holds, written to the branch that an environment is written to: pushed straight, since they must be in force now.

Where the branch takes no push of ours, a merge request brings them; until it is merged they are not in force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ci_gitops.adapters.forges.base import Forge, NewMergeRequest
from ci_gitops.adapters.git import RefUpdate
from ci_gitops.core.edits.records import Edit
from ci_gitops.core.holds import holds_path
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.errors import RefusedError
from ci_gitops.steps.workplace import RepositoryTree, Workplace, Workplaces
from ci_gitops.steps.write import Hand, attempts

Change = Callable[[str, str], Edit]  # of text and path


@dataclass(frozen=True, slots=True)
class Proposal:
    """A hold, or its end, that waits in a merge request."""

    commit: str
    request: MergeRequest
    changed: bool  # false where the same was proposed before


def write_holds(
    places: Workplaces, place: Workplace, environment: str, change: Change, message: str, hand: Hand
) -> str | None:
    """Push what `change` makes of the file of holds; the commit, None where nothing is to be changed.

    RefusedError where the branch takes no push of ours.
    """
    for attempt in attempts(hand, places.run.output, place.branch):
        if attempt > 1:
            place = places.refreshed(place)
        edit = changed_holds(place.tree, environment, change)
        if not edit.changed or hand.dry_run:
            return None
        commit = _commit(place, place.revision, edit, message, hand)
        places.run.output.step(f"Pushing {commit[:12]} to {place.branch} of {place.url}")
        if place.repository.push([RefUpdate(f"refs/heads/{place.branch}", commit)]).landed:
            return commit
    raise RefusedError(f"{place.branch} of {place.url} does not take the hold.")  # pragma: no cover


def propose_holds(
    places: Workplaces, place: Workplace, forge: Forge, environment: str, change: Change, message: str, hand: Hand
) -> Proposal:
    """The same by a merge request: one for each environment, which takes what comes before it is merged."""
    repository, branch = place.repository, f"ci-gitops/{environment}/holds"
    ref = f"refs/heads/{branch}"
    for _ in attempts(hand, places.run.output, branch):
        place = places.refreshed(place)
        request = next(iter(forge.find(source=branch, target=place.branch)), None)
        left = repository.remote_refs(ref).get(ref, "")
        base = repository.fetch(branch) if request and left else place.revision
        edit = changed_holds(RepositoryTree(repository, base), environment, change)
        if request and not edit.changed:
            return Proposal(base, request, changed=False)
        commit = _commit(place, base, edit, message, hand)
        title = message.partition("\n")[0]
        new = NewMergeRequest(branch, place.branch, title, message.partition("\n")[2].strip())
        pushed = repository.push([RefUpdate(ref, commit, left)], options=forge.push_options(new))
        if pushed.landed:
            return Proposal(commit, request or forge.open(new), changed=True)
    raise RefusedError(f"{branch} of {place.url} does not take the hold.")  # pragma: no cover


def changed_holds(tree: RepositoryTree, environment: str, change: Change) -> Edit:
    path = holds_path(environment)
    return change(tree.read([path])[path] if tree.holds(path) else "", path)


def _commit(place: Workplace, base: str, edit: Edit, message: str, hand: Hand) -> str:
    return place.repository.commit(
        [base], {edit.path: edit.new.encode()}, message, author=hand.author, committer=hand.author, sign=hand.sign
    )
