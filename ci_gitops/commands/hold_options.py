"""The options that `hold` and `release` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ci_gitops.commands.common import added, ca_file_option, forge_url_option, option, token_file_option

_OPTIONS = (
    option("--environment", required=True, metavar="ENV", help="The environment."),
    option("--app", help="Only this app."),
    option("--image", metavar="NAME[:TAG][@DIGEST]", help="Only this image: every version, or one artifact."),
    option("--reason", required=True, metavar="TEXT", help="Why, for whoever comes across it."),
    option("--repo", metavar="URL|PATH", help="The config repository.  [default: as for `update`]"),
    option("--branch", help="Its branch.  [default: as for `update`]"),
    option("--forge", type=click.Choice(["gitlab", "github", "local"]),
           help="Where a merge request is opened if the branch takes no push.  [default: as for `update`]"),
    forge_url_option,
    token_file_option,
    ca_file_option,
    option("--dry-run", is_flag=True, help="Show the change of the file; touch nothing."),
)  # fmt: skip


def hold_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, in this order."""
    return added(function, _OPTIONS)
