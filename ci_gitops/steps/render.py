"""The story of `render`: what an environment's targets declare at one revision, as their tools make it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ci_gitops.core import manifests
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.targets import Target
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.workplace import Workplaces


def render(run: Run, ask: Ask) -> Result:
    """Render the environment's targets at the revision that `deploy` would take; nothing is written."""
    with Workplaces(run, ask.reach) as places:
        place, environment = declared_at(places, ask)
        targets = place.settings.targets([environment.name], ask.apps, paths=place.tree.files())
        sets = RenderedSets(run, place, fresh=ask.no_cache)
        rendered = [*sets.all(targets).items()]
    document: dict[str, Any] = {
        "environment": environment.name,
        "revision": place.revision,
        "sandbox": {"level": sets.level, "missing": list(sets.box.missing)},
        "targets": [_target(target, found) for target, found in rendered],
        "manifests": [manifest.document for _, found in rendered for manifest in found],
    }
    return Result("RenderResult", document, _text(rendered))


def _target(target: Target, found: Sequence[Manifest]) -> dict[str, Any]:
    return {"app": target.app, "environment": target.environment, "path": target.path, "objects": len(found)}


def _text(rendered: Sequence[tuple[Target, Sequence[Manifest]]]) -> str:
    """One YAML stream; a comment says where each target begins."""
    parts = [f"# {target}\n{manifests.text(found)}" for target, found in rendered]
    return "---\n".join(parts).rstrip("\n")
