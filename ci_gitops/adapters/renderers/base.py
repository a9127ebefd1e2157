"""What every renderer can do, and what it is given."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ci_gitops.adapters import box
from ci_gitops.adapters.process import PROXY_VARIABLES
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.recipes import Recipe
from ci_gitops.errors import RenderError


@dataclass(frozen=True, slots=True)
class Job:
    """One target to render: a folder of the tree, or one file in it, with its settings."""

    tree: Path
    path: str
    recipe: Recipe
    environ: Mapping[str, str]
    scratch: Path  # writable, gone afterwards

    @property
    def place(self) -> Path:
        return self.tree / self.path

    @property
    def folder(self) -> Path:
        """The target's folder; of a file the one that holds it."""
        return self.place if self.place.is_dir() else self.place.parent

    def program(self, *names: str) -> str:
        """The first of `names` that is on PATH; RenderError says how to get it."""
        for name in names:
            if found := shutil.which(name, path=self.environ.get("PATH")):
                return found
        missing = f"Neither {' nor '.join(names)} is" if len(names) > 1 else f"{names[0]} is not"
        raise RenderError(
            f"{missing} on PATH, and {self.path} is written for it.", hint=f"Install one: {_HOME[names[0]]}"
        )

    def run(self, argv: Sequence[str], *, cwd: Path, programs: Iterable[str] = (), network: bool = False) -> str:
        """What the program printed, run in the box; RenderError with its words, without our folders in them."""
        proxies = {name: self.environ[name] for name in PROXY_VARIABLES if name in self.environ} if network else None
        room = box.Room(self.tree, self.scratch, tuple(programs), proxies)
        level = box.level_for(self.recipe.sandbox)
        done = box.run(argv, room, level, cwd=cwd)
        if done.code:
            name, words = Path(argv[0]).name, self.plain(done.errors).removeprefix("Error: ")
            raise RenderError(f"{name} cannot render {self.path}: {words or f'it ended with {done.code}'}")
        return done.text

    def plain(self, text: str) -> str:
        """`text` with paths as the repository has them."""
        return text.replace(f"{self.tree}/", "").replace(str(self.tree), ".").replace(f"{self.scratch}/", "")

    def writable(self) -> Job:
        """The same job on a copy of the tree that may be changed."""
        if self.tree.is_relative_to(self.scratch):
            return self
        copy = self.scratch / "tree"
        if not copy.exists():
            shutil.copytree(self.tree, copy, symlinks=True)
        return replace(self, tree=copy)


class Renderer(Protocol):
    """Turns one target into Kubernetes objects. It reads the tree alone."""

    name: str

    def fits(self, job: Job) -> bool:
        """Whether the target's files are this renderer's."""

    def inputs(self, job: Job) -> tuple[Path, ...]:
        """The files that are rendered, as far as they can be told; RenderError refuses what may not be rendered."""

    def render(self, job: Job) -> tuple[Manifest, ...]:
        """The objects that the target declares; RenderError says why there are none."""


_HOME = {
    "kustomize": "https://kubectl.docs.kubernetes.io/installation/kustomize/",
    "helm": "https://helm.sh/docs/intro/install/",
    "helmfile": "https://helmfile.readthedocs.io/",
    "jsonnet": "https://jsonnet.org (Debian's package is `jsonnet`)",
    "sops": "https://getsops.io",
}
