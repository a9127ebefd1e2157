"""From a folder of a config repository to Kubernetes objects, by the tool that the folder is written for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ci_gitops.adapters.renderers import sealed
from ci_gitops.adapters.renderers.base import Job, Renderer
from ci_gitops.adapters.renderers.helm import Helm
from ci_gitops.adapters.renderers.helmfile import Helmfile
from ci_gitops.adapters.renderers.jsonnet import Jsonnet
from ci_gitops.adapters.renderers.kustomize import Kustomize
from ci_gitops.adapters.renderers.plain import Plain
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.recipes import Recipe
from ci_gitops.errors import RenderError

#: In the order of detection, which is Argo CD's: kustomize wins over Helm, and both over plain files
#: (https://argo-cd.readthedocs.io/en/stable/user-guide/tool_detection/).
RENDERERS: tuple[Renderer, ...] = (Kustomize(), Helm(), Helmfile(), Jsonnet(), Plain())
_DEFAULT = Recipe()


def render(tree: Path, path: str, environ: Mapping[str, str], recipe: Recipe = _DEFAULT) -> tuple[Manifest, ...]:
    """The objects that `path` of `tree`, a folder or one file, declares."""
    tree = tree.resolve()
    if not (tree / path).resolve().is_relative_to(tree):
        raise RenderError(f"{path} leaves the repository.")
    if not (tree / path).exists():
        raise RenderError(f"There is no folder {path} in the repository at this revision.")
    with tempfile.TemporaryDirectory(prefix="ci-gitops-render-") as name:
        job = Job(tree, path, recipe, environ, Path(name).resolve())
        renderer = renderer_for(job)
        if closed := sealed.encrypted(renderer.inputs(job)):
            job = _opened(job, closed)
        manifests = renderer.render(job)
    sealed.refuse_encrypted(manifests)
    return manifests


def tool_of(tree: Path, path: str, recipe: Recipe = _DEFAULT) -> str:
    """The name of the renderer that `render` takes."""
    return renderer_for(Job(tree.resolve(), path, recipe, {}, tree)).name


def renderer_for(job: Job) -> Renderer:
    """The one that the settings name, else the first that the files fit; settings of a chart say Helm."""
    wanted = job.recipe.renderer or ("helm" if job.recipe.chart else None)
    for renderer in RENDERERS:
        if renderer.name == wanted or (wanted is None and renderer.fits(job)):
            return renderer
    raise RenderError(
        f"{job.path} holds nothing to render.",
        hint="A kustomization, a Helm chart, Jsonnet or YAML files with Kubernetes objects are expected.",
    )


def _opened(job: Job, closed: tuple[Path, ...]) -> Job:
    copy = job.writable()
    for file in closed:
        sealed.decrypt(copy, copy.tree / file.relative_to(job.tree))
    return copy
