"""The edge: global options, commands loaded when they are called, and the one place that makes exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from ci_gitops import __version__, masking
from ci_gitops.commands import COMMANDS
from ci_gitops.core.text import did_you_mean, near
from ci_gitops.errors import CiGitopsError, UsageError
from ci_gitops.output import Output
from ci_gitops.results import Result
from ci_gitops.run import Run

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """Lists commands from a table and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = import_module(f"ci_gitops.commands.{entry[0]}")
        loaded: click.Command = module.cli
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise UsageError(
                f"There is no command {args[0]!r}.",
                hint=did_you_mean(args[0], near(args[0], COMMANDS)) or "`ci-gitops --help` lists them.",
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands from the table; click would import them all to ask for their help."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={
        "auto_envvar_prefix": "CI_GITOPS",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
    },
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration file.  [default: .ci-gitops.yaml, searched upwards to the Git root]",
)
@click.option(
    "-o",
    "--output",
    "output_format",
    envvar="CI_GITOPS_OUTPUT",
    allow_from_autoenv=False,
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="How the result is printed to standard output.",
)
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    allow_from_autoenv=False,
    help="Print the result, warnings and errors only.",
)
@click.option(
    "-v",
    "--verbose",
    count=True,
    allow_from_autoenv=False,
    help="Say more; -vv names every program and request.",
)
@click.option("--no-color", is_flag=True, allow_from_autoenv=False, help="No colours. NO_COLOR does the same.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    allow_from_autoenv=False,
    show_default=True,
    help="How progress and errors are written to standard error.",
)
@click.version_option(__version__, "--version", message="ci-gitops %(version)s")
@click.pass_context
def cli(
    ctx: click.Context,
    config: Path | None,
    output_format: Any,
    quiet: bool,
    verbose: int,
    no_color: bool,
    log_format: Any,
) -> None:
    """From a commit to a healthy cluster, with Git as the source of truth.

    Every option of a command can be set by a variable CI_GITOPS_<COMMAND>_<OPTION>.
    """
    run: Run = ctx.obj
    run.config = config
    behind = ctx.get_parameter_source("output_format") is ParameterSource.DEFAULT  # what was seen behind the command
    run.output = Output.for_streams(
        os.environ,
        format=run.output.format if behind else output_format,
        verbosity=-1 if quiet else verbose,
        no_color=no_color,
        log_format=log_format,
    )


def main(arguments: list[str] | None = None) -> NoReturn:
    """The console script."""
    gc.set_threshold(100_000, 20, 20)  # a short run makes little garbage; looking for it takes a tenth of the start
    code = call(sys.argv[1:] if arguments is None else arguments)
    gc.freeze()  # all of it goes with the process: nothing to look through once more
    sys.exit(code)


def call(arguments: list[str]) -> int:
    """Run one command line: print its result or its failure, return the exit code."""
    masking.register_environment(os.environ)
    signal.signal(signal.SIGTERM, _interrupt)
    run = Run(output=_output_before_parsing(arguments))
    try:
        outcome = cli.main(list(arguments), prog_name="ci-gitops", standalone_mode=False, obj=run)
        if isinstance(outcome, Result):
            run.output.result(outcome)
            return outcome.exit_code
        return outcome if isinstance(outcome, int) else 0
    except CiGitopsError as error:
        return _failed(run.output, error)
    except click.exceptions.NoArgsIsHelpError as error:
        # Nothing was asked: the help is the answer, and a job that forgot its command fails.
        error.show()
        return 2
    except click.ClickException as error:
        return _failed(run.output, _usage_error(error))
    except (KeyboardInterrupt, click.Abort):
        run.output.close()
        run.output.warn("Interrupted. What was written is whole; run the same command again to go on.")
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`): there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _bug(run.output, error)
    finally:
        run.output.close()


def _failed(output: Output, error: CiGitopsError) -> int:
    if error.result is not None:
        output.result(error.result, error)
    output.failure(error)
    return error.exit_code


def _usage_error(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "ci-gitops"
    return UsageError(error.format_message(), hint=f"`{path} --help` shows what it takes.")


def _bug(output: Output, error: Exception) -> int:
    import platform
    import traceback

    class BugError(CiGitopsError):
        exit_code = 70
        kind = "bug"

    trace = "".join(traceback.format_exception(error))
    about = f"ci-gitops {__version__}, Python {platform.python_version()}, {platform.platform()}"
    output.failure(
        BugError(
            f"This is a bug in ci-gitops: {type(error).__name__}: {error}\n{trace}{about}",
            hint="Please report it with the lines above; secrets are masked in them.",
        )
    )
    return 70


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    # A CI system stops a job by SIGTERM: clean up as after Ctrl-C.
    raise KeyboardInterrupt


def _output_before_parsing(arguments: list[str]) -> Output:
    """The output for failures of the command line itself, which must be JSON where JSON was asked for."""
    chosen: Any = os.environ.get("CI_GITOPS_OUTPUT", "text")
    for word, following in zip(arguments, [*arguments[1:], ""], strict=False):
        name, _, value = word.partition("=")
        if word in ("-o", "--output"):
            chosen = following
        elif name == "--output":
            chosen = value
        elif word.startswith("-o") and not word.startswith("--"):
            chosen = word[2:]
    return Output.for_streams(os.environ, format=chosen if chosen in ("json", "yaml") else "text")
