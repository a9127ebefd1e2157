"""What images were built of, and the commits between an old and a new one.

Registries tell it by labels; the commits are read by Git from the repository that these name. Anybody who may push an
image may write any address into its labels, so only a neighbour of the config repository is asked (`core/neighbours`).
Of others there is a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for
from ci_gitops.core.git_refs import is_object_id
from ci_gitops.core.git_urls import GitUrl, parse_git_url
from ci_gitops.core.mergerequest_text import image_of
from ci_gitops.core.neighbours import is_neighbour, same_server
from ci_gitops.core.promotion_text import Built, Origin, SourceCommit, compare_address
from ci_gitops.core.provenance import shown_labels
from ci_gitops.core.trailers import ImageMove
from ci_gitops.errors import CiGitopsError, RefusedError, UsageError
from ci_gitops.steps.labels import labels_of
from ci_gitops.steps.locate import identity
from ci_gitops.steps.request_text import Draft
from ci_gitops.steps.side_by_side import Asked
from ci_gitops.steps.workplace import Workplace, Workplaces

_FOR_LABELS = 8.0  # seconds, for all registries
_FOR_COMMITS = 12.0  # for all source repositories
LONGEST = _FOR_LABELS + _FOR_COMMITS + 1.0
_MOST_COMMITS = 20
_MOST_IMAGES = 10


def origins_of(draft: Draft) -> tuple[Origin, ...]:
    """Of each image that moves, the first few; what is not to be had is said in its place."""
    moves: dict[tuple[str | None, str], ImageMove] = {}
    for move in draft.block.moves:
        if isinstance(move, ImageMove) and image_of(move.new):
            moves.setdefault((move.old, move.new), move)
    chosen = list(moves.values())[:_MOST_IMAGES]
    wanted = dict.fromkeys(each for move in chosen for each in (move.old, move.new) if each and image_of(each))
    labels = labels_of(draft.places.run, wanted, draft.places.reach.ca_file, _FOR_LABELS)
    found = [_origin(move, labels, draft.forge.kind) for move in chosen]
    return _with_commits(draft, found)


def _origin(move: ImageMove, labels: Mapping[str, Mapping[str, str] | CiGitopsError], forge: str) -> Origin:
    """From the labels alone."""
    told = [labels.get(each) if each else None for each in (move.old, move.new)]
    trouble = next((each for each in told if isinstance(each, CiGitopsError)), None)
    old, new = (None if each is None or isinstance(each, CiGitopsError) else _built(each) for each in told)
    name = image_of(move.new)
    origin = Origin(name.name if name else move.name, old, new)
    if trouble:
        return replace(origin, why=f"its labels are not to be had: {trouble.message}")
    if new is None or not new.revision:
        return replace(origin, why="its labels name no commit")
    if old is None or not old.revision:
        return replace(origin, why="new here" if not move.old else "the labels of the one before name no commit")
    if (old.source, old.revision) == (new.source, new.revision):
        return replace(origin, why="built of the same commit")
    return replace(origin, compare=compare_address(old, new, forge))


def _built(labels: Mapping[str, str]) -> Built:
    known = shown_labels(labels)
    return Built(known.get("source", ""), known.get("revision", ""), known.get("version", ""))


def _with_commits(draft: Draft, origins: Sequence[Origin]) -> tuple[Origin, ...]:
    """Those that have something to compare, with the commits between."""
    pairs = [(each.old, each.new) for each in origins if each.old and each.new and not each.why]
    questions = {(old, new): partial(commits_between, draft.places, draft.place, old, new) for old, new in pairs}
    asked = Asked(questions, _FOR_COMMITS).answers()
    found = []
    for each in origins:
        answer = asked.get((each.old, each.new)) if each.old and each.new else None
        if isinstance(answer, CiGitopsError):
            each = replace(each, why=f"the list of commits is not to be had: {answer.message}")
        elif answer:
            each = replace(each, commits=answer[0], more=answer[1])
        found.append(each)
    return tuple(found)


def commits_between(
    places: Workplaces, place: Workplace, old: Built, new: Built
) -> tuple[tuple[SourceCommit, ...], int]:
    """The newest commits that `new` has and `old` lacks, and how many more there are; RefusedError says why not."""
    run = places.run
    if not all(is_object_id(each.revision) for each in (old, new)):
        raise RefusedError("its labels name no whole commit.")
    address = _address(new.source)
    ours = _address(identity(run, place.url))
    if not same_server(address, ours):
        raise RefusedError("its source is on another server, which is not asked.")
    named = [source for app in place.settings.config.apps.values() for source in app.sources]
    if not is_neighbour(address, ours, named):
        raise RefusedError(
            "its source is not in the config repository's group and named by no app (`sources`), so it is not asked."
        )
    access = access_for(address.clean, run.environ, ca_file=places.reach.ca_file, token_file=places.reach.token_file)
    with Repository.open(address.clean, access, trace=run.output.command, timeout=_FOR_COMMITS) as repository:
        repository.fetch(new.revision)
        repository.fetch(old.revision)
        found = repository.only_in(new.revision, old.revision)
    listed = tuple(SourceCommit(each.sha, each.subject, each.author) for each in found[:_MOST_COMMITS])
    return listed, len(found) - len(listed)


def _address(text: str) -> GitUrl:
    try:
        return parse_git_url(text)
    except UsageError as error:
        raise RefusedError("its labels name no repository.") from error
