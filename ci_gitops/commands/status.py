"""`ci-gitops status`: what runs, whether it is as declared, and how it does."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("status", exits=(0, 1, 2, 5, 75))
@target_options
@option("--tree", is_flag=True, help="Show what came from each object, down to the pods.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Say what runs, and how it does.

    For each app of an environment (or of all): the revision that was deployed, whether the destination is as that
    environment's declaration says (synced, out-of-sync, unknown), its health with the reasons, its images, and since
    when. Nothing is written.
    """
    from ci_gitops.steps.status import StatusCall, status

    return status(run, StatusCall(**options))
