"""`ci-gitops release`: what was held may move again."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, pass_run
from ci_gitops.commands.hold_options import hold_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("release", exits=(0, 1, 2, 5, 75))
@hold_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Release what was held.

    --image lifts the holds of that image, in every app unless --app names one; of a NAME all versions. Without it, the
    hold of the app, or of the whole environment, is lifted. What is not held is told, with what is.
    """
    from ci_gitops.steps.hold import HoldCall, release

    return release(run, HoldCall(**options))
