"""What is held in an environment, as the branch says whose rules count."""

from __future__ import annotations

from ci_gitops.core.holds import Hold, holds_path, parse_holds
from ci_gitops.steps.workplace import Workplace


def holds_at(place: Workplace, environment: str) -> tuple[Hold, ...]:
    """SettingsError where the file is there and cannot be read."""
    path, rules = holds_path(environment), place.rules
    return parse_holds(rules.read([path])[path], path) if rules.holds(path) else ()
