"""`ci-gitops deploy`: an environment's destination, brought to what Git declares."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("deploy", exits=(0, 1, 2, 5, 75))
@target_options
@option("--dry-run", is_flag=True, help="Say what would be created and updated; touch nothing.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Apply what Git declares for an environment.

    All targets are rendered before the first write. Objects are applied by the server (server-side apply), those
    that others need first; what is as declared stays untouched. Nothing is deleted.
    """
    from ci_gitops.steps.deploy import DeployCall, deploy

    return deploy(run, DeployCall(**options))
