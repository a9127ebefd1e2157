"""`ci-gitops update`: an image, value or chart version, written into the config repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.write_options import write_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("update", exits=(0, 1, 2, 4, 5, 75))
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@option(
    "--environment",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Environment to update; may be repeated.  [default: the one whose sourceBranches hold the CI branch]",
)
@option("--app", "apps", multiple=True, help="App to update; may be repeated.  [default: all that use the image]")
@option(
    "--from",
    "results",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Result file of `ci-gitops build --result`; may be repeated.",
)
@option(
    "--set",
    "assignments",
    multiple=True,
    metavar="APP:PATH:KEY=VALUE",
    help="Any value of a file of the app; PATH is seen from the app's folder, else from the root.",
)
@option("--chart", "charts", multiple=True, metavar="NAME=VERSION", help="Version of a Helm chart that the app uses.")
@option("--pin", is_flag=True, help="Ask the registry for the digest of each tag and write both.")
@option("--check", is_flag=True, help="Render each edited target first; write nothing where one does not build.")
@option("--force", is_flag=True, help="Let an older pipeline overwrite what a newer one wrote.")
@option(
    "--dotenv",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write CI_GITOPS_COMMIT and CI_GITOPS_MERGE_REQUEST here, for later jobs.",
)
@write_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Write images, values or chart versions into the config repository.

    IMAGE has the grammar of `kustomize edit set image`: NAME:TAG, NAME@DIGEST, NAME:TAG@DIGEST or NAME=NEW:TAG.
    Without one, it is what `ci-gitops build` left in CI_GITOPS_IMAGE_REF. The edit is applied to the newest commit
    of the branch; when another push is first, it is applied again. The same call again has nothing to do.
    """
    from ci_gitops.steps.update import update
    from ci_gitops.steps.update_call import UpdateCall

    return update(run, UpdateCall(**options))
