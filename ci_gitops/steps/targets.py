"""The targets of a call at one place, with what their apps' settings say of their files."""

from __future__ import annotations

from collections.abc import Sequence

from ci_gitops.core.targets import Target, fill
from ci_gitops.core.updates import TargetFiles
from ci_gitops.steps.workplace import Workplace


def targets_of(place: Workplace, environment: str, apps: Sequence[str]) -> tuple[TargetFiles, ...]:
    """The targets with what their apps' settings say of their files."""
    found = place.settings.targets([environment], apps, paths=place.tree.files())
    return tuple(files_of(place, target, named=target.app in apps) for target in found)


def files_of(place: Workplace, target: Target, *, named: bool) -> TargetFiles:
    """One target with the same, whether it is there or not."""
    app = place.settings.app(target.app)
    values: tuple[str, ...] = ()
    if target.path.endswith((".yaml", ".yml")):  # a chart's values file of this environment
        folder = target.path.rpartition("/")[0]
        values = (f"{folder}/values.yaml" if folder else "values.yaml", target.path)
    elif app.helm and app.helm.values:
        names = [fill(name, target.environment) for name in app.helm.values]
        values = tuple(name if target.path == "." else f"{target.path}/{name}" for name in names)
    return TargetFiles(target, app.images, values, named)
