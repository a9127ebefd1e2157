"""`ci-gitops completion`: real shells run the script and get what a person would see after Tab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ci_gitops.commands import COMMANDS
from tests.rig.cli import Cli
from tests.rig.parts import program

#: What bash does at Tab: fill COMP_WORDS, call the registered function, read COMPREPLY.
PRESS_TAB = """
source <(ci-gitops completion bash)
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
function=$(complete -p ci-gitops | sed 's/.*-F \\([^ ]*\\).*/\\1/')
compopt() { echo "as $2"; }
$function ci-gitops
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def path_with_program(tmp_path: Path) -> str:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ci-gitops"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ci_gitops "$@"\n')
    script.chmod(0o755)
    return str(folder)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    for environment in ("staging", "production"):
        overlay = folder / "apps/shop/overlays" / environment
        overlay.mkdir(parents=True)
        (overlay / "kustomization.yaml").write_text("resources: []\n")
    return folder


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], list(COMMANDS)),
        (["set"], ["set-image", "set"]),
        (["nothing-like-it", ""], list(COMMANDS)),  # the person may go back; an error here would spoil the line
        (["nothing-like-it", "--x"], []),
        (["set", "--d"], ["--document", "--dry-run"]),
        (["set", "x=1", "--path", ""], ["as default", ""]),  # files: left to bash
        (["-o", ""], ["text", "json", "yaml"]),
        (["-o", "json", "config", ""], ["schema", "show", "validate"]),
        (["completion", "z"], ["zsh"]),
        (["update", "--environment", ""], ["staging", "production"]),
        (["update", "--environment", "p"], ["production"]),
        (["update", "--app", ""], ["shop"]),
    ],
)
def test_bash(cli: Cli, path_with_program: str, repository: Path, words: list[str], expected: list[str]) -> None:
    bash = program("bash", "Debian's package `bash`")
    done = subprocess.run(
        [bash, "--norc", "-c", PRESS_TAB, "bash", "ci-gitops", *words], capture_output=True, text=True, check=False,
        cwd=repository, env={**cli.env, "PATH": f"{path_with_program}:{cli.env['PATH']}"}, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split("\n")[:-1] == (expected or [""])


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_the_script(cli: Cli, shell: str) -> None:
    ran = cli("completion", shell)
    assert ran.code == 0, ran.err
    assert f"_CI_GITOPS_COMPLETE={shell}_complete" in ran.out
    binary = program(shell, f"Debian's package `{shell}`")
    checked = subprocess.run([binary, "-n"], input=ran.out, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr


def test_fish(cli: Cli, path_with_program: str, repository: Path) -> None:
    fish = program("fish", "Debian's package `fish`")
    question = (
        "ci-gitops completion fish | source; complete -C 'ci-gitops set-i'; complete -C 'ci-gitops update --app '"
    )
    done = subprocess.run(
        [fish, "--no-config", "-c", question], capture_output=True, text=True, check=False, cwd=repository, timeout=60,
        env={**cli.env, "PATH": f"{path_with_program}:{cli.env['PATH']}"},
    )  # fmt: skip
    commands, apps = done.stdout.splitlines()
    assert commands.startswith("set-image\tSet images in kustomizations")
    assert apps == "shop"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_what_other_shells_ask(cli: Cli, shell: str) -> None:
    """The question that the script asks, without the shell."""
    ran = cli(
        _CI_GITOPS_COMPLETE=f"{shell}_complete",
        COMP_WORDS="ci-gitops set-i",
        COMP_CWORD="1" if shell == "zsh" else "set-i",
    )
    assert ran.code == 0, ran.err
    assert "set-image" in ran.out
    assert COMMANDS["set-image"][1] in ran.out


def test_the_shell_of_the_person(cli: Cli) -> None:
    assert "bash_complete" in cli("completion", SHELL="/bin/bash").out
    assert cli("-o", "json", "completion", SHELL="/usr/bin/fish").json["shell"] == "fish"
    ran = cli("completion", SHELL="/bin/tcsh")
    assert ran.code == 2
    assert "bash, zsh, fish" in ran.err
    assert cli("completion", "tcsh").code == 2


def test_no_command_at_all(cli: Cli) -> None:
    """A job that forgot its command fails, with the help."""
    ran = cli()
    assert ran.code == 2
    assert ran.err.startswith("Usage: ci-gitops")
    assert "set-image" in ran.err
