"""Every setting in force as one flat list: its key path, its value, and what gave it that value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from ci_gitops.core.durations import format_duration
from ci_gitops.settings.document import KeyPath
from ci_gitops.settings.parse import key_text
from ci_gitops.settings.resolve import Settings

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """`value` is plain data; `origin` is `file:line`, `default`, a variable's name or what implied it."""

    key: str
    value: Any
    origin: str

    @property
    def telling(self) -> bool:
        """Not merely the absence of something by default."""
        return self.origin != DEFAULT or bool(self.value)


def settings_in_force(settings: Settings) -> tuple[Setting, ...]:
    """The settings of the config repository, in the order of the schema."""
    return tuple(
        Setting(key_text(path), _plain(value), settings.config.place(*path) or _implied(settings, path))
        for path, value in _all(settings)
    )


def _all(settings: Settings) -> Iterator[tuple[KeyPath, Any]]:
    yield ("name",), settings.name
    for name, app in settings.apps.items():
        yield from _leaves(("apps", name), app, leave_out="name")
    for name, environment in settings.environments.items():
        if name in settings.preview_environments:
            continue  # as `previews` says
        yield from _leaves(("environments", name), environment, leave_out="name")
    yield from _leaves(("render",), settings.config.render)
    if settings.previews:
        yield from _leaves(("previews",), settings.previews)


def _leaves(path: KeyPath, value: Any, leave_out: str = "") -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            if name != leave_out:
                yield from _leaves((*path, field.alias or name), getattr(value, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for number, item in enumerate(value):
            yield from _leaves((*path, number), item)
    elif isinstance(value, Mapping) and any(isinstance(item, BaseModel) for item in value.values()):
        for name, item in value.items():
            yield from _leaves((*path, name), item)
    else:
        yield path, value


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _implied(settings: Settings, path: KeyPath) -> str:
    """What gave a value that the file does not give."""
    last = path[-1]
    if path == ("name",):
        return "the repository's address" if settings.name else DEFAULT
    if path[0] == "apps" and last == "path":
        return "the repository's layout"
    if path[0] == "environments" and len(path) == 3:
        environment = settings.environments[str(path[1])]
        if last == "from" and environment.from_:
            return "the environment before it"
        if last == "sourceBranches" and environment.source_branches:
            return "the usual branches where application and configuration share a repository"
    return DEFAULT
