"""`ci-gitops delete`: what a target holds in its destination, removed."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import Duration, command, option, pass_run
from ci_gitops.commands.target_options import one_target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("delete", exits=(0, 1, 2, 5, 75))
@one_target_options
@option("--yes", is_flag=True, help="Delete without being asked; without it what would go is shown.")
@option(
    "--prune-kind",
    "prune_kinds",
    multiple=True,
    metavar="KIND",
    help="Delete objects of this kind too: Namespace, CustomResourceDefinition, PersistentVolumeClaim; may be "
    "repeated.",
)
@option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="How long the whole run may take.",
)
@option("--dry-run", is_flag=True, help="Show what would go; touch nothing.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Remove what an app holds in an environment.

    Its inventory says what that is; objects of others, protected kinds and what an annotation keeps stay. Objects
    that need others go first, and each is waited for. Its records go with the last object.
    """
    from ci_gitops.steps.delete import DeleteCall, delete

    return delete(run, DeleteCall(**options))
