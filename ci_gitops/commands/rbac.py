"""`ci-gitops rbac`: the rights that deploying an environment takes, as roles."""

from __future__ import annotations

from typing import Any

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("rbac", exits=(0, 1, 2, 5, 75))
@target_options
@option("--account", metavar="NAMESPACE/NAME", help="The ServiceAccount.  [default: ci-gitops, where records are kept]")
@option("--user", metavar="NAME", help="A user instead, as certificates, OIDC or GitLab's agent name one.")
@option("--prune/--no-prune", default=None, help="With the right to delete.  [default: the destination's prune]")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Print the smallest roles that can deploy an environment.

    A Role for each namespace and a ClusterRole where that is needed, with their bindings, for what is rendered now:
    its objects and hooks, records, the Lease, and what is read to see how everything does. Pass it to
    `kubectl apply -f -`, and again where a new kind is declared.
    """
    from ci_gitops.steps.rbac import RbacCall, rbac

    return rbac(run, RbacCall(**options))
