"""The edits of a merge request's branch, made again on another head: what its commits moved, applied as intents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ci_gitops.core.edits import Edit
from ci_gitops.core.images import ImageArgument, ImageRef
from ci_gitops.core.trailers import ImageMove, Trailers, ValueMove
from ci_gitops.core.updates import Assignment, Intent, Plan, TargetFiles, plan_update
from ci_gitops.core.uses import Tree


@dataclass(frozen=True, slots=True)
class LayeredTree:
    """A tree with some files replaced."""

    below: Tree
    texts: Mapping[str, str] = field(default_factory=dict)

    def holds(self, path: str) -> bool:
        return self.below.holds(path)

    def files(self) -> tuple[str, ...]:
        return self.below.files()

    def read(self, paths: Iterable[str]) -> Mapping[str, str]:
        wanted = list(paths)
        others = self.below.read([path for path in wanted if path not in self.texts])
        return {path: self.texts[path] if path in self.texts else others[path]
                for path in wanted if path in self.texts or path in others}  # fmt: skip


def replay_intents(moves: Trailers) -> list[tuple[str, Intent]]:
    """What these moves want, by app; what this call knows how to write again."""
    intents = [(move.app, Intent(images=(_argument(move),))) for move in moves.images]
    return intents + [(move.app, Intent(values=(_assignment(move),))) for move in moves.values]


def _argument(move: ImageMove) -> ImageArgument:
    new = ImageRef.parse(move.new)
    renamed = new.name if new.name != move.name else None
    return ImageArgument(move.name, renamed, new.tag, new.digest)


def _assignment(move: ValueMove) -> Assignment:
    return Assignment(move.app, move.path, move.field, move.new)


def plan_chain(steps: Sequence[tuple[Sequence[TargetFiles], Intent]], tree: Tree, now: str) -> Plan:
    """The plans of several intents, one after the other, as one."""
    texts: dict[str, str] = {}
    plans: list[Plan] = []
    for targets, intent in steps:
        if not targets:
            continue
        plan = plan_update(intent, targets, LayeredTree(tree, texts), now=now)
        texts |= {edit.path: edit.new for edit in plan.edits}
        plans.append(plan)
    return _joined(plans)


def _joined(plans: Sequence[Plan]) -> Plan:
    edits: dict[str, Edit] = {}
    images: dict[tuple[str, str], ImageMove] = {}
    values: dict[tuple[str, str, str], ValueMove] = {}
    for plan in plans:
        for edit in plan.edits:
            before = edits.get(edit.path)
            changes = (*before.changes, *edit.changes) if before else edit.changes
            edits[edit.path] = Edit(edit.path, before.old if before else edit.old, edit.new, changes)
        for image in plan.images:
            first = images.get((image.target, image.name), image)
            images[image.target, image.name] = ImageMove(image.environment, image.app, image.name, first.old, image.new)
        for value in plan.values:
            key = (f"{value.environment}/{value.app}", value.path, value.field)
            start = values.get(key, value)
            values[key] = ValueMove(value.environment, value.app, value.path, value.field, start.old, value.new)
    return Plan(
        tuple(edit for edit in edits.values() if edit.changed),
        tuple(images.values()),
        tuple(values.values()),
        tuple(dict.fromkeys(note for plan in plans for note in plan.notes)),
        tuple(dict.fromkeys(target for plan in plans for target in plan.targets)),
    )
