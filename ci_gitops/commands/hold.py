"""`ci-gitops hold`: say that an environment, app or image must not move now."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, pass_run
from ci_gitops.commands.hold_options import hold_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("hold", exits=(0, 1, 2, 5, 75))
@hold_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Hold an environment, an app or an image: nothing new of it is written or deployed.

    Without --app and --image it is the whole environment. An image by NAME is held in every version, NAME:TAG@DIGEST is
    that artifact alone. Holds are a file of the config repository, pushed straight to the environment's branch; where
    that is protected a merge request brings it, and it is in force when that is merged.
    """
    from ci_gitops.steps.hold import HoldCall, hold

    return hold(run, HoldCall(**options))
