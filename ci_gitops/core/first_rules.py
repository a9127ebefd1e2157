"""How builds and promotions come to each environment, as a careful person chooses who knows no more than its name.

What is first on the way is pushed to. What comes after another one, looks like production or has a name that says
nothing is reviewed by merge request: that is changed in one word, and nothing has been deployed that nobody wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ci_gitops.core.layout import in_order, live, other_words, place

_ORDER_THEM = "put the environments of .ci-gitops.yaml in promotion order, and `write: push` where no review is needed."


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule of one environment. `said` is False where its name told nothing."""

    environment: str
    write: Literal["push", "merge-request"]
    why: str
    source: str | None = None  # where promotions come from
    said: bool = True


def choices(environments: Sequence[str], branches: Sequence[str] = ()) -> tuple[Choice, ...]:
    """One for each, in promotion order; `branches` are the environments that branches of their own update."""
    ordered = in_order(environments)
    return tuple(_choice(name, ordered, branches) for name in ordered)


def _choice(name: str, ordered: Sequence[str], branches: Sequence[str]) -> Choice:
    where, source = place(name), _source(name, ordered)
    if name in branches:
        return Choice(name, "push", "builds of its branch update it", source)
    if where is None:
        return Choice(name, "merge-request", "its name does not say where it stands", source, said=False)
    if live(name):
        return Choice(name, "merge-request", "it looks like production", source)
    first = min(rank for rank in map(place, ordered) if rank is not None)
    earlier = [other for other in _alike(name, ordered) if other != name]
    if where == first and not earlier:
        return Choice(name, "push", "it is the first on the way")
    source = source or earlier[-1]
    return Choice(name, "merge-request", f"it comes after {source}", source)


def _alike(name: str, ordered: Sequence[str]) -> list[str]:
    """It and those before it on the same road at the same place: dev-eu and dev-us are on two roads."""
    here = (place(name), other_words(name))
    return [other for other in ordered[: ordered.index(name) + 1] if (place(other), other_words(other)) == here]


def _source(name: str, ordered: Sequence[str]) -> str | None:
    """The one before it: among several that stand there, the one whose other words are its own (dev-eu, prod-eu)."""
    before = [other for other in ordered[: ordered.index(name)] if place(other) != place(name)]
    nearest = [other for other in before if place(other) == place(before[-1])]
    alike = [other for other in nearest if other_words(other) == other_words(name)]
    return next(reversed(alike or nearest), None)


def doubts(chosen: Sequence[Choice]) -> Iterator[str]:
    """What the names left open, for their people to decide."""
    silent = [choice.environment for choice in chosen if not choice.said]
    if len(silent) == 1:
        yield f"The name {silent[0]} does not say where it stands on the way to production: {_ORDER_THEM}"
    elif silent:
        yield f"{len(silent)} names do not say where they stand on the way to production: {_ORDER_THEM}"
    known = [choice.environment for choice in chosen if choice.said]
    for name in known:
        same = _alike(name, known)
        if len(same) > 1:
            yield (
                f"{same[-2]} and {name} may stand at the same place: put them in promotion order or, where they are one"
                " environment, give its files one name."
            )
