"""`ci-gitops verify`: wait until an environment is healthy."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import Duration, command, option, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("verify", exits=(0, 1, 2, 4, 5, 75))
@target_options
@option("--timeout", type=Duration(), default="10m", show_default=True, help="How long is waited for health.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Wait until what was deployed is healthy, and say how it does.

    With --revision, or after an `update` that left CI_GITOPS_COMMIT, that commit (or a newer one) must have been
    deployed first, by whoever deploys. The environment's `checks` are asked at the end. What is not healthy in time
    ends with 4, explained down to the container's reason.
    """
    from ci_gitops.steps.verify import VerifyCall, verify

    return verify(run, VerifyCall(**options))
