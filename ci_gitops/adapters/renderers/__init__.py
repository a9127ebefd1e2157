"""From a folder of a config repository to Kubernetes objects, by the tool that the folder is written for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci_gitops.adapters.renderers import sealed
from ci_gitops.adapters.renderers.base import Job, Renderer
from ci_gitops.adapters.renderers.helm import Helm, is_fetched
from ci_gitops.adapters.renderers.helmfile import Helmfile
from ci_gitops.adapters.renderers.jsonnet import Jsonnet, imported
from ci_gitops.adapters.renderers.kustomize import Kustomize
from ci_gitops.adapters.renderers.plain import Plain
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.recipes import Recipe
from ci_gitops.core.unstable import Unstable, may_change, unstable_fields
from ci_gitops.errors import RenderError

#: In the order of detection, which is Argo CD's: kustomize wins over Helm, and both over plain files
#: (https://argo-cd.readthedocs.io/en/stable/user-guide/tool_detection/).
RENDERERS: tuple[Renderer, ...] = (Kustomize(), Helm(), Helmfile(), Jsonnet(), Plain())
_DEFAULT = Recipe()


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a target declares, and the fields of it that come out differently each time.

    `reusable`: the same tree and settings give the same, and nothing of it was encrypted in the tree.
    """

    manifests: tuple[Manifest, ...] = field(repr=False)
    unstable: tuple[Unstable, ...] = ()
    reusable: bool = False
    opened: bool = False  # SOPS decrypted some of it


def render(tree: Path, path: str, environ: Mapping[str, str], recipe: Recipe = _DEFAULT) -> tuple[Manifest, ...]:
    """The objects that `path` of `tree`, a folder or one file, declares."""
    return rendering(tree, path, environ, recipe).manifests


def rendering(tree: Path, path: str, environ: Mapping[str, str], recipe: Recipe = _DEFAULT) -> Rendering:
    """The same; where a chart's templates may answer differently it is rendered twice, to name what does."""
    tree = tree.resolve()
    if not (tree / path).resolve().is_relative_to(tree):
        raise RenderError(f"{path} leaves the repository.")
    if not (tree / path).exists():
        raise RenderError(f"There is no folder {path} in the repository at this revision.")
    with tempfile.TemporaryDirectory(prefix="ci-gitops-render-") as name:
        job = Job(tree, path, recipe, environ, Path(name).resolve())
        renderer = renderer_for(job)
        away = renderer.name == "helm" and is_fetched(job)
        inputs = renderer.inputs(job)
        if closed := sealed.encrypted(inputs):
            job = _opened(job, closed)
        manifests = renderer.render(job)
        twice = renderer.name == "helm" and any(map(_may_change, inputs))
        unstable = unstable_fields(manifests, renderer.render(job)) if twice else ()
    sealed.refuse_encrypted(manifests)
    return Rendering(manifests, unstable, reusable=not (closed or unstable or away), opened=bool(closed))


def _may_change(file: Path) -> bool:
    """A packed chart is not looked into."""
    return file.suffix == ".tgz" or ("templates" in file.parts and may_change(file.read_bytes()))


def tool_of(tree: Path, path: str, recipe: Recipe = _DEFAULT) -> str:
    """The name of the renderer that `render` takes."""
    return renderer_for(Job(tree.resolve(), path, recipe, {}, tree)).name


def declared_files(tree: Path, path: str, recipe: Recipe = _DEFAULT) -> tuple[str, ...]:
    """The files of the tree that `path` is rendered from, its own folder's or not; RenderError where it is refused."""
    tree = tree.resolve()
    job = Job(tree, path, recipe, {}, tree)
    if not job.place.exists():
        raise RenderError(f"There is no {path} in the repository at this revision.")
    renderer = renderer_for(job)
    files = renderer.inputs(job)
    if isinstance(renderer, Jsonnet):
        files = (*files, *imported(job, files))
    return tuple(dict.fromkeys(file.resolve().relative_to(tree).as_posix() for file in files))


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
