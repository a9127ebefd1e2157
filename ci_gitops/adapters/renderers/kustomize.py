"""Rendering by the real kustomize, or the one in kubectl."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ci_gitops.adapters import process
from ci_gitops.core.manifests import Manifest, parse
from ci_gitops.errors import RenderError

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_TIMEOUT = 60.0
_LIMIT = 128 * 1024 * 1024


class Kustomize:
    name = "kustomize"

    def fits(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in FILE_NAMES)

    def render(self, folder: Path, environ: Mapping[str, str]) -> tuple[Manifest, ...]:
        # No PATH and no home: kustomize finds no git to fetch remote bases with, and no plugins.
        done = process.run(
            [*self._program(environ), str(folder)], env={"HOME": "/nonexistent"}, timeout=_TIMEOUT,
            output_limit=_LIMIT, cwd=folder,
        )  # fmt: skip
        if done.code:
            errors = done.errors.replace(f"{folder}", folder.name).removeprefix("Error: ")
            raise RenderError(f"kustomize cannot build {folder.name}: {errors}")
        return parse(done.text, f"what kustomize built of {folder.name}")

    @staticmethod
    def _program(environ: Mapping[str, str]) -> list[str]:
        path = environ.get("PATH")
        if found := shutil.which("kustomize", path=path):
            return [found, "build"]
        if found := shutil.which("kubectl", path=path):
            return [found, "kustomize"]
        raise RenderError(
            "Neither kustomize nor kubectl is on PATH, and the target is a kustomization.",
            hint="Install one: https://kubectl.docs.kubernetes.io/installation/kustomize/",
        )
