"""`ci-gitops deploy`: an environment's destination, brought to what Git declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ci_gitops.commands.common import ca_file_option, command, option, pass_run, token_file_option
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("deploy", exits=(0, 1, 2, 5, 75))
@option(
    "--environment",
    metavar="ENV",
    help="Environment to deploy.  [default: the one whose sourceBranches hold the CI branch]",
)
@option("--app", "apps", multiple=True, help="App to deploy; may be repeated.  [default: all of the environment]")
@option("--repo", metavar="URL|PATH", help="The config repository.  [default: the checkout of the current folder]")
@option("--branch", help="Its branch.  [default: the checkout's HEAD, else the remote's default]")
@option(
    "--revision",
    metavar="COMMIT",
    help="Commit, branch or tag to deploy.  [default: what `update` left in CI_GITOPS_COMMIT, else the branch's head]",
)
@option("--context", metavar="NAME", help="Context of the kubeconfig.  [default: the environment's destination]")
@option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The kubeconfig.  [default: KUBECONFIG, ~/.kube/config, the pod's account]",
)
@option(
    "--destination",
    metavar="dir:PATH",
    help="Write rendered manifests to a folder instead: PATH/ENV/APP/, one file for each object.",
)
@token_file_option
@ca_file_option
@option("--dry-run", is_flag=True, help="Say what would be created and updated; touch nothing.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Apply what Git declares for an environment.

    All targets are rendered before the first write. Objects are applied by the server (server-side apply), those
    that others need first; what is as declared stays untouched. Nothing is deleted.
    """
    from ci_gitops.steps.deploy import DeployCall, deploy

    return deploy(run, DeployCall(**options))
