"""`ci-gitops merge`: what is ready is merged, and for the rest it is said what it waits for."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import Duration, command, option, pass_run
from ci_gitops.commands.request_options import place_options, which_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("merge", exits=(0, 1, 2, 5, 75))
@which_options("as the CI branch says, else all")
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
@place_options
@option("--dry-run", is_flag=True, help="Evaluate the gates and say what would be merged; touch nothing.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Merge our merge requests whose gates hold.

    Gates are those of the target branch's configuration. Exactly the head that was judged is merged. Without
    --environment and --mr, those of environments with `merge: manual` are left to people.
    """
    from ci_gitops.steps.merge import MergeAsk, merge

    return merge(run, MergeAsk(**options))
