"""`ci-gitops promote`: what runs well in one environment, brought to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.target_options import where_options
from ci_gitops.commands.write_options import write_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("promote", exits=(0, 1, 2, 4, 5, 75))
@option("--from", "source", metavar="ENV", help="Where it runs.  [default: the environment's `from`, else the one "
        "before it]")  # fmt: skip
@option("--to", required=True, metavar="ENV", help="The environment that it is brought to.")
@option("--app", "apps", multiple=True, help="App to promote, with its group; may be repeated.  [default: all]")
@option("--only", multiple=True, metavar="IMAGE", help="Only this image, by its name or the last word of it; may be "
        "repeated.  [default: all images, and versions of charts]")  # fmt: skip
@option("--diff-out", type=click.Path(path_type=Path), metavar="FILE", help="Write the rendered diff of the merge "
        "request here, as a whole.")  # fmt: skip
@where_options
@write_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Bring what is deployed and healthy in one environment to another one.

    The exact tags and digests that the last healthy deployment holds are copied, with the versions of charts: all apps
    in one commit, by the environment's own rule. Every other value stays as it is. What is held stays, and so does
    what is not healthy. The same call again has nothing to do.
    """
    from ci_gitops.steps.promote import PromoteCall, promote

    return promote(run, PromoteCall(**options))
