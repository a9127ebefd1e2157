"""`ci-gitops scan`: what registries have that is newer, by each image's and chart's policy."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import Duration, command, option, pass_run
from ci_gitops.commands.write_options import write_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("scan", exits=(0, 1, 2, 4, 5, 75))
@option(
    "--environment",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Environment to look at; may be repeated.  [default: the one whose sourceBranches hold the CI branch]",
)
@option("--app", "apps", multiple=True, help="App to look at; may be repeated.  [default: all that have policies]")
@option("--once", is_flag=True, help="Look once and end: the default.")
@option("--interval", type=Duration(), metavar="DURATION", help="Look again and again, this far apart, until ended.")
@option("--check", is_flag=True, help="Render each edited target first; write nothing where one does not build.")
@write_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Look at registries for newer images and charts, and write what the policies take.

    `apps.<app>.policies` of .ci-gitops.yaml says by image or chart what is taken: the newest version of a range, the
    newest by time, the last by name, or the digest that a tag has now. What is newer goes the road of `update`, with
    tag and digest, one merge request for each app or group. Nothing is ever brought to an older version.
    """
    from ci_gitops.steps.scan import ScanCall, scan

    return scan(run, ScanCall(**options))
