"""What all commands share: the run's facts, the decorator that makes a command, options with the same meaning."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci_gitops.results import Result
from ci_gitops.run import Run

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_CODES: dict[int, str] = {
    0: "done, or nothing to do",
    1: "an expected failure: the message says what and why",
    2: "usage: the command line or the configuration asks for something that cannot be",
    3: "differences found (only with --exit-code)",
    4: "applied, but unhealthy or not healthy in time",
    5: "refused by a gate, a guard or a hold",
    70: "a bug: please report it",
    75: "temporary: trouble outside, try again",
    130: "interrupted",
}

#: Options that have a short variable beside `CI_GITOPS_<COMMAND>_<OPTION>`.
SHORT_VARIABLES = {
    "--repo": "CI_GITOPS_REPO",
    "--environment": "CI_GITOPS_ENVIRONMENT",
    "--forge": "CI_GITOPS_FORGE",
    "--forge-url": "CI_GITOPS_FORGE_URL",
}


class GitopsOption(click.Option):
    """An option whose variables are named after its flag; its own one wins over one that several commands share."""

    def variables(self, prefix: str) -> tuple[str, ...]:
        """The names, most special first; `prefix` is CI_GITOPS_<COMMAND>."""
        flag = max(self.opts, key=len)
        own = f"{prefix}_{flag.lstrip('-').replace('-', '_').upper()}"
        return (own, SHORT_VARIABLES[flag]) if flag in SHORT_VARIABLES else (own,)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        names = self.variables(ctx.auto_envvar_prefix) if ctx.auto_envvar_prefix else ()
        return next((value for name in names if (value := os.environ.get(name))), None)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = super().shell_complete(ctx, incomplete)
        if found or (not {"--app", "--environment"}.intersection(self.opts) and self.metavar != "ENV"):
            return found
        from ci_gitops.commands.declared import declared

        return declared(ctx, incomplete, apps="--app" in self.opts)


class GitopsCommand(click.Command):
    """A command whose help ends with the exit codes that it uses."""

    exits: Sequence[int] = (0, 1, 2)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), EXIT_CODES[code]) for code in self.exits])


class Duration(click.ParamType[float]):
    """`90s`, `5m`, `1h30m`, `2d`, or a number of seconds; becomes seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float | int):
            return float(value)
        from ci_gitops.core.durations import parse_duration

        text = str(value)
        try:
            return float(text) if text.isascii() and text.isdigit() else parse_duration(text).total_seconds()
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _changed_output(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """A global option that stands behind the command, where users of kubectl and helm write it."""
    if not value or value == param.default:
        return
    run = ctx.find_object(Run)
    assert run
    match param.name:
        case "output_format":
            run.output = replace(run.output, format=value)
        case "log_format":
            run.output = replace(run.output, log_format=value, live=False)
        case "quiet":
            run.output = replace(run.output, verbosity=-1)
        case "verbose":
            run.output = replace(run.output, verbosity=value)
        case "no_color":
            run.output = replace(run.output, colour=False)
        case "config":
            run.config = value


def _global_options() -> list[click.Option]:
    """The global options once more, unseen in the help of each command."""
    shared: dict[str, Any] = {
        "hidden": True, "expose_value": False, "allow_from_autoenv": False, "callback": _changed_output
    }  # fmt: skip
    return [
        click.Option(["-o", "--output", "output_format"], type=click.Choice(["text", "json", "yaml"]), **shared),
        click.Option(["--log-format"], type=click.Choice(["text", "json"]), **shared),
        click.Option(["-q", "--quiet"], is_flag=True, **shared),
        click.Option(["-v", "--verbose"], count=True, **shared),
        click.Option(["--no-color"], is_flag=True, **shared),
        click.Option(["--config"], type=click.Path(path_type=Path), **shared),
    ]


def command(name: str, *, exits: Sequence[int]) -> Callable[[Callable[..., Result]], click.Command]:
    """Make a command of a function that returns its `Result`; `exits` are the codes that its help lists.

    A function that takes `run` gets the `Run`.
    """

    def decorate(function: Callable[..., Result]) -> click.Command:
        made = click.command(name, cls=GitopsCommand)(function)
        assert isinstance(made, GitopsCommand)
        made.params += _global_options()
        made.exits = tuple(sorted({*exits, 70, 130}))
        return made

    return decorate


def option(*declarations: str, **attributes: Any) -> Callable[[Any], Any]:
    """`click.option` with our rule for variables; the help shows the default."""
    attributes.setdefault("cls", GitopsOption)
    return click.option(*declarations, **attributes)


#: Options with the same meaning in every command that talks to the config repository's server.
forge_option = option(
    "--forge",
    type=click.Choice(["gitlab", "github", "local"]),
    help="Where merge requests are.  [default: `forge` of the configuration, local for a folder, the CI system's own]",
)
forge_url_option = option(
    "--forge-url", metavar="URL", help="The forge's address.  [default: CI_SERVER_URL, else the repository's host]"
)
token_file_option = option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with the token of the config repository.  [default: CI_GITOPS_TOKEN, or the CI job's own]",
)
ca_file_option = option(
    "--ca-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Certificate authorities to trust as well.  [default: CI_SERVER_TLS_CA_FILE, SSL_CERT_FILE …]",
)

pass_run = click.make_pass_decorator(Run)


def added(function: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """A command with these options, in this order in its help."""
    for add in reversed(options):
        function = add(function)
    return function
