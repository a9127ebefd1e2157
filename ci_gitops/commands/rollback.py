"""`ci-gitops rollback`: back to what last ran well, by a new commit."""

from __future__ import annotations

from typing import Any

import click

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.target_options import where_options
from ci_gitops.commands.write_options import write_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("rollback", exits=(0, 1, 2, 4, 5, 75))
@option("--environment", required=True, metavar="ENV", help="The environment.")
@option(
    "--app", "apps", multiple=True, help="App to roll back; may be repeated.  [default: those of the last deployment]"
)
@option(
    "--to",
    metavar="RECORD|REVISION",
    help="Where to go: a deployment as `history` names it, or a commit.  "
    "[default: the last good one before what runs now]",
)
@option(
    "--scope",
    type=click.Choice(["images", "target"]),
    default="images",
    show_default=True,
    help="What goes back: the versions of images and charts, or every file that the target is rendered from.",
)
@where_options
@write_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Go back to what last ran well in an environment, and hold what does not.

    The records of deployments say which images that were. They are written into today's files by the environment's
    normal road, with the gates of its `rollback`, as a new commit. The images that run now are held in these apps, so
    that nothing brings them again; `ci-gitops release` lifts that.

    `--scope target` brings every file that the app was rendered from, as it was then, and says which later work that
    takes back and which other apps share one of the files. Where somebody else deploys, name a revision with `--to`.
    """
    from ci_gitops.steps.rollback import rollback
    from ci_gitops.steps.rollback_call import RollbackCall

    return rollback(run, RollbackCall(**options))
