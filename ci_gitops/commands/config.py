"""`ci-gitops config`: what is in force and why, whether the file is right, and its schema for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ci_gitops.commands.common import ca_file_option, command, option, pass_run, token_file_option
from ci_gitops.core.text import counted
from ci_gitops.output import table
from ci_gitops.results import Result
from ci_gitops.run import Run


@click.group("config", no_args_is_help=False)
def cli() -> None:
    """Show or check the configuration, or print its schema."""


@command("show", exits=(0, 1, 2, 75))
@option("--repo", metavar="URL|PATH", help="The config repository.  [default: as for `update`]")
@option("--branch", help="Its branch.  [default: as for `update`]")
@ca_file_option
@token_file_option
@pass_run
def show(run: Run, repo: str | None, branch: str | None, ca_file: Path | None, token_file: Path | None) -> Result:
    """List the settings in force and where each came from.

    Inside a checkout of the config repository these are the checkout's own files, else those at the head of the
    branch. In text, settings that are empty by default are left out.
    """
    from ci_gitops.commands.variables import set_options
    from ci_gitops.settings.listing import Setting
    from ci_gitops.steps.overview import look
    from ci_gitops.steps.workplace import Reach

    reach = Reach(repo, branch, ca_file, token_file)
    listing = [
        *(Setting(typed, run.environ[name], name) for typed, name in set_options(run.environ)),
        *look(run, reach).listing(run, reach),
    ]
    items = [{"key": item.key, "value": item.value, "origin": item.origin} for item in listing]
    rows = [(item.key, _shown(item.value), item.origin) for item in listing if item.telling]
    return Result("Settings", {"items": items}, table(("SETTING", "VALUE", "FROM"), rows))


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return json.dumps(value)


@command("validate", exits=(0, 2))
@pass_run
def validate(run: Run) -> Result:
    """Check the configuration file and that its apps and environments are there.

    Without a file, the layout of the repository is checked.
    """
    from ci_gitops.settings.advice import advice
    from ci_gitops.steps.overview import checkout_settings

    settings = checkout_settings(run)
    config = settings.config
    if config.repository and config.repository.url and not settings.apps:
        text = f"{config.file} is valid: the configuration is in {config.repository.url}."
        return Result("ConfigValidation", {"file": config.file, "valid": True, "warnings": []}, text)
    targets = settings.targets()
    warnings = advice(settings)
    for warning in warnings:
        run.output.warn(warning)
    document = {
        "file": config.file,
        "valid": True,
        "apps": list(settings.apps),
        "environments": list(settings.environments),
        "targets": [{"app": item.app, "environment": item.environment, "path": item.path} for item in targets],
        "warnings": list(warnings),
    }
    counts = ((settings.apps, "app"), (settings.environments, "environment"), (targets, "target"))
    what = ", ".join(counted(len(things), noun) for things, noun in counts)
    return Result("ConfigValidation", document, f"{config.file or 'The layout of the repository'} is valid: {what}.")


@command("schema", exits=(0, 2))
def schema() -> Result:
    """Print the JSON Schema of .ci-gitops.yaml, for editors."""
    from ci_gitops.settings.schema import json_schema

    published = json_schema()
    return Result("ConfigSchema", {"schema": published}, json.dumps(published, indent=2, ensure_ascii=False))


for part in (show, validate, schema):
    cli.add_command(part)
