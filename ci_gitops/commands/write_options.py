"""The options that every command which writes to a config repository shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ci_gitops.commands.common import (
    Duration,
    added,
    ca_file_option,
    forge_option,
    forge_url_option,
    option,
    token_file_option,
)

_WHERE = (
    option("--repo", metavar="URL|PATH", help="The config repository.  [default: CI_GITOPS_REPO, GITLAB_REMOTE_URL, "
           "`repository` of the local file, origin, the pipeline's project]"),
    option("--branch", help="Its branch.  [default: the environment's, in the pipeline's own project the CI branch, "
           "else the remote's default]"),
)  # fmt: skip
_RULES = (
    option("--write", type=click.Choice(["push", "merge-request"]), help="How to write.  [default: the environment's]"),
    option("--merge", type=click.Choice(["manual", "when-green", "now"]),
           help="When our merge request is merged.  [default: the environment's]"),
    option("--wait", type=click.Choice(["none", "merged", "deployed"]), default="none", show_default=True,
           help="What to wait for before the end."),
)  # fmt: skip
_HOW = (
    option("--timeout", type=Duration(), metavar="DURATION",
           help="How long to wait and to try again.  [default: 100s for trouble with a server, 10m for lost races]"),
    option("--message", help="Subject of the commit; may hold {environment}, {app} and {summary}."),
    option("--sign", type=click.Choice(["gpg", "ssh"]),
           help="Sign the commit with the key in CI_GITOPS_SIGNING_KEY (its text, or a file's path)."),
    forge_option,
    forge_url_option,
    token_file_option,
    ca_file_option,
    option("--dry-run", is_flag=True, help="Show the diff and what would be pushed or opened; touch nothing."),
)  # fmt: skip


def write_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, in this order, below the command's own."""
    return added(function, (*_WHERE, *_RULES, *_HOW))


def push_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a command that writes by push alone."""
    return added(function, (*_WHERE, *_HOW))
