"""`ci-gitops init`: look at a repository and write the first files for it; what is there is never touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from ci_gitops import __version__
from ci_gitops.adapters.folder import files_of, root_of
from ci_gitops.adapters.git import checkout_origin
from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.core.first_pipeline import pipeline_text
from ci_gitops.core.first_rules import Choice, doubts
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.core.sources import last_name
from ci_gitops.core.starter import Findings, config_text, look, schema_line
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError
from ci_gitops.output import styled
from ci_gitops.results import Result
from ci_gitops.run import Run

CONFIG, PIPELINE = ".ci-gitops.yaml", ".gitlab-ci.yml"
_ANYBODYS = "https://gitlab.com"


@dataclass(frozen=True, slots=True)
class FirstFile:
    """One file that a repository begins with, and what became of it."""

    path: str
    text: str
    state: Literal["written", "would be written", "exists"]
    there: str = ""  # what is there already


@command("init", exits=(0, 1, 2))
@option("--ci", type=click.Choice(["gitlab"]), help="Write the pipeline too: an include for .gitlab-ci.yml.")
@option("--dry-run", is_flag=True, help="Show what would be written; touch nothing.")
@pass_run
def cli(run: Run, ci: str | None, dry_run: bool) -> Result:
    """Write a first .ci-gitops.yaml for this repository.

    The usual layouts are recognised; nothing that is there is overwritten.
    """
    root = root_of(run.cwd)
    origin = checkout_origin(run.cwd, run.environ)
    found = look(files_of(root), last_name(run.ci.project or origin or str(root)))
    schema = schema_line(run.ci.server_url or _server(origin), __version__)
    texts = {CONFIG: config_text(found, schema), PIPELINE: pipeline_text(found, __version__) if ci else None}
    files = [_file(root, path, text, dry_run) for path, text in texts.items() if text]
    return Result("InitResult", _document(found, files), "\n".join(_lines(found, files, ci)))


def _server(origin: str | None) -> str:
    """The server that the repository lies on, where people have its mirror of the templates too."""
    try:
        address = parse_git_url(origin) if origin else None
    except CiGitopsError:
        address = None
    if address is None or not address.host:
        return _ANYBODYS
    return f"https://{address.authority if address.scheme == 'https' else address.host}"


def _file(root: Path, path: str, text: str, dry_run: bool) -> FirstFile:
    """Write it where nothing is; a link that leads nowhere is something too."""
    if dry_run and not os.path.lexists(root / path):
        return FirstFile(path, text, "would be written")
    try:
        with (root / path).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return FirstFile(path, text, "exists", _text_of(root / path))
    except OSError as error:
        raise CiGitopsError(f"{root / path} cannot be written: {error.strerror}.") from error
    return FirstFile(path, text, "written")


def _text_of(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _document(found: Findings, files: list[FirstFile]) -> dict[str, object]:
    return {
        "files": [{"path": file.path, "state": file.state, "text": file.text} for file in files],
        "apps": dict(found.layout.apps),
        "environments": list(found.layout.environments),
        "choices": [
            {"environment": choice.environment, "write": choice.write, "from": choice.source, "why": choice.why}
            for choice in found.choices
        ],
        "doubts": list(doubts(found.choices)),
        "sharedRepository": found.shared,
    }


def _lines(found: Findings, files: list[FirstFile], ci: str | None) -> Iterator[str]:
    if found.layout:
        apps, environments = counted(len(found.layout.apps), "app"), ", ".join(found.layout.environments)
        yield f"Found {apps} ({', '.join(found.layout.apps)}) in {environments}."
        yield from (f"  {choice.environment}: {_choice(choice)}" for choice in found.choices)
        yield from (f"{styled('yellow', 'Decide:')} {sentence}" for sentence in doubts(found.choices))
    else:
        yield "None of the usual layouts is here: fill in what the file shows as a comment."
    for file in files:
        yield from _told(file)
    if ci and len(files) == 1:
        yield f"There is nothing to build or deploy yet, so no {PIPELINE}."
    if any(file.state == "written" for file in files):
        yield "Next: look at it, `ci-gitops config validate`, then commit it."


def _choice(choice: Choice) -> str:
    if choice.write == "push":
        return f"pushed to straight; {choice.why}"
    return f"changed by merge request; {choice.why}"


def _told(file: FirstFile) -> Iterator[str]:
    if file.state == "written":
        yield f"{styled('green', 'Wrote')} {file.path}"
    elif file.state == "would be written":
        yield f"Would write {file.path}:"
        yield from (styled("green", f"+{line}") for line in file.text.splitlines())
    else:
        yield f"{file.path} is there already and is left as it is."
        if file.path == PIPELINE and "/ci-templates/" not in file.there:
            yield "Add this to it:"
            yield from (f"  {line}" for line in file.text.splitlines())
