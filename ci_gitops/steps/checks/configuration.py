"""Is there a configuration, is it right, and are there targets?"""

from __future__ import annotations

from collections.abc import Iterator

from ci_gitops.core.text import counted
from ci_gitops.errors import SettingsError, UsageError
from ci_gitops.settings import Settings
from ci_gitops.settings.advice import advice
from ci_gitops.settings.schema import FILE_NAME
from ci_gitops.steps.checks.base import Finding, Scene, failed

_NAMES = "--repo, CI_GITOPS_REPO or GITLAB_REMOTE_URL"


def check(scene: Scene) -> Iterator[Finding]:
    if scene.settings is None:
        if isinstance(scene.trouble, SettingsError):
            yield failed("configuration", scene.trouble, FILE_NAME)
        elif isinstance(scene.trouble, UsageError):
            yield failed("configuration", scene.trouble, _NAMES)
        return
    if scene.place is None:
        yield Finding("configuration", "warn", "No config repository is named; the files here are looked at.", _NAMES)
    yield _targets(scene.settings)
    for sentence in advice(scene.settings):
        yield Finding("configuration", "warn", sentence, FILE_NAME)
    for name in scene.environments:
        if name not in scene.settings.environments:
            yield Finding("configuration", "fail", f"There is no environment {name!r}.", "--environment")


def _targets(settings: Settings) -> Finding:
    try:
        targets = settings.targets()
    except UsageError as error:
        return failed("configuration", error, FILE_NAME)
    source = settings.config.file or "The layout of the repository"
    return Finding(
        "configuration", "ok", f"{source}: {counted(len(targets), 'target')} in {', '.join(settings.environments)}."
    )
