"""Are the programs there that render the targets, and how far is their box closed?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ci_gitops.adapters.box import level_for
from ci_gitops.adapters.programs import find, version_of
from ci_gitops.core.layout import KUSTOMIZATIONS
from ci_gitops.core.recipes import Sandbox
from ci_gitops.core.targets import Target
from ci_gitops.errors import RefusedError, UsageError
from ci_gitops.settings import Settings
from ci_gitops.steps.checks.base import Finding, Scene
from ci_gitops.steps.rendering import sandbox_of

#: renderer -> the programs of which one is enough, with the words that make them say their version
_PROGRAMS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "kustomize": (("kustomize", "version"), ("kubectl", "version", "--client")),
    "helm": (("helm", "version", "--short"),),
    "helmfile": (("helmfile", "version"),),
    "jsonnet": (("jsonnet", "--version"),),
}


def check(scene: Scene) -> Iterator[Finding]:
    """Only what the targets need."""
    if scene.settings is None:
        return
    needed = sorted({renderer_of(scene.settings, target) for target in _targets(scene)} & _PROGRAMS.keys())
    for renderer in needed:
        yield _look(scene, renderer)
    if needed:
        yield _box(sandbox_of(scene.run, scene.settings))


def _box(sandbox: Sandbox) -> Finding:
    try:
        level = level_for(sandbox)
    except RefusedError as error:
        return Finding("sandbox", "fail", error.message, f"render.sandbox: {error.hint}")
    if level.name == "full":
        return Finding("sandbox", "ok", f"Renderers run in a box: {level}.")
    return Finding("sandbox", "warn", f"Renderers run in a box that is not closed: {level}.", "render.sandbox")


def _targets(scene: Scene) -> tuple[Target, ...]:
    try:
        return scene.settings.targets([item.name for item in scene.chosen()]) if scene.settings else ()
    except UsageError:
        return ()


def renderer_of(settings: Settings, target: Target) -> str:
    """What the configuration says, else what the files of the target are written for."""
    app = settings.apps[target.app]
    if app.renderer:
        return app.renderer
    if app.helm:
        return "helm"
    there = settings.paths or frozenset()
    if any(f"{target.path}/{name}" in there for name in KUSTOMIZATIONS):
        return "kustomize"
    folder = target.path.rpartition("/")[0]
    if f"{target.path}/Chart.yaml" in there or f"{folder}/Chart.yaml" in there:
        return "helm"
    names = [path for path in there if target.holds(path)]
    return "jsonnet" if any(name.endswith(".jsonnet") for name in names) else "plain"


def _look(scene: Scene, renderer: str) -> Finding:
    environ = scene.run.environ
    for name, *words in _PROGRAMS[renderer]:
        path = find(name, environ)
        version = version_of(path, *words, environ=environ) if path else None
        if version:
            return Finding("renderer", "ok", f"{name} {version} ({path}) renders what is written for {renderer}.")
    names = " or ".join(name for name, *_ in _PROGRAMS[renderer])
    return Finding(
        "renderer", "fail", f"Targets are written for {renderer}, and {names} does not run here.",
        f"PATH: install {names}",
    )  # fmt: skip
