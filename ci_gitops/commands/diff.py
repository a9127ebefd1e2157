"""`ci-gitops diff`: what a deploy would change, before it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ci_gitops.commands.common import Duration, command, forge_option, forge_url_option, option, pass_run
from ci_gitops.commands.target_options import plan_options, target_options
from ci_gitops.results import Result
from ci_gitops.run import Run

_REPORTS = ("terraform", "junit")


class Reports(click.ParamType[dict[str, Path]]):
    """`terraform=FILE,junit=FILE`."""

    name = "reports"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Path]:
        found = {}
        for part in str(value).split(","):
            name, _, file = part.strip().partition("=")
            if name not in _REPORTS or not file:
                self.fail(f"{part!r} is no report: expected {' or '.join(f'{each}=FILE' for each in _REPORTS)}.")
            found[name] = Path(file)
        return found


@command("diff", exits=(0, 1, 2, 3, 5, 75))
@target_options
@option(
    "--against",
    metavar="live|REV",
    default="live",
    show_default=True,
    help="Compare with the cluster, or with what another revision declares, which needs no cluster.",
)
@plan_options
@option("--exit-code", is_flag=True, help="End with 3 where there are differences.")
@option(
    "--plan-out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the plan to a file, for `deploy --plan`. Secrets are masked.",
)
@option(
    "--report",
    "report",
    type=Reports(),
    multiple=True,
    metavar="terraform=FILE,junit=FILE",
    help="Write what GitLab's merge request widgets read.",
)
@option("--note", is_flag=True, help="Keep one note on the merge request up to date with the plan.")
@option(
    "--mr",
    "merge_request",
    type=click.IntRange(1),
    metavar="IID",
    help="Which merge request.  [default: the pipeline's, else the open one of the branch]",
)
@forge_option
@forge_url_option
@option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="How long the whole run may take.",
)
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Show what a deploy would change.

    The server says what each object would become (server-side apply, dry run), so defaults and admission are in it.
    Changes are short diffs, then a table, then the sums; values of Secrets are masked, equal ones alike.
    """
    from ci_gitops.steps.diff import DiffCall, diff

    given = options.pop("report")
    return diff(run, DiffCall(**options, reports={name: path for each in given for name, path in each.items()}))
