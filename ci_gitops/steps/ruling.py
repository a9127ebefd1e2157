"""Whose rules a revision is rendered and deployed under: those at the head of the branch that it would be merged into.

A revision declares what runs. Gates, destinations, allow lists, the box around renderers and holds are not its own to
set: a merge request could open every door for itself. Outside CI a checkout that stands on that branch speaks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ci_gitops.adapters.git import Checkout
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.errors import GitError
from ci_gitops.run import Run
from ci_gitops.settings import Config
from ci_gitops.steps.locate import Place, own_project, same_project
from ci_gitops.steps.workplace import Workplace, Workplaces

_HEAD = "HEAD"
_TRACKED = "refs/remotes/origin/"
_DEEP_ENOUGH = 4  # keys of a path that people are shown
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a revision was taken from. `named`: it is not simply the head; `asked`: the call itself names it."""

    checkout: Checkout | None
    named: bool
    asked: bool = False


def ruled(places: Workplaces, place: Workplace, stand: Stand, branch: str | None = None) -> Workplace:
    """`place` under the rules of the branch that it belongs to (default: the one that it would be merged into).

    What its own file would change is told first.
    """
    if places.run.config is not None:
        return place  # the person who calls names the rules
    checkout = stand.checkout
    policy = _beside(places, checkout, stand, branch) if checkout else _on_server(places, place, stand, branch)
    if policy is None or _same_file(place, policy):
        return replace(place, policy=policy.tree) if policy else place
    changes = differing(place.settings.config, policy.settings.config)
    if changes:
        shown = ", ".join(changes[:_SHOWN]) + (f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else "")
        where = policy.branch.removeprefix("refs/remotes/").removeprefix("refs/heads/")
        warning = f"{CONFIG_FILE} at {place.revision[:12]} is not the one of {where}, whose rules count here: {shown}."
        places.run.output.warn(warning)
        place = replace(place, warnings=(warning,))
    return places.ruled_by(place, policy.settings.config, policy.tree)


def _same_file(place: Workplace, policy: Workplace) -> bool:
    here = place.repository.entry(place.revision, CONFIG_FILE)
    return place.revision == policy.revision or here == policy.repository.entry(policy.revision, CONFIG_FILE)


def _on_server(places: Workplaces, place: Workplace, stand: Stand, branch: str | None) -> Workplace | None:
    """For a repository that is reached by its address; None where the place is what counts."""
    wanted = branch or _target(places.run, place.url) or (places.reach.branch if stand.named else None)
    if not stand.named and wanted in (None, place.branch):
        return None
    return places.at(Place(place.url, wanted, "the branch whose rules count"))


def _beside(places: Workplaces, checkout: Checkout, stand: Stand, branch: str | None) -> Workplace | None:
    """For a checkout: in CI its origin says it, as it is now; elsewhere what the checkout knows of it."""
    ci, root = places.run.ci, str(checkout.root)
    if checkout.origin and (ci.gitlab or ci.target_branch):
        url = ci.target_url if ci.fork and ci.target_url else checkout.origin
        own = ci.branch if own_project(places.run, url) else None
        return places.at(Place(url, branch or _target(places.run, url) or own, "the branch whose rules count"))
    wanted = branch or (checkout.default_branch if checkout.origin else None)
    if checkout.origin and wanted is None and checkout.branch is None:  # a CI system that tells us nothing
        return places.at(Place(checkout.origin, None, "the branch whose rules count"))
    if wanted in (None, checkout.branch):
        return places.at(Place(root, _HEAD, "the checkout")) if stand.named else None
    try:
        return places.at(Place(root, f"{_TRACKED}{wanted}", "what the checkout knows of its origin"))
    except GitError:  # a branch that was never pushed
        return places.at(Place(root, f"refs/heads/{wanted}", "the checkout"))


def _target(run: Run, url: str) -> str | None:
    """The branch that the pipeline's merge request is for, where it is one of that repository."""
    asked = run.ci.target_url
    known = own_project(run, url) or same_project(url, asked) or not (run.ci.project_url or asked)
    ours = known or not parse_git_url(url).remote
    return run.ci.target_branch if ours else None


def differing(one: Config, other: Config) -> list[str]:
    """The keys that two configurations give different values, apps left out: these are a revision's own."""
    found: list[str] = []
    mine, theirs = (each.model_dump(by_alias=True, exclude_unset=True, exclude={"apps"}) for each in (one, other))
    _compare(mine, theirs, (), found)
    return found


def _compare(one: Any, other: Any, path: tuple[str, ...], found: list[str]) -> None:
    if one == other:
        return
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)) or len(path) == _DEEP_ENOUGH:
        found.append(".".join(path))
        return
    for key in [*one, *(key for key in other if key not in one)]:
        _compare(one.get(key), other.get(key), (*path, str(key)), found)
