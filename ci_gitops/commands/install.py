"""`ci-gitops install`: the manifests that run the operator in the cluster."""

from __future__ import annotations

from typing import Any

import click

from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.target_options import target_options
from ci_gitops.results import Result
from ci_gitops.run import Run


@command("install", exits=(0, 1, 2, 5, 75))
@option("--namespace", default="ci-gitops", show_default=True, help="Where the operator runs.")
@option("--image", help="Its container image.  [default: the released one of this version, without build engines]")
@option(
    "--secret",
    default="ci-gitops",
    show_default=True,
    help="The Secret with its credentials: every key is a variable of the pods, such as CI_GITOPS_TOKEN.",
)
@option("--authority", is_flag=True, help="The Secret holds a certificate authority to trust, as ca.crt.")
@option("--schedule", default="*/5 * * * *", show_default=True, metavar="CRON", help="When a deploy begins, in UTC.")
@option(
    "--scan-schedule",
    metavar="CRON|none",
    help="When a scan begins.  [default: */15 * * * * where an app has policies, else none]",
)
@option(
    "--port",
    "ports",
    multiple=True,
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Another TCP port that pods may connect to; may be repeated.  [default: 443, 6443 and the repository's]",
)
@option(
    "--forge",
    type=click.Choice(["gitlab", "github"]),
    help="Where merge requests are.  [default: `forge` of the configuration]",
)
@option("--forge-url", metavar="URL", help="The forge's address.  [default: the repository's host]")
@option("--apply", is_flag=True, help="Apply them instead of printing them.")
@option("--dry-run", is_flag=True, help="With --apply: say what would be applied; touch nothing.")
@target_options
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Print or apply the manifests that run the operator in a cluster.

    A CronJob of `ci-gitops deploy` and, where an app has policies, one of `ci-gitops scan`, with an account that has
    the smallest roles for what the environment declares (those of `ci-gitops rbac`), settings and a network policy.
    Credentials are in one Secret, which is named and never printed.
    """
    from ci_gitops.steps.install import InstallCall, install

    return install(run, InstallCall(**options))
