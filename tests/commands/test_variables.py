"""Every option can be set by a variable that is named after its flag."""

from __future__ import annotations

from importlib import import_module

import click
import pytest

from ci_gitops.commands import COMMANDS
from ci_gitops.commands.common import GitopsOption

OPTIONS = [
    pytest.param(name, option, id=f"{name} {max(option.opts, key=len)}")
    for name, (module, _) in COMMANDS.items()
    for option in import_module(f"ci_gitops.commands.{module}").cli.params
    if isinstance(option, click.Option) and option.name != "help" and not option.hidden
]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_the_variable_has_the_flags_name(command: str, option: click.Option, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(option, GitopsOption)
    flag = max(option.opts, key=len).lstrip("-").replace("-", "_").upper()
    monkeypatch.setenv(f"CI_GITOPS_{command.replace('-', '_').upper()}_{flag}", "something")
    context = click.Context(click.Command(command), auto_envvar_prefix=f"CI_GITOPS_{command.replace('-', '_').upper()}")
    assert option.resolve_envvar_value(context) == "something"


def test_the_own_variable_wins_over_the_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    option = GitopsOption(["--environment", "environments"], multiple=True)
    context = click.Context(click.Command("update"), auto_envvar_prefix="CI_GITOPS_UPDATE")
    assert option.resolve_envvar_value(context) is None
    monkeypatch.setenv("CI_GITOPS_ENVIRONMENT", "short")
    assert option.resolve_envvar_value(context) == "short"
    monkeypatch.setenv("CI_GITOPS_UPDATE_ENVIRONMENT", "own")
    assert option.resolve_envvar_value(context) == "own"
