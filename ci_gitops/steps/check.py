"""`--check`: what is about to be written is rendered first, and must build and use the new images."""

from __future__ import annotations

from ci_gitops.adapters.tree import laid_out
from ci_gitops.core import manifests
from ci_gitops.core.edits import image_uses
from ci_gitops.core.images import ImageRef
from ci_gitops.core.trailers import ImageMove
from ci_gitops.core.updates import Plan
from ci_gitops.core.uses import walk
from ci_gitops.errors import RenderError
from ci_gitops.run import Run
from ci_gitops.steps.rendering import render_target, say_level
from ci_gitops.steps.workplace import Workplace


def check_plan(run: Run, place: Workplace, plan: Plan) -> None:
    """Render each target that changes; RenderError where one does not build or lacks an image of the plan."""
    changed: dict[str, bytes | None] = {edit.path: edit.new.encode() for edit in plan.edits}
    changed |= {path: file.content if file else None for path, file in plan.whole.items()}
    say_level(run, place.settings)
    with laid_out(place.repository, place.revision, changed, below=_folders(place, plan)) as tree:
        for target in plan.moved_targets:
            rendered = manifests.text(render_target(run, place.settings, tree, target))
            moves = [move for move in plan.images if (move.app, move.environment) == (target.app, target.environment)]
            _uses(rendered, moves, str(target))


def _folders(place: Workplace, plan: Plan) -> tuple[str, ...] | None:
    """What is fetched: the folders that kustomizations refer to, or everything where another tool follows its own."""
    found: set[str] = set()
    for target in plan.moved_targets:
        below = walk(place.tree, target.path).kustomizations
        if not below:
            return None
        found.update((target.path, *below))
    return tuple(found)


def _uses(rendered: str, moves: list[ImageMove], target: str) -> None:
    uses = image_uses(rendered, path=target)
    for move in moves:
        wanted = ImageRef.parse(move.new)
        found = [use for use in uses if use.name == wanted.name]
        # A tag may have a suffix by then (`tagSuffix`).
        if not any(
            (use.digest == wanted.digest if wanted.digest else True) and (use.tag or "").startswith(wanted.tag or "")
            for use in found
        ):
            there = ", ".join(sorted({str(ImageRef(use.name, use.tag, use.digest)) for use in found})) or "not at all"
            raise RenderError(
                f"{target} builds, and does not use {move.new} afterwards: {wanted.name} is there {there}.",
                hint="Nothing was written. Is another overlay or patch setting the same image?",
            )
