"""`ci-gitops merge`: what is ready is merged, and for the rest it is said what it waits for."""

from __future__ import annotations

from typing import Any

import click

from ci_gitops.commands.common import Duration, ca_file_option, command, option, pass_run, token_file_option
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("merge", exits=(0, 1, 2, 5, 75))
@option(
    "--environment",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Merge requests of this environment; may be repeated.  [default: as the CI branch says, else all]",
)
@option("--mr", "numbers", multiple=True, type=click.IntRange(1), metavar="IID", help="Only this one; may be repeated.")
@option("--wait", is_flag=True, help="Wait until all of them are merged; 75 where they are not at the deadline.")
@option("--timeout", type=Duration(), metavar="DURATION", help="How long --wait waits.  [default: 10m]")
@option(
    "--override",
    "overrides",
    multiple=True,
    metavar="GATE",
    help="Merge although this gate does not hold; may be repeated. Needs --reason.",
)
@option("--reason", metavar="TEXT", help="Why; recorded in the merge's message and on the merge request.")
@option("--approve", is_flag=True, help="Approve them first, as a person. For the local forge only.")
@option("--repo", metavar="URL|PATH", help="The config repository.  [default: as for `update`]")
@option("--branch", help="The branch that is merged into.  [default: as for `update`]")
@option(
    "--forge",
    type=click.Choice(["gitlab", "github", "local"]),
    help="Where merge requests are.  [default: `forge` of the configuration, local for a folder, the CI system's own]",
)
@option("--forge-url", metavar="URL", help="The forge's address.  [default: CI_SERVER_URL, else the repository's host]")
@token_file_option
@ca_file_option
@option("--dry-run", is_flag=True, help="Evaluate the gates and say what would be merged; touch nothing.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Merge our merge requests whose gates hold.

    Gates are those of the target branch's configuration. Exactly the head that was judged is merged. Without
    --environment and --mr, those of environments with `merge: manual` are left to people.
    """
    from ci_gitops.steps.merge import MergeAsk, merge

    return merge(run, MergeAsk(**options))
