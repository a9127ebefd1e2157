"""Which rules count for a merge request: those of every environment that it writes to, as its target branch has them.

What a merge request says of itself, in its text or in its own copy of the configuration, changes nothing of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.core.gates import environments_touched
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.errors import UsageError
from ci_gitops.settings.schema import FILE_NAME
from ci_gitops.steps.merging import MergePolicy, joined, policy_of
from ci_gitops.steps.way_back import goes_back
from ci_gitops.steps.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Ruled:
    """The policy, what whoever reads the outcome should know of it, and the environments whose it is."""

    policy: MergePolicy
    notes: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()


def environments_at(place: Workplace, root: Workplace, branch: str | None) -> list[str]:
    """The environments that are written on the branch of `place`; `branch` is `--branch`, which is that of all."""
    found = []
    for name, environment in place.settings.environments.items():
        url = environment.url or root.url
        there = branch or environment.branch or (root.branch if url == root.url else place.branch)
        if (url, there) == (place.url, place.branch):
            found.append(name)
    return found


def ruled(
    place: Workplace, request: MergeRequest, written: Sequence[str], here: Sequence[str], *, just_pushed: bool = False
) -> Ruled:
    """The rules of the environments that it names (`written`), and of all `here` whose files it changes.

    A file of no environment counts for all of them on a branch of ours; whoever names somebody else's merge request
    says whose gates it has. Where the branch moves while it is looked at, nobody knows what it changes; where we have
    `just_pushed` it, the forge may only not have seen that yet, and what it holds counts.
    """
    head = place.repository.fetch(request.source)
    paths = place.repository.changed_paths(head, place.revision)
    try:
        targets = place.settings.targets(here, paths=place.tree.files())
    except UsageError:  # none of them has files on the branch yet
        targets = ()
    inputs = place.inputs if len(here) > 1 and targets else None
    touched = environments_touched(
        paths, targets, here, {FILE_NAME, *place.keys}, inputs=inputs, shared=bool(request.environments)
    )
    more = sorted((touched if just_pushed or head == request.head_sha else frozenset(here)) - set(written))
    notes = []
    if more:
        notes.append(
            f"!{request.iid} changes files of {', '.join(more)} too, or files that all share: "
            "those gates count as well."
        )
    if FILE_NAME in paths:
        notes.append(
            f"!{request.iid} changes {FILE_NAME} itself: it is judged by that of {place.branch}, not by its own."
        )
    back = goes_back(place, request)
    if back:
        notes.append(f"!{request.iid} goes back and does nothing besides: the gates of `rollback` count.")
    policies = [policy_of(place.settings.environment(name), back=back) for name in (*written, *more)]
    return Ruled(joined(policies), tuple(notes), (*written, *more))
