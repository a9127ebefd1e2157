"""`ci-gitops completion`: the script with which a shell completes our commands, options and names."""

from __future__ import annotations

from pathlib import PurePath

import click

from ci_gitops.commands.common import command, pass_run
from ci_gitops.errors import UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "ci-gitops"
#: The variable by which the script asks the program; click takes it from the program's name.
ASK = "_CI_GITOPS_COMPLETE"


@command("completion", exits=(0, 2))
@click.argument("shell", required=False, type=click.Choice(SHELLS), metavar="[bash|zsh|fish]")
@pass_run
def cli(run: Run, shell: str | None) -> Result:
    """Print the script that completes commands, options and names in a shell.

    Without a name it is the shell in SHELL. To have it always:

    \b
      source <(ci-gitops completion bash)      in ~/.bashrc
      source <(ci-gitops completion zsh)       in ~/.zshrc, after compinit
      ci-gitops completion fish | source       in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    shell = shell or _own_shell(run.environ.get("SHELL", ""))
    completion = get_completion_class(shell)
    assert completion
    parts = completion(click.Command(PROGRAM), {}, PROGRAM, ASK)
    script = parts.source_template % parts.source_vars()
    return Result("CompletionScript", {"shell": shell, "script": script}, script.rstrip("\n"))


def _own_shell(path: str) -> str:
    name = PurePath(path).name
    if name not in SHELLS:
        raise UsageError(
            f"Which shell? SHELL is {path!r}; expected one of {', '.join(SHELLS)}." if path else "Which shell?",
            hint="For example: ci-gitops completion bash",
        )
    return name
