"""What every renderer can do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ci_gitops.core.manifests import Manifest


class Renderer(Protocol):
    """Turns one folder of a tree into Kubernetes objects. It reads the tree alone and writes nothing."""

    name: str

    def fits(self, folder: Path) -> bool:
        """Whether `folder` is one of this renderer's."""

    def render(self, folder: Path, environ: Mapping[str, str]) -> tuple[Manifest, ...]:
        """The objects that `folder` declares; RenderError says why there are none."""
