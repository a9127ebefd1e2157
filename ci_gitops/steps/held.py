"""What is held in an environment, as the branch says whose rules count."""

from __future__ import annotations

from collections.abc import Iterable

from ci_gitops.core.holds import Hold, holds_path, parse_holds
from ci_gitops.steps.workplace import Workplace


def holds_at(place: Workplace, environment: str) -> tuple[Hold, ...]:
    """SettingsError where the file is there and cannot be read."""
    return holds_in(place, [environment]).get(environment, ())


def holds_in(place: Workplace, environments: Iterable[str]) -> dict[str, tuple[Hold, ...]]:
    """The same of several, read together; those without a file are left out."""
    paths = {path: name for name in environments if place.rules.holds(path := holds_path(name))}
    texts = place.rules.read(paths) if paths else {}
    return {paths[path]: parse_holds(text, path) for path, text in texts.items()}
