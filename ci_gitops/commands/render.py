"""`ci-gitops render`: the objects that Git declares, as they would be applied."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, pass_run
from ci_gitops.commands.target_options import declared_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("render", exits=(0, 1, 2, 5, 75))
@declared_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Print what Git declares for an environment, rendered.

    Kustomize, Helm, Jsonnet and plain YAML, each by its own program in a box without network: a tree can read
    nothing but itself. Values that SOPS decrypted are masked.
    """
    from ci_gitops.steps.declared import Ask
    from ci_gitops.steps.render import render

    return render(run, Ask(**options))
