"""`ci-gitops gates`: what each open merge request of an environment waits for, and why."""

from __future__ import annotations

from typing import Any

import click

from ci_gitops.commands.common import ca_file_option, command, option, pass_run, token_file_option
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("gates", exits=(0, 1, 2, 5, 75))
@option(
    "--environment",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Merge requests of this environment; may be repeated.  [default: as the CI branch says]",
)
@option("--mr", "numbers", multiple=True, type=click.IntRange(1), metavar="IID", help="Only this one; may be repeated.")
@option("--post", is_flag=True, help="Keep the status ci-gitops/gates on the head of each up to date.")
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
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Say of each gate of an environment whether it holds, and why.

    For each of our open merge requests; where none is open, of the gates that do not depend on one, for what would be
    promoted now. It ends with 0 whatever the gates say, and writes nothing but the status of --post.
    """
    from ci_gitops.steps.gates import GatesAsk, gates

    return gates(run, GatesAsk(**options))
