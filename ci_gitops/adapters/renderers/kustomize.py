"""Rendering by the real kustomize, or the one in kubectl."""

from __future__ import annotations

from pathlib import Path

from ci_gitops.adapters.renderers.base import Job
from ci_gitops.adapters.renderers.scan import kustomization_inputs
from ci_gitops.core.layout import KUSTOMIZATIONS
from ci_gitops.core.manifests import Manifest, parse


class Kustomize:
    name = "kustomize"

    def fits(self, job: Job) -> bool:
        return any((job.place / name).is_file() for name in KUSTOMIZATIONS)

    def inputs(self, job: Job) -> tuple[Path, ...]:
        return kustomization_inputs(job.tree, job.folder)[0]

    def render(self, job: Job) -> tuple[Manifest, ...]:
        program = job.program("kustomize", "kubectl")
        words = [program, "kustomize" if Path(program).name == "kubectl" else "build", str(job.folder)]
        programs = []
        if kustomization_inputs(job.tree, job.folder)[1]:
            programs = [job.program("helm")]
            words += ["--enable-helm", "--helm-command", programs[0]]
        return parse(job.run(words, cwd=job.folder, programs=programs), f"what kustomize built of {job.path}")
