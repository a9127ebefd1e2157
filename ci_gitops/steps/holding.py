"""Holds, written to the branch that an environment is written to: pushed straight, since they must be in force now."""

from __future__ import annotations

from collections.abc import Callable

from ci_gitops.adapters.git import RefUpdate
from ci_gitops.core.edits.records import Edit
from ci_gitops.core.holds import holds_path
from ci_gitops.errors import RefusedError
from ci_gitops.steps.workplace import Workplace, Workplaces
from ci_gitops.steps.write import Hand, attempts


def write_holds(
    places: Workplaces, place: Workplace, environment: str, change: Callable[[str, str], Edit], message: str, hand: Hand
) -> str | None:
    """Push what `change` (text, path) makes of the file of holds; the commit, None where nothing is to be changed.

    RefusedError where the branch takes no push of ours.
    """
    path = holds_path(environment)
    for attempt in attempts(hand, places.run.output, place.branch):
        if attempt > 1:
            place = places.refreshed(place)
        edit = change(place.tree.read([path])[path] if place.tree.holds(path) else "", path)
        if not edit.changed or hand.dry_run:
            return None
        commit = place.repository.commit(
            [place.revision], {path: edit.new.encode()}, message, author=hand.author, committer=hand.author,
            sign=hand.sign,
        )  # fmt: skip
        places.run.output.step(f"Pushing {commit[:12]} to {place.branch} of {place.url}")
        if place.repository.push([RefUpdate(f"refs/heads/{place.branch}", commit)]).landed:
            return commit
    raise RefusedError(f"{place.branch} of {place.url} does not take the hold.")  # pragma: no cover
