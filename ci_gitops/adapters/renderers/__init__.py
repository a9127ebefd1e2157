"""From a folder of a config repository to Kubernetes objects, by the tool that the folder is written for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ci_gitops.adapters.renderers.base import Renderer
from ci_gitops.adapters.renderers.kustomize import Kustomize
from ci_gitops.adapters.renderers.plain import Plain
from ci_gitops.core.manifests import Manifest
from ci_gitops.errors import RenderError

#: In the order of detection.
RENDERERS: tuple[Renderer, ...] = (Kustomize(), Plain())


def render(tree: Path, path: str, environ: Mapping[str, str]) -> tuple[Manifest, ...]:
    """The objects that the folder `path` of `tree` declares."""
    folder = tree / path
    if not folder.resolve().is_relative_to(tree.resolve()):
        raise RenderError(f"{path} leaves the repository.")
    if not folder.is_dir():
        raise RenderError(f"There is no folder {path} in the repository at this revision.")
    for renderer in RENDERERS:
        if renderer.fits(folder):
            return renderer.render(folder, environ)
    raise RenderError(
        f"{path} holds nothing to render.", hint="A kustomization or YAML files with Kubernetes objects are expected."
    )
