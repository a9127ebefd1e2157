"""What a valid configuration says that has no effect, or that the repository does not bear out."""

from __future__ import annotations

from collections.abc import Iterator

from ci_gitops.core.targets import fill
from ci_gitops.core.text import did_you_mean
from ci_gitops.settings.resolve import Settings
from ci_gitops.settings.schema import FILE_NAME

_OF_MERGE_REQUESTS = ("merge", "supersede", "reviewers", "assignees", "labels", "squash", "removeSourceBranch")


def advice(settings: Settings) -> tuple[str, ...]:
    """One sentence for each such thing, with the place in the file."""
    return (*_misnamed(settings), *_missing_paths(settings), *_without_effect(settings))


def _misnamed(settings: Settings) -> Iterator[str]:
    wrong = FILE_NAME.replace(".yaml", ".yml")
    if settings.paths and wrong in settings.paths:
        yield f"{wrong} is not read: the file's name is {FILE_NAME}."


def _missing_paths(settings: Settings) -> Iterator[str]:
    if settings.paths is None:
        return
    here = [item.name for item in settings.environments.values() if not item.repository]
    for app in settings.apps.values():
        paths = [fill(app.path, name) for name in here]
        if paths and not any(path in settings.paths for path in paths):
            hint = did_you_mean(paths[0], settings.paths, "") if len(settings.paths) < 5000 else None
            near = f" {hint}" if hint and hint.startswith("Did") else ""
            yield f"{_place(settings, 'apps', app.name)}: {', '.join(paths)}: not in the repository.{near}"
    for name in here:
        if not any(fill(app.path, name) in settings.paths for app in settings.apps.values()):
            yield f"{_place(settings, 'environments', name)}: no app is there."


def _without_effect(settings: Settings) -> Iterator[str]:
    for name, environment in settings.environments.items():
        if environment.write != "push":
            continue
        for key in _OF_MERGE_REQUESTS:
            place = settings.config.place("environments", name, key)
            if place:
                yield (
                    f"{place}: environments.{name}.{key} has no effect: it is for merge requests, "
                    "and `write` is push unless --write says otherwise."
                )


def _place(settings: Settings, *path: str) -> str:
    place = settings.config.place(*path)
    return f"{place}: {'.'.join(path)}" if place else ".".join(path)
