"""The documentation says what the program does: no command, option, variable, exit code or setting is missing."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest

from ci_gitops import masking
from ci_gitops.cli import cli
from ci_gitops.commands import COMMANDS
from ci_gitops.commands.common import EXIT_CODES, GitopsCommand, GitopsOption
from ci_gitops.commands.variables import unknown_variables
from docs.generate import DOCS, EXIT_CODES_PAGE, README, commands, page_of, pages
from tests.rig import settings_docs

EVERY_COMMAND = dict(commands())
WRITTEN = sorted((README, *DOCS.rglob("*.md")))
PACKAGE = Path(inspect.getfile(masking)).parent
#: Flags of other programs that the pages speak of.
FOREIGN = {"--help", "--version"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_pages_are_up_to_date(page: Path) -> None:
    assert page.read_text() == pages()[page], "run `make docs` (python -m docs.generate)"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_each_says_itself(name: str) -> None:
    command = EVERY_COMMAND[name]
    assert command.name == name
    assert COMMANDS[name][1] == inspect.cleandoc(command.help or "").splitlines()[0]
    assert f"`{name}`" in README.read_text()


@pytest.mark.parametrize("words", EVERY_COMMAND)
def test_every_option_is_explained(words: str) -> None:
    """In a sentence, in the help and on the page, with its variable."""
    page = page_of(words).read_text()
    command = EVERY_COMMAND[words]
    assert re.search(rf"(?m)^##? {re.escape(words)}$", page)
    assert not isinstance(command, GitopsCommand) or {0, 70, 130} <= set(command.exits) <= set(EXIT_CODES)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert isinstance(parameter, GitopsOption), f"{words} {parameter.opts}: use commands.common.option"
            assert parameter.help, f"{words} {parameter.opts} has no help"
            assert re.search(r"[.\]]$", parameter.help), f"{words} {parameter.opts}: the help is no sentence"
            for name in (*parameter.opts, *parameter.secondary_opts):
                assert name in page


def test_exit_codes() -> None:
    page = EXIT_CODES_PAGE.read_text()
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page


def test_settings() -> None:
    page = settings_docs.PAGE.read_text()
    assert page == settings_docs.page_text(page), "run `make docs`"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_pages_name_nothing_that_is_not_there(page: Path) -> None:
    """An option or variable that was renamed is renamed in the pages too."""
    text = page.read_text()
    every = (cli, *EVERY_COMMAND.values())
    known = {name for each in every for option in each.params for name in (*option.opts, *option.secondary_opts)}
    for line in text.splitlines():
        for span in re.findall(r"`([^`]*)`", line) + ([line] if "ci-gitops " in line else []):
            if "ci-gitops" in span or span.startswith("--"):
                flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", span))
                assert flags <= known | FOREIGN, f"{page.name}: {line}"
    variables = dict.fromkeys(re.findall(r"\bCI_GITOPS_[A-Z_]*[A-Z]\b", text), "x")
    assert not [name for name, _ in unknown_variables(variables)]


def test_every_variable_is_explained() -> None:
    """Those that the code names, but for what it tells its own helper programs."""
    pages = "".join(page.read_text() for page in WRITTEN)
    for file in PACKAGE.rglob("*.py"):
        for name in re.findall(r"\bCI_GITOPS_[A-Z_]*[A-Z]\b", file.read_text()):
            assert f"`{name}`" in pages or name.startswith("CI_GITOPS_ASKPASS_"), f"{name} in {file.name}"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", file.read_text())
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menu = (DOCS.parent / "mkdocs.yml").read_text()
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    missing = [page for page in pages if not page.startswith("commands/") and f"{page}\n" not in menu]
    assert not missing, "name them under `nav` of mkdocs.yml"


def test_every_page_can_be_found() -> None:
    linked = "".join(page.read_text() for page in WRITTEN)
    for page in WRITTEN:
        if page != README:
            assert f"{page.name})" in linked or f"{page.name}#" in linked, f"nothing links to {page.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_leads_to_what_explains_it(name: str) -> None:
    """Its page is found by search and by name; what it is for is told elsewhere."""
    text = page_of(name).read_text().replace("([what they mean](../exit-codes.md))", "")
    assert re.search(r"\]\(\.\./[\w/-]+\.md", text), f"{page_of(name).name}: name the page that tells more"


def test_the_messages_of_the_troubleshooting_page_are_those_of_the_program() -> None:
    """A message that was reworded is reworded in the page too."""
    text = (DOCS / "troubleshooting.md").read_text().partition("## When it")[0]
    sources = re.sub(r"\{[^{}\"]*\}", "<>", "".join(file.read_text() for file in PACKAGE.rglob("*.py")))
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    codes = {code for row in rows for code in row[1].split(", ")}
    assert codes <= {str(code) for code in EXIT_CODES}
    foreign = ("No such", "You are not allowed", ".ci-gitops.yaml:")
    for row in rows:
        for message in re.findall(r"`([^`]+)`", row[0]):
            if not message.startswith(foreign):
                for part in re.split(r"<[^>]*>", message):
                    assert part in sources, message
