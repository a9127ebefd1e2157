"""What an update writes: its intent, applied to the files of its targets at one revision.

The intent is applied anew to each head that a push has to go on top of; the same intent on the same tree gives
the same edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ci_gitops.core.edits import Edit, image_uses
from ci_gitops.core.holds import Held, Hold
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.intents import Assignment, Intent
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import FilesMove, ImageMove, ValueMove
from ci_gitops.core.update_images import set_image, unused
from ci_gitops.core.update_work import TargetFiles, Work
from ci_gitops.core.uses import Tree, kustomization_file, reference
from ci_gitops.core.whole_files import WholeFile

__all__ = ["Assignment", "Intent", "Plan", "TargetFiles", "plan_update", "plan_with_holds"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The edits of one commit and what they move."""

    edits: tuple[Edit, ...] = ()
    images: tuple[ImageMove, ...] = ()
    values: tuple[ValueMove, ...] = ()
    notes: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()  # those that the intent concerns, changed or not
    held: tuple[Held, ...] = ()  # what stayed as it is, since it is held
    files: tuple[FilesMove, ...] = ()
    whole: Mapping[str, WholeFile | None] = field(default_factory=dict)  # of `files`: what is there then, None: nothing

    @property
    def changed(self) -> bool:
        return bool(self.whole) or any(edit.changed for edit in self.edits)

    @property
    def moved_targets(self) -> tuple[Target, ...]:
        """The targets that really change."""
        moved = {(move.app, move.environment) for move in self.images}
        moved |= {(move.app, move.environment) for move in self.values}
        moved |= {(move.app, move.environment) for move in self.files}
        return tuple(target for target in self.targets if (target.app, target.environment) in moved)


def plan_update(
    intent: Intent,
    targets: Sequence[TargetFiles],
    tree: Tree,
    skip: frozenset[tuple[str, str]] = frozenset(),
    *,
    still: frozenset[str] = frozenset(),
    now: str = "",
) -> Plan:
    """The edits that bring `targets` to what `intent` says.

    `skip` holds pairs of target (`environment/app`) and image that stay as they are, `still` targets whose other
    values do; `now` (RFC 3339) is for the files that hold the time of their making. Raises EditError where an
    image, value or chart is found nowhere in an environment, or where a file cannot be edited.
    """
    work = Work(tree, now)
    concerned: dict[Target, None] = {}
    work.load([path for files in targets for path in _first_files(files, tree)])
    for environment in dict.fromkeys(files.target.environment for files in targets):
        chosen = [files for files in targets if files.target.environment == environment]
        for own, wanted in _portions(intent, chosen):
            for image in wanted.images:
                found = [each for each in own if _skipped(each, image, skip) or set_image(work, each, image)]
                if not found:
                    raise unused(work, own, image)
                concerned |= dict.fromkeys(each.target for each in found)
            if wanted.values or wanted.charts:
                concerned |= dict.fromkeys(_set_others(work, own, wanted, still))
    notes = tuple(work.notes)
    return Plan(work.whole_edits(), tuple(work.images), tuple(work.values), notes, tuple(concerned))


def _portions(intent: Intent, chosen: Sequence[TargetFiles]) -> Iterator[tuple[Sequence[TargetFiles], Intent]]:
    """What is wanted of all of them, and of single apps among them."""
    yield chosen, intent
    for app, wanted in intent.apps:
        if own := [files for files in chosen if files.target.app == app]:
            yield own, wanted


def plan_with_holds(
    intent: Intent,
    targets: Sequence[TargetFiles],
    tree: Tree,
    holds: Mapping[str, Sequence[Hold]],
    skip: frozenset[tuple[str, str]] = frozenset(),
    *,
    now: str = "",
) -> Plan:
    """The same without what is held; `holds` are those of each environment. What would not change is not told."""
    plan = plan_update(intent, targets, tree, skip, now=now)
    held = _held_images(plan, holds) + _held_values(plan, holds)
    if not held:
        return plan
    names = [image.name for image in intent.every_image]
    stopped = {(f"{each.environment}/{each.app}", name)
               for each in held for name in ([each.name] if each.name else names)}  # fmt: skip
    still = frozenset(f"{each.environment}/{each.app}" for each in held if each.name is None)
    plan = plan_update(intent, targets, tree, skip | stopped, still=still, now=now)
    held_targets = {f"{each.environment}/{each.app}" for each in held}
    left = tuple(
        target for target in plan.targets
        if target in plan.moved_targets or f"{target.environment}/{target.app}" not in held_targets
    )  # fmt: skip
    return replace(plan, targets=left, held=held)


def _held_images(plan: Plan, holds: Mapping[str, Sequence[Hold]]) -> tuple[Held, ...]:
    return tuple(
        Held(move.environment, move.app, hold, *((move.name, move.new) if hold.image else ()))
        for move in plan.images
        if (hold := first_hold(holds, move.environment, move.app, move.name, move.new))
    )


def _held_values(plan: Plan, holds: Mapping[str, Sequence[Hold]]) -> tuple[Held, ...]:
    """Other values; one that is the version of an image counts as that image."""
    brought = {edit.path: _uses(edit.new, edit.path) - _uses(edit.old, edit.path) for edit in plan.edits}
    found = {
        (move.environment, move.app): Held(move.environment, move.app, hold)
        for move in plan.values
        if (hold := first_hold(holds, move.environment, move.app, *brought.get(move.path, ())))
    }
    return tuple(found.values())


def first_hold(holds: Mapping[str, Sequence[Hold]], environment: str, app: str, *names: str) -> Hold | None:
    """The first of `holds` (by environment) against it; one on everything says more than one on an image."""
    bars = [hold for hold in holds.get(environment, ()) if hold.bars(app, *names)]
    return next((hold for hold in bars if hold.image is None), bars[0] if bars else None)


def _uses(text: str, path: str) -> frozenset[str]:
    return frozenset(reference(use.effective, use.tag, use.digest) for use in image_uses(text, path=path))


def _set_others(work: Work, targets: Sequence[TargetFiles], intent: Intent, still: frozenset[str]) -> list[Target]:
    from ci_gitops.core.update_values import set_chart, set_value  # most updates need none of it

    found = [target for assignment in intent.values for target in set_value(work, targets, assignment, still)]
    return found + [
        target for name, version in intent.charts for target in set_chart(work, targets, name, version, still)
    ]


def _skipped(files: TargetFiles, image: ImageArgument, skip: frozenset[tuple[str, str]]) -> bool:
    return (f"{files.target.environment}/{files.target.app}", image.name) in skip


def _first_files(files: TargetFiles, tree: Tree) -> list[str]:
    """What will surely be read, so that all targets need one request together."""
    kustomization = kustomization_file(tree, files.target.path)
    return [kustomization] if kustomization else [*files.values]
