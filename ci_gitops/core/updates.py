"""What an update writes: its intent, applied to the files of its targets at one revision.

The intent is applied anew to each head that a push has to go on top of; the same intent on the same tree gives
the same edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.core.edits import Edit
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.intents import Assignment, Intent
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import ImageMove, ValueMove
from ci_gitops.core.update_images import set_image, unused
from ci_gitops.core.update_work import TargetFiles, Work
from ci_gitops.core.uses import Tree, kustomization_file

__all__ = ["Assignment", "Intent", "Plan", "TargetFiles", "plan_update"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The edits of one commit and what they move."""

    edits: tuple[Edit, ...] = ()
    images: tuple[ImageMove, ...] = ()
    values: tuple[ValueMove, ...] = ()
    notes: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()  # those that the intent concerns, changed or not

    @property
    def changed(self) -> bool:
        return any(edit.changed for edit in self.edits)

    @property
    def moved_targets(self) -> tuple[Target, ...]:
        """The targets that really change."""
        moved = {(move.app, move.environment) for move in self.images}
        moved |= {(move.app, move.environment) for move in self.values}
        return tuple(target for target in self.targets if (target.app, target.environment) in moved)


def plan_update(
    intent: Intent,
    targets: Sequence[TargetFiles],
    tree: Tree,
    skip: frozenset[tuple[str, str]] = frozenset(),
    *,
    now: str = "",
) -> Plan:
    """The edits that bring `targets` to what `intent` says.

    `skip` holds pairs of target (`environment/app`) and image that stay as they are; `now` (RFC 3339) is for the
    files that hold the time of their making. Raises EditError where an
    image, value or chart is found nowhere in an environment, or where a file cannot be edited.
    """
    work = Work(tree, now)
    concerned: dict[Target, None] = {}
    work.load([path for files in targets for path in _first_files(files, tree)])
    for environment in dict.fromkeys(files.target.environment for files in targets):
        chosen = [files for files in targets if files.target.environment == environment]
        for image in intent.images:
            found = [each for each in chosen if _skipped(each, image, skip) or set_image(work, each, image)]
            if not found:
                raise unused(work, chosen, image)
            concerned |= dict.fromkeys(each.target for each in found)
        if intent.values or intent.charts:
            concerned |= dict.fromkeys(_set_others(work, chosen, intent))
    notes = tuple(work.notes)
    return Plan(work.whole_edits(), tuple(work.images), tuple(work.values), notes, tuple(concerned))


def _set_others(work: Work, targets: Sequence[TargetFiles], intent: Intent) -> list[Target]:
    from ci_gitops.core.update_values import set_chart, set_value  # most updates need none of it

    found = [target for assignment in intent.values for target in set_value(work, targets, assignment)]
    return found + [target for name, version in intent.charts for target in set_chart(work, targets, name, version)]


def _skipped(files: TargetFiles, image: ImageArgument, skip: frozenset[tuple[str, str]]) -> bool:
    return (f"{files.target.environment}/{files.target.app}", image.name) in skip


def _first_files(files: TargetFiles, tree: Tree) -> list[str]:
    """What will surely be read, so that all targets need one request together."""
    kustomization = kustomization_file(tree, files.target.path)
    return [kustomization] if kustomization else [*files.values]
