"""Previews as a branch holds them, and how a change of their files is pushed there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ci_gitops.adapters.git import RefUpdate
from ci_gitops.core.previews import Preview, previews_in, read_preview, record_path
from ci_gitops.core.text import plain
from ci_gitops.core.trailers import ImageMove, Trailers, format_trailers
from ci_gitops.errors import UsageError
from ci_gitops.settings.environments import Previews
from ci_gitops.steps.workplace import RepositoryTree, Workplace, Workplaces
from ci_gitops.steps.write import Hand, attempts

_EXAMPLE = "previews: {from: staging, url: 'https://{name}.preview.example.com'}"


@dataclass(frozen=True, slots=True)
class FileChange:
    """Files of one commit, None for what is taken out, and the images that move."""

    files: Mapping[str, bytes | None]
    images: tuple[ImageMove, ...] = ()


Decided = TypeVar("Decided")


@dataclass(frozen=True, slots=True)
class Landed(Generic[Decided]):
    """What was decided on the head on which it landed. `commit`: None where there was nothing to write."""

    decided: Decided
    place: Workplace  # as it was before
    commit: str | None = None
    attempts: int = 1


def settings_at(place: Workplace) -> Previews:
    if place.settings.previews is None:
        raise UsageError(
            f"{place.url} has no previews.",
            hint=f"Add to its .ci-gitops.yaml: {_EXAMPLE}, and make an overlay `preview` for each app.",
        )
    return place.settings.previews


def preview_at(tree: RepositoryTree, environment: str) -> Preview | None:
    path = record_path(environment)
    return read_preview(tree.read([path])[path], path) if tree.holds(path) else None


def all_previews(tree: RepositoryTree) -> tuple[Preview, ...]:
    paths = [record_path(name) for name in previews_in(tree.files())]
    return tuple(read_preview(text, path) for path, text in tree.read(paths).items())


def land(
    places: Workplaces,
    place: Workplace,
    hand: Hand,
    decide: Callable[[Workplace], tuple[Decided, FileChange]],
    message: Callable[[Decided], str],
    check: Callable[[Workplace, str], None] | None = None,
) -> Landed[Decided]:
    """Push what `decide` makes of the branch's head, until it lands; it is asked anew for each head.

    `check` gets the commit before it is pushed.
    """
    output = places.run.output
    for attempt in attempts(hand, output, place.branch):
        if attempt > 1:
            place = places.refreshed(place)
        decided, change = decide(place)
        done = Landed(decided, place, attempts=attempt)
        if not change.files or hand.dry_run:
            return done
        trailers = format_trailers(Trailers(change.images, (), hand.source, hand.actor))
        moves = "".join(f"- {move.target}: {move.name} {move.old or 'new'} -> {move.new}\n" for move in change.images)
        text = "\n".join(part for part in (plain(message(decided)) + "\n", moves, trailers) if part) + "\n"
        commit = place.repository.commit(
            [place.revision], change.files, text, author=hand.author, committer=hand.author, sign=hand.sign
        )
        if check:
            check(place, commit)
        output.step(f"Pushing {commit[:12]} to {place.branch} of {place.url}")
        pushed = place.repository.push([RefUpdate(f"refs/heads/{place.branch}", commit)])
        if pushed.landed:
            return replace(done, commit=commit)
        output.detail(f"Lost the race for {place.branch}: {pushed.raced}")
    raise AssertionError("attempts end by an error")  # pragma: no cover
