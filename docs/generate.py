"""The parts of docs/ that the program itself knows: `python -m docs.generate` writes them, a test compares them.

Pages are written by people around blocks between markers. The block of a command is made of its own declaration,
so that no option can be forgotten; a new command gets its section by itself.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import yaml

from ci_gitops.cli import cli
from ci_gitops.commands import COMMANDS
from ci_gitops.commands.common import EXIT_CODES, GitopsCommand, GitopsOption
from ci_gitops.core.installation import Installation, account, installed
from ci_gitops.core.plan_file import PLAN_SCHEMA
from ci_gitops.core.records import RECORD_SCHEMA
from ci_gitops.steps.install import IMAGE

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
COMMAND_PAGES = DOCS / "commands"
COMMANDS_PAGE = COMMAND_PAGES / "index.md"
EXIT_CODES_PAGE = DOCS / "exit-codes.md"
RECORD_SCHEMA_FILE = DOCS / "schema" / "record.schema.json"
PLAN_SCHEMA_FILE = DOCS / "schema" / "plan.schema.json"
BASE = DOCS.parent / "deploy" / "base"
BEGIN, END = "<!-- generated: {} -->", "<!-- end -->"
_GLOBAL, _EVERY = "global options", "every command"


def pages() -> dict[Path, str]:
    """Each page as it should be."""
    return {
        README: _with_block(README.read_text(), "commands", _list("docs/commands/")),
        COMMANDS_PAGE: _commands_page(COMMANDS_PAGE.read_text()),
        **{page_of(name): _command_page(name) for name in COMMANDS},
        EXIT_CODES_PAGE: _with_block(EXIT_CODES_PAGE.read_text(), "exit codes", _exit_codes()),
        RECORD_SCHEMA_FILE: json.dumps(RECORD_SCHEMA, indent=2, ensure_ascii=False) + "\n",
        PLAN_SCHEMA_FILE: json.dumps(PLAN_SCHEMA, indent=2, ensure_ascii=False) + "\n",
        **_base(),
    }


def _base() -> dict[Path, str]:
    """What `install` makes, for those who keep it as a Kustomize base: the overlay says environment and roles."""
    wanted = Installation(
        environment="", namespace="ci-gitops", image=IMAGE, scan_schedule="*/15 * * * *",
        secret="ci-gitops",  # noqa: S106  # its name
    )  # fmt: skip
    objects = (account(wanted), *installed(wanted))
    files = {f"{each['kind'].lower()}-{each['metadata']['name']}.yaml": each for each in objects}
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": sorted(files)}
    files["kustomization.yaml"] = head
    return {BASE / name: yaml.safe_dump(each, sort_keys=False, width=120) for name, each in files.items()}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and command of a command, by the words that call it."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command
        yield name, command
        if isinstance(command, click.Group):
            for sub in command.commands.values():
                yield f"{name} {sub.name}", sub


def page_of(words: str) -> Path:
    """The page of a command; those of a group share its page."""
    return COMMAND_PAGES / f"{words.partition(' ')[0]}.md"


def _commands_page(text: str) -> str:
    return _with_block(_with_block(text, _GLOBAL, _options("", cli)), _EVERY, _list(""))


def _command_page(name: str) -> str:
    """A new command gets its page, a new command of a group its section at the end of that page."""
    page = page_of(name)
    text = page.read_text() if page.exists() else ""
    for words, command in commands():
        if words.partition(" ")[0] == name:
            if BEGIN.format(words) not in text:
                text = f"{text}\n{_heading(words)}\n{BEGIN.format(words)}\n{END}\n".lstrip()
            text = _with_block(text, words, "\n".join(_command(words, command)))
    return text


def _heading(words: str) -> str:
    return f"{'#' * (1 + words.count(' '))} {words}\n"


def _with_block(text: str, name: str, block: str) -> str:
    """The page with the block of this name in its place."""
    begin = BEGIN.format(name)
    head, found, rest = text.partition(begin)
    if not found:
        raise SystemExit(f"The page has no {begin}.")
    _, _, tail = rest.partition(END)
    return f"{head}{begin}\n{block.strip()}\n{END}{tail}"


def _command(words: str, command: click.Command) -> Iterator[str]:
    yield f"```text\nci-gitops {words} {' '.join(command.collect_usage_pieces(click.Context(command)))}\n```\n"
    yield _help(command) + "\n"
    if options := _options(f"CI_GITOPS_{words.upper().replace(' ', '_').replace('-', '_')}", command):
        yield options + "\n"
    if isinstance(command, GitopsCommand):
        codes = ", ".join(f"{code}" for code in command.exits)
        yield f"Exit codes: {codes} ([what they mean](../exit-codes.md))."


def _help(command: click.Command) -> str:
    """The help page's text; a block that keeps its lines there becomes code here."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```text\n{inspect.cleandoc(paragraph.removeprefix(chr(8)))}\n```"
        if paragraph.startswith("\b")
        else " ".join(paragraph.split("\n"))
        for paragraph in paragraphs
    )


def _options(prefix: str, command: click.Command) -> str:
    rows = [row for parameter in command.params if (row := _row(prefix, parameter))]
    return "\n".join(("| option | variable | what it does |", "|---|---|---|", *rows)) if rows else ""


def _row(prefix: str, parameter: click.Parameter) -> str:
    if not isinstance(parameter, click.Option) or parameter.hidden:
        return ""
    record = parameter.get_help_record(click.Context(click.Command("x")))
    assert record
    variables = parameter.variables(prefix) if isinstance(parameter, GitopsOption) else ()
    if isinstance(parameter.envvar, str):
        variables = (parameter.envvar,)
    elif not variables and parameter.expose_value and parameter.allow_from_autoenv:
        variables = (f"CI_GITOPS_{str(parameter.name).upper()}",)
    shown = " ".join(f"`{name}`" for name in variables)
    flags, text = (re.sub(r"\s+", " ", part).strip().replace("|", "\\|") for part in record)
    return f"| `{flags}` | {shown} | {text} |"


def _list(folder: str) -> str:
    rows = [f"| [`{name}`]({folder}{name}.md) | {text} |" for name, (_, text) in COMMANDS.items()]
    return "\n".join(("| command | what it does |", "|---|---|", *rows))


def _exit_codes() -> str:
    users = {code: [] for code in EXIT_CODES}  # type: dict[int, list[str]]
    for words, command in commands():
        for code in command.exits if isinstance(command, GitopsCommand) else ():
            users[code].append(f"`{words}`")
    everywhere = max(map(len, users.values()))
    rows = [
        f"| {code} | {meaning} | {'every command' if len(users[code]) == everywhere else ', '.join(users[code])} |"
        for code, meaning in EXIT_CODES.items()
    ]
    return "\n".join(("| code | meaning | ends so |", "|---|---|---|", *rows))


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
