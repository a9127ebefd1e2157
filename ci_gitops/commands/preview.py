"""`ci-gitops preview`: environments of their own for merge requests, made from a template, and their removal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ci_gitops.commands.common import Duration, ca_file_option, command, option, pass_run, token_file_option
from ci_gitops.commands.write_options import push_options
from ci_gitops.results import Result
from ci_gitops.run import Run


class Lifetime(Duration):
    """A duration, or `never`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return 0.0 if value == "never" else super().convert(value, param, ctx)


@click.group("preview", no_args_is_help=False)
def cli() -> None:
    """Make, list and remove environments of their own for merge requests."""


_name = option("--name", required=True, metavar="NAME", help="The preview, such as its branch or merge request.")
_force = option("--force", is_flag=True, help="Remove it although others changed it, or it is held.")
_undeploy = option(
    "--undeploy", is_flag=True, help="First delete what was deployed, as `ci-gitops delete --yes` for each app."
)
_prune_kinds = option(
    "--prune-kind",
    "prune_kinds",
    multiple=True,
    metavar="KIND",
    help="With --undeploy: delete objects of this kind too, such as Namespace; may be repeated.",
)


@command("create", exits=(0, 1, 2, 5, 75))
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@_name
@option("--app", "apps", multiple=True, help="App to show; may be repeated.  [default: all that have a template]")
@option("--from", "source", metavar="ENV", help="Environment whose images it takes.  [default: `previews.from`]")
@option(
    "--mr",
    metavar="IID|PROJECT!IID|URL",
    help="The merge request that it is for: by its number one of the config repository, as that would leave it.  "
    "[default: the one whose pipeline this is]",
)
@option(
    "--ttl",
    type=Lifetime(),
    metavar="DURATION",
    help="How long it lives without a change; 0 or never: for ever.  [default: `previews.ttl`]",
)
@option("--check", is_flag=True, help="Render it first; write nothing where it does not build.")
@option(
    "--dotenv",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write CI_GITOPS_ENVIRONMENT, CI_GITOPS_COMMIT and CI_GITOPS_PREVIEW_URL here, for later jobs.",
)
@push_options
@pass_run
def create(run: Run, /, **options: Any) -> Result:
    """Make a preview, or bring it up to date.

    The template of each app is copied to an overlay of its own, with the placeholders filled in, the images of --from
    and over them each IMAGE, which has the grammar of `kustomize edit set image`. It is an environment like any other
    from then on. The same call again has nothing to do; past half of its time it renews the preview.
    """
    from ci_gitops.steps.preview import CreateCall
    from ci_gitops.steps.preview import create as create_preview

    return create_preview(run, CreateCall(**options))


@command("delete", exits=(0, 1, 2, 5, 75))
@_name
@_force
@_undeploy
@_prune_kinds
@push_options
@pass_run
def delete(run: Run, /, **options: Any) -> Result:
    """Remove a preview from the config repository.

    Only what `preview create` made goes. Where others put files there or changed them, all of it stays (5).
    """
    from ci_gitops.steps.preview import RemoveCall
    from ci_gitops.steps.preview import delete as delete_preview

    return delete_preview(run, RemoveCall(**options))


@command("list", exits=(0, 1, 2, 75))
@option("--repo", metavar="URL|PATH", help="The config repository.  [default: as for `update`]")
@option("--branch", help="Its branch.  [default: as for `update`]")
@token_file_option
@ca_file_option
@pass_run
def list_all(run: Run, /, **options: Any) -> Result:
    """List the previews with their age and end."""
    from ci_gitops.steps.preview import PreviewCall, listed

    return listed(run, PreviewCall(**options))


@command("prune", exits=(0, 1, 2, 5, 75))
@_undeploy
@_prune_kinds
@push_options
@pass_run
def prune(run: Run, /, **options: Any) -> Result:
    """Remove the previews whose time is over.

    One that is held, or that others changed, stays and is told.
    """
    from ci_gitops.steps.preview import RemoveCall
    from ci_gitops.steps.preview import prune as prune_previews

    return prune_previews(run, RemoveCall(**options))


for part in (create, delete, list_all, prune):
    cli.add_command(part)
