"""`ci-gitops history`: what was deployed, when, by whom, and how it ended."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("history", exits=(0, 1, 2, 5, 75))
@target_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """List the deployments of an environment, newest first.

    They are read from the records in its destination: the last 20 of each app, with how each ended and why.
    """
    from ci_gitops.steps.declared import Ask
    from ci_gitops.steps.history import history

    return history(run, Ask(**options))
