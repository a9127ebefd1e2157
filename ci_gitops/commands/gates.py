"""`ci-gitops gates`: what each open merge request of an environment waits for, and why."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.request_options import place_options, which_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("gates", exits=(0, 1, 2, 5, 75))
@which_options("as the CI branch says")
@option("--post", is_flag=True, help="Keep the status ci-gitops/gates on the head of each up to date.")
@place_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Say of each gate of an environment whether it holds, and why.

    For each of our open merge requests; where none is open, what the next promotion would face: what is held, too. It
    ends with 0 whatever the gates say, and writes nothing but the status of --post.
    """
    from ci_gitops.steps.gates import GatesAsk, gates

    return gates(run, GatesAsk(**options))
