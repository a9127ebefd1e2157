"""The options that say which of our merge requests a command is about, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ci_gitops.commands.common import (
    added,
    ca_file_option,
    forge_option,
    forge_url_option,
    option,
    token_file_option,
)

_NUMBER = option(
    "--mr", "numbers", multiple=True, type=click.IntRange(1), metavar="IID", help="Only this one; may be repeated."
)
_PLACE = (
    option("--repo", metavar="URL|PATH", help="The config repository.  [default: as for `update`]"),
    option("--branch", help="The branch that is merged into.  [default: as for `update`]"),
    forge_option,
    forge_url_option,
    token_file_option,
    ca_file_option,
)  # fmt: skip

_Function = Callable[..., Any]


def which_options(unnamed: str) -> Callable[[_Function], _Function]:
    """Which ones; `unnamed` says which where the call names none."""
    environment = option(
        "--environment", "environments", multiple=True, metavar="ENV",
        help=f"Merge requests of this environment; may be repeated.  [default: {unnamed}]",
    )  # fmt: skip
    return lambda function: added(function, (environment, _NUMBER))


def place_options(function: _Function) -> _Function:
    """Where they are."""
    return added(function, _PLACE)
