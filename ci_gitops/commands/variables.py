"""The variables that stand for options: which of them are set, and which are misspelt and stand for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

import click

from ci_gitops.commands import COMMANDS
from ci_gitops.commands.common import SHORT_VARIABLES, GitopsOption
from ci_gitops.core.text import near

#: Variables of the whole program, and those that one command leaves for another.
_GENERAL = frozenset(
    f"CI_GITOPS_{name}"
    for name in (
        *("CONFIG", "OUTPUT", "TOKEN", "SSH_HOST_KEYS", "PLAN_KEY", "CACHE_DIR"),
        *("GITHUB_APP_ID", "GITHUB_APP_KEY"),
        *("SIGNING_KEY", "SIGNING_PASSPHRASE", "BUILD_REGISTRY_PASSWORD"),
        *("IMAGE", "TAG", "DIGEST", "IMAGE_REF", "COMMIT", "MERGE_REQUEST", "PREVIEW_URL"),
    )
)
_OPEN = ("CI_GITOPS_TOKEN_", "CI_GITOPS_TEST_")


def set_options(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(the option as it is typed, its variable) for each option that a variable sets."""
    for name in sorted(environ):
        command = _command(name)
        if command and environ[name]:
            typed = _options(command).get(name)
            if typed:
                yield typed, name


def unknown_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """(the variable, the one that may be meant) for each of ours that nothing reads."""
    for name in sorted(environ):
        if not name.startswith("CI_GITOPS_") or name.startswith(_OPEN):
            continue
        command = _command(name)
        known = {*_GENERAL, *SHORT_VARIABLES.values(), *(_options(command) if command else ())}
        if name not in known:
            yield name, next(iter(near(name, known, 1)), None)


def _command(variable: str) -> str | None:
    """The command whose options' variables begin like this one; of two the longer name."""
    for name in sorted(COMMANDS, key=len, reverse=True):
        if variable.startswith(f"CI_GITOPS_{name.upper().replace('-', '_')}_"):
            return name
    return None


def _options(command: str) -> dict[str, str]:
    """Variable -> option of a command and of the commands below it."""
    loaded: click.Command = import_module(f"ci_gitops.commands.{COMMANDS[command][0]}").cli
    return dict(_walk(loaded, command))


def _walk(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    prefix = f"CI_GITOPS_{path.upper().replace('-', '_').replace(' ', '_')}"
    for parameter in command.params:
        if isinstance(parameter, GitopsOption):
            yield parameter.variables(prefix)[0], f"{path} {max(parameter.opts, key=len)}"
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _walk(below, f"{path} {name}")
