"""Targets rendered under their settings, in the box that this machine allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ci_gitops.adapters import box
from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.renderers import Rendering, rendering, tool_of
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.recipes import Chart, Recipe, Sandbox
from ci_gitops.core.targets import Target, fill
from ci_gitops.errors import RenderError
from ci_gitops.run import Run
from ci_gitops.settings import Settings


@dataclass(frozen=True, slots=True)
class Made:
    """A rendering, the recipe that it was made by, and whether it is a chart, which is told about its cluster."""

    rendering: Rendering
    recipe: Recipe
    chart: bool


def render_target(
    run: Run, settings: Settings, tree: Path, target: Target, destination: Callable[[], Cluster] | None = None
) -> tuple[Manifest, ...]:
    """The target's objects, in the order of its tool; RenderError names the target."""
    return make(run, settings, tree, target, destination).rendering.manifests


def make(
    run: Run, settings: Settings, tree: Path, target: Target, destination: Callable[[], Cluster] | None = None
) -> Made:
    """Render a target of a tree that is laid out; RenderError names the target.

    A chart is told what its `destination` can do, where that is a cluster.
    """
    run.output.step(f"Rendering {target}")
    try:
        recipe = recipe_of(run, settings, target)
        chart = (tree / target.path).exists() and tool_of(tree, target.path, recipe) == "helm"
        if chart and destination:
            recipe = for_cluster(recipe, destination())
        found = rendering(tree, target.path, run.environ, recipe)
    except RenderError as error:
        raise RenderError(f"{target}: {error.message}", hint=error.hint) from error
    for each in found.unstable:
        run.output.warn(f"{target}: {each} comes out differently each time, and would be applied at every pass.")
    return Made(found, recipe, chart)


def for_cluster(recipe: Recipe, destination: Cluster) -> Recipe:
    """The recipe of a chart that is rendered for this cluster."""
    if not destination.alive:
        return recipe
    return replace(
        recipe, namespace=destination.namespace, kube_version=destination.version,
        api_versions=destination.api_versions,
    )  # fmt: skip


def say_level(run: Run, settings: Settings) -> box.Level:
    """The level in force, told; RefusedError where the settings require more than there is."""
    level = box.level_for(sandbox_of(run, settings))
    (run.output.step if level.name == "full" else run.output.warn)(f"Box around renderers: {level}.")
    return level


def sandbox_of(run: Run, settings: Settings) -> Sandbox:
    """A fork's tree wants the whole box, whatever its own configuration says."""
    return "require" if run.ci.fork else settings.config.render.sandbox


def recipe_of(run: Run, settings: Settings, target: Target) -> Recipe:
    """What the settings say of the target's rendering."""
    environment = settings.environment(target.environment)
    destination = environment.destination
    return replace(
        tool_recipe(settings, target),
        namespace=destination.namespace if destination else None,
        hosts=() if run.ci.fork else environment.allow.hosts,
        sandbox=sandbox_of(run, settings),
        keys=not run.ci.fork,
    )


def tool_recipe(settings: Settings, target: Target) -> Recipe:
    """What of it says by which tool the target is rendered, and from which files."""
    app = settings.app(target.app)
    chart = None
    if app.helm:
        chart = Chart(
            chart=app.helm.chart,
            repository=app.helm.repository,
            version=app.helm.version,
            values=tuple(fill(name, target.environment) for name in app.helm.values),
            sets=tuple((key, json.dumps(value)) for key, value in app.helm.set.items()),
            release=app.helm.release,
        )
    return Recipe(app=target.app, renderer=app.renderer, chart=chart)
