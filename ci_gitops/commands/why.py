"""`ci-gitops why`: where what runs came from, and what keeps it from being well."""

from __future__ import annotations

from typing import Any

import click

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("why", exits=(0, 1, 2, 5, 75))
@click.argument("object", metavar="[OBJECT]", required=False)
@target_options
@option(
    "--forge",
    type=click.Choice(["gitlab", "github", "local"]),
    help="Where merge requests are.  [default: by the repository's address]",
)
@option("--forge-url", metavar="URL", help="Address of the forge.  [default: the repository's host]")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Explain what runs: from an object to its image, commit, merge request and pipeline.

    OBJECT is a name, KIND/NAME or KIND/NAMESPACE/NAME, of what the app holds or of what came from it, such as a pod;
    without it the whole app is explained. What is not healthy is followed down to the container's reason, with its
    events, its last log lines and what to do.
    """
    from ci_gitops.steps.why import WhyCall, why

    return why(run, WhyCall(**options))
