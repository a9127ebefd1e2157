"""`ci-gitops render`: the objects that Git declares, as they would be applied."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import ca_file_option, command, option, pass_run, token_file_option
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("render", exits=(0, 1, 2, 5, 75))
@option(
    "--environment",
    metavar="ENV",
    help="Environment to render.  [default: the one whose sourceBranches hold the CI branch]",
)
@option("--app", "apps", multiple=True, help="App to render; may be repeated.  [default: all of the environment]")
@option("--repo", metavar="URL|PATH", help="The config repository.  [default: the checkout of the current folder]")
@option("--branch", help="Its branch.  [default: the checkout's HEAD, else the remote's default]")
@option(
    "--revision",
    metavar="COMMIT",
    help="Commit, branch or tag to render.  [default: what `update` left in CI_GITOPS_COMMIT, else the branch's head]",
)
@token_file_option
@ca_file_option
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Print what Git declares for an environment, rendered.

    Kustomize, Helm, Jsonnet and plain YAML, each by its own program in a box without network: a tree can read
    nothing but itself. Values that SOPS decrypted are masked.
    """
    from ci_gitops.steps.deploy import DeployCall
    from ci_gitops.steps.render import render

    return render(run, DeployCall(**options))
