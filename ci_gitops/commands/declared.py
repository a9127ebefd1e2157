"""Names that a shell completes: the apps and environments that the checkout declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def declared(ctx: click.Context, incomplete: str, *, apps: bool) -> list[CompletionItem]:
    """The apps or environments that the checkout declares; none where that cannot be told: nobody reads an error."""
    from click.shell_completion import CompletionItem

    from ci_gitops.steps.overview import checkout_settings

    try:
        settings = checkout_settings(ctx.find_object(Run) or Run())
    except (CiGitopsError, OSError):
        return []
    names = settings.apps if apps else settings.environments
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
