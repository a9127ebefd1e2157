"""Every file that a target is rendered from, as at an earlier revision: what of today's tree goes back, and what else
that concerns.

The intent is a revision, not a patch: on a head that has moved it is looked at anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ci_gitops.adapters.git import CommitInfo
from ci_gitops.adapters.renderers import declared_files
from ci_gitops.adapters.tree import laid_out
from ci_gitops.core.holds import Held, Hold
from ci_gitops.core.images import ImageRef
from ci_gitops.core.intents import Snapshot
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.replay import plan_chain, replay_intents
from ci_gitops.core.target_images import images_in
from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted
from ci_gitops.core.trailers import FilesMove, ImageMove, Trailers
from ci_gitops.core.updates import Plan, TargetFiles, first_hold
from ci_gitops.core.whole_files import going_back, whole_edit
from ci_gitops.errors import GitError, RefusedError, RenderError, UsageError
from ci_gitops.settings import Settings
from ci_gitops.steps.rendering import tool_recipe
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.workplace import RepositoryTree, Workplace

_NAMED = 10  # commits that are named


def replayed(place: Workplace, environment: str, trailers: Trailers, now: str) -> Plan:
    """What the moves of a commit of ours make of the head of `place`.

    All of the app's images: what builds may not update may have been written by another way.
    """
    if trailers.files:
        snapshots = [Snapshot(move.app, move.revision) for move in trailers.files]
        return plan_whole(place, targets_of(place, environment, [each.app for each in snapshots]), snapshots, {})
    steps = [
        (tuple(replace(files, images=()) for files in targets_of(place, environment, [app])), intent)
        for app, intent in replay_intents(trailers)
        if app in place.settings.apps
    ]
    return plan_chain(steps, place.tree, now)


def plan_whole(
    place: Workplace, targets: Sequence[TargetFiles], snapshots: Sequence[Snapshot], holds: Mapping[str, Sequence[Hold]]
) -> Plan:
    """The files of these targets as they were; what is held stays as it is."""
    plans = [
        _plan(place, files, snapshot.revision, holds)
        for files in targets
        for snapshot in snapshots
        if snapshot.app == files.target.app
    ]
    return Plan(
        edits=tuple(edit for plan in plans for edit in plan.edits),
        images=tuple(image for plan in plans for image in plan.images),
        notes=tuple(dict.fromkeys(note for plan in plans for note in plan.notes)),
        targets=tuple(target for plan in plans for target in plan.targets),
        held=tuple(held for plan in plans for held in plan.held),
        files=tuple(move for plan in plans for move in plan.files),
        whole={path: file for plan in plans for path, file in plan.whole.items()},
    )


def _plan(place: Workplace, files: TargetFiles, revision: str, holds: Mapping[str, Sequence[Hold]]) -> Plan:
    target, repository = files.target, place.repository
    then = RepositoryTree(repository, repository.fetch(revision))
    if not then.holds(target.path):
        raise RefusedError(
            f"{target} had no {target.path} at {revision[:12]}, so there is nothing to bring back.",
            hint="Name another revision with --to.",
        )
    paths, shared = _paths(place, then, target)
    old, new = repository.whole(place.revision, paths), repository.whole(then.revision, paths)
    changed = tuple(path for path in paths if old.get(path) != new.get(path))
    if not changed:
        return Plan(targets=(target,))
    images = _images(place.tree, then, files)
    names = [name for move in images for name in (move.name, move.new)]
    if hold := first_hold(holds, target.environment, target.app, *names):
        return Plan(held=(Held(target.environment, target.app, hold),))
    others = tuple(sorted(f"{each.environment}/{each.app}" for each, read in shared.items() if read & {*changed}))
    return Plan(
        edits=tuple(whole_edit(path, old.get(path), new.get(path)) for path in changed),
        images=images,
        notes=(*_others_told(target, others), *_rules_told(place, then), *_taken_back(place, changed, revision)),
        targets=(target,),
        files=(FilesMove(target.environment, target.app, revision, others),),
        whole={path: new.get(path) for path in changed},
    )


def _paths(place: Workplace, then: RepositoryTree, target: Target) -> tuple[tuple[str, ...], dict[Target, set[str]]]:
    """The files that go back if they differ, and what the other targets are rendered from today."""
    settings, repository = place.settings, place.repository
    today = place.tree.files()
    with laid_out(repository, then.revision) as tree:
        read_then = {*declared_files(tree, target.path, tool_recipe(settings, target))}
    with laid_out(repository, place.revision) as tree:
        others = {each: _read(tree, settings, each) for each in settings.targets(paths=today)}
    read_now = others.pop(target, set())
    theirs = _values_of_others(place, target)
    mine = {path for path in (*then.files(), *today) if target.holds(path) and not _is_nested(path, target, others)}
    then_files = (read_then | {path for path in mine if path in {*then.files()}}) - theirs
    now_files = (read_now | {path for path in mine if path in {*today}}) - theirs
    linked = {there for path in then_files if (there := repository.resolve(then.revision, path))}
    needed = {path for read in others.values() for path in read}
    keys = {*place.keys, *(each for key in place.settings.keys for each in repository.trail(then.revision, key))}
    return going_back(then_files | linked, now_files, {*then.files()}, needed, keys), others


def _read(tree: Path, settings: Settings, target: Target) -> set[str]:
    """What it is rendered from today; nothing where it is broken, which may be why it goes back."""
    try:
        return {*declared_files(tree, target.path, tool_recipe(settings, target))}
    except RenderError:
        return set()


def _is_nested(path: str, target: Target, others: Iterable[Target]) -> bool:
    """Whether the file is another target's own, whose folder lies in this one's."""
    return any(each.holds(path) and len(each.path) > len(target.path) for each in others)


def _values_of_others(place: Workplace, target: Target) -> set[str]:
    """The values files beside a chart that it is rendered with for other targets alone."""
    mine, theirs = set[str](), set[str]()
    for other in place.settings.targets(paths=place.tree.files()):
        for files in targets_of(place, other.environment, [other.app]):
            (mine if other == target else theirs).update(files.values)
    return theirs - mine


def _images(now: RepositoryTree, then: RepositoryTree, files: TargetFiles) -> tuple[ImageMove, ...]:
    """The images that are others then."""
    try:
        before, after = _by_name(images_in(now, files)), _by_name(images_in(then, files))
    except (UsageError, GitError):
        return ()
    target = files.target
    return tuple(
        ImageMove(target.environment, target.app, name, before.get(name), reference)
        for name, reference in after.items()
        if before.get(name) != reference
    )


def _by_name(references: Collection[str]) -> dict[str, str]:
    return {ImageRef.parse(reference).name: reference for reference in references}


# What a person should know of it


def _others_told(target: Target, others: Sequence[str]) -> tuple[str, ...]:
    return (f"{', '.join(others)} changes too: it is rendered from some of the files of {target}",) if others else ()


def _rules_told(place: Workplace, then: RepositoryTree) -> tuple[str, ...]:
    entry = place.repository.entry
    changed = [
        path for path in (CONFIG_FILE, *sorted(place.keys)) if entry(then.revision, path) != entry(place.revision, path)
    ]
    return tuple(f"{path} has changed since and stays as it is: it never goes back" for path in changed)


def _taken_back(place: Workplace, paths: Sequence[str], revision: str) -> tuple[str, ...]:
    """The commits since whose work on these files is gone then."""
    try:
        commits = place.repository.touching(paths, place.revision, revision)
    except GitError:
        return (f"what was done to these files since {revision[:12]} cannot be told: its history is not there",)
    told = [_told(commit) for commit in commits[:_NAMED]]
    more = len(commits) - len(told)
    return (*told, *((f"and of {counted(more, 'earlier commit')}",) if more > 0 else ()))


def _told(commit: CommitInfo) -> str:
    return f"takes back what {commit.sha[:12]} of {commit.author} did there: {commit.subject}"
