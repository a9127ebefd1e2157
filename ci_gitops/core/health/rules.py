"""Health of custom resources as data: which expression means which status, of the configuration or of our own list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from ci_gitops.core.health.expressions import Answer, parse_expression, parse_path
from ci_gitops.core.health.fields import at, condition, group_of, reason_of, text
from ci_gitops.core.health.records import Health, HealthStatus, sentence, unknown

# Failures before successes: an object that says both is not well.
_ORDER: tuple[HealthStatus, ...] = ("degraded", "suspended", "progressing", "healthy")
_PLACE = re.compile(r"\{([^{}]*)\}")
_SAID: dict[str, str] = {
    "degraded": "It is degraded",
    "suspended": "It is suspended",
    "progressing": "It is not ready yet",
    "healthy": "It is ready",
}


class HealthRule(Protocol):
    """A rule for objects of one kind: the status whose expression holds counts, failures first.

    Where none holds, an object with a rule for `healthy` is still on its way; without one it is read as if there
    were no rule. `message` may hold paths, as in `{status.message}`.
    """

    @property
    def kind(self) -> str: ...
    @property
    def group(self) -> str | None: ...
    @property
    def degraded(self) -> str | None: ...
    @property
    def suspended(self) -> str | None: ...
    @property
    def progressing(self) -> str | None: ...
    @property
    def healthy(self) -> str | None: ...
    @property
    def message(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as plain data; `kind` and `group` may be patterns, as in `*.crossplane.io`."""

    kind: str
    group: str | None = None
    degraded: str | None = None
    suspended: str | None = None
    progressing: str | None = None
    healthy: str | None = None
    message: str | None = None


def check_message(message: str) -> None:
    """ValueError where a `{path}` of a rule's message cannot be read."""
    for place in _PLACE.finditer(message):
        parse_path(place[1])


def by_rules(found: Mapping[str, Any], rules: Iterable[HealthRule]) -> Health | None:
    """The verdict of the first rule for objects of that kind that has one; a rule that cannot be read is one too."""
    for rule in rules:
        if speaks_of(rule, found):
            try:
                verdict = _apply(found, rule)
            except ValueError as error:
                return unknown(f"The health rule for {rule.kind} cannot be read: {error}")
            if verdict is not None:
                return verdict
    return None


def speaks_of(rule: HealthRule, found: Mapping[str, Any]) -> bool:
    """Whether the rule is for objects of that kind."""
    fits = fnmatchcase(text(found, "kind"), rule.kind)
    return fits and (rule.group is None or fnmatchcase(group_of(found), rule.group))


def _apply(found: Mapping[str, Any], rule: HealthRule) -> Health | None:
    for status in _ORDER:
        written: str | None = getattr(rule, status)
        if written is None:
            continue
        answer = parse_expression(written).answer(found)
        if answer.holds:
            return Health(status, sentence(_message(found, rule, status, answer)))
    if rule.healthy is None:
        return None
    return Health("progressing", sentence(_message(found, rule, "progressing", Answer(False))))


def _message(found: Mapping[str, Any], rule: HealthRule, status: str, answer: Answer) -> str:
    if rule.message:
        filled = _PLACE.sub(lambda place: _value(found, place[1]), rule.message).strip()
        return filled or _SAID[status]
    said = reason_of(answer.evidence, "") or _said(found, status)
    return f"{_SAID[status]}: {said}" if said else _SAID[status]


def _said(found: Mapping[str, Any], verdict: str) -> str:
    """What the object says of itself where the rule looked at a field that has no words."""
    ready = condition(found, "Ready")
    if ready is not None and verdict in ("degraded", "progressing") and text(ready, "status") != "True":
        return reason_of(ready, "")
    return reason_of(at(found, "status"), "") or text(found, "status", "phase")


def _value(found: Mapping[str, Any], path: str) -> str:
    values = [value for value, _ in parse_path(path).select(found) if isinstance(value, str | int | float)]
    return ", ".join(str(value) for value in values)
