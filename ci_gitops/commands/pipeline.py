"""`ci-gitops pipeline`: pipelines of GitLab CI for environments with many targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ci_gitops.commands.common import Duration, command, option, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@click.group("pipeline", no_args_is_help=False)
def cli() -> None:
    """Generate the child pipeline that deploys each changed target in a job of its own."""


@command("generate", exits=(0, 1, 2, 5, 75))
@target_options
@option(
    "--since",
    metavar="REV",
    help="What changed since this commit, branch or tag; no cluster is asked.  [default: since the last deployment of "
    "each target that succeeded]",
)
@option(
    "--cli-image",
    "image",
    metavar="IMAGE",
    help="Container image with ci-gitops that the jobs run in.  [default: that of this job]",
)
@option("--runner-tag", "tags", multiple=True, metavar="TAG", help="Tag of the runners that take the jobs; may be "
        "repeated.")  # fmt: skip
@option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="How long the whole run may take.",
)
@option("--output-file", type=click.Path(path_type=Path), metavar="FILE", help="Write the pipeline there.  [default: "
        "standard output]")  # fmt: skip
@pass_run
def generate(run: Run, /, **options: Any) -> Result:
    """Write a child pipeline with one deploy job for each target that changed.

    The jobs wait for those of the apps that theirs come `after`; each has a resource group of its own, and all deploy
    the same commit. Where targets left Git, a last job looks at the whole environment. Where nothing changed, the one
    job says so.
    """
    from ci_gitops.steps.pipeline import PipelineCall
    from ci_gitops.steps.pipeline import generate as generate_pipeline

    return generate_pipeline(run, PipelineCall(**options))


cli.add_command(generate)
