"""`ci-gitops deploy`: an environment's destination, brought to what Git declares."""

from __future__ import annotations

from typing import Any

import click

from ci_gitops.commands.common import Duration, command, option, pass_run
from ci_gitops.commands.target_options import plan_options, target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("deploy", exits=(0, 1, 2, 3, 4, 5, 75))
@target_options
@option(
    "--plan",
    metavar="FILE|merge-request",
    help="Deploy only what was reviewed: a file of `diff --plan-out`, or the note on the merge request that "
    "brought this revision.",
)
@plan_options
@option("--wait/--no-wait", default=True, show_default=True, help="Wait until everything is healthy.")
@option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="How long the whole run may take.",
)
@option(
    "--rollback-on-failure",
    is_flag=True,
    help="Where the revision does not get healthy, bring the last good one back and write that to Git.",
)
@option("--retry", is_flag=True, help="Try a revision again that failed before.")
@option("--rerun-hooks", is_flag=True, help="Run hooks again that succeeded for the same rendered objects.")
@option("--force", is_flag=True, help="Deploy a revision that is older than the last one.")
@option("--exit-code", is_flag=True, help="End with 3 where something drifted and was not healed.")
@option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    metavar="N",
    help="How many targets are deployed at a time.",
)
@option("--dry-run", is_flag=True, help="Show the plan; touch nothing.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Bring an environment to what Git declares: one pass.

    Every target is rendered and compared with what is live. What is new is applied in order, by server-side apply,
    with its hooks; what left Git is deleted where pruning is on; then health is waited for and a record is kept.
    What only drifted is told, or healed where the environment says so.
    """
    from ci_gitops.steps.deploy import DeployCall, deploy

    return deploy(run, DeployCall(**options))
