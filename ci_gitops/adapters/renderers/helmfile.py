"""Rendering by `helmfile template`, where its binary is there. Its releases' charts must lie in the repository."""

from __future__ import annotations

from pathlib import Path

from ci_gitops.adapters.renderers.base import Job
from ci_gitops.adapters.renderers.scan import files_of
from ci_gitops.core.manifests import Manifest, parse

_NAMES = ("helmfile.yaml", "helmfile.yaml.gotmpl")


class Helmfile:
    name = "helmfile"

    def fits(self, job: Job) -> bool:
        return any((job.folder / name).is_file() for name in _NAMES)

    def inputs(self, job: Job) -> tuple[Path, ...]:
        return tuple(files_of(job.tree, job.folder))

    def render(self, job: Job) -> tuple[Manifest, ...]:
        helm = job.program("helm")
        # Hooks and `exec` of a helmfile start programs; in the box there is none but helm.
        words = [job.program("helmfile"), "--quiet", "--skip-deps", "--helm-binary", helm, "template", "--include-crds"]
        return parse(job.run(words, cwd=job.folder, programs=[helm]), f"what helmfile rendered of {job.path}")
