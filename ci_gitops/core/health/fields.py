"""Reading an object that nobody promised to be well formed: what is not there, or of another type, is the default."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

Object = Mapping[str, Any]


def at(found: object, *keys: str) -> Any:
    """The value below `keys`, or None."""
    for key in keys:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def text(found: object, *keys: str) -> str:
    """The text below `keys`; times that a YAML reader has made of text are text again."""
    value = at(found, *keys)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else ""


def number(found: object, *keys: str, default: int = 0) -> int:
    """The whole number below `keys`, as far as an API server can hold it."""
    value = at(found, *keys)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else default


def mappings(found: object, *keys: str) -> tuple[Object, ...]:
    """The mappings in the list below `keys`."""
    value = at(found, *keys)
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list | tuple) else ()


def texts(found: object, *keys: str) -> tuple[str, ...]:
    """The texts in the list below `keys`."""
    value = at(found, *keys)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def group_of(found: object) -> str:
    """The API group: `apps` of `apps/v1`, nothing of `v1`."""
    group, slash, _ = text(found, "apiVersion").partition("/")
    return group if slash else ""


def is_observed(found: object) -> bool:
    """Has the controller seen what the object now asks for? Argo Rollouts writes the number as text, or a hash."""
    written = text(found, "status", "observedGeneration")
    if written:
        return not written.isdecimal() or len(written) > 18 or int(written) >= number(found, "metadata", "generation")
    return number(found, "status", "observedGeneration") >= number(found, "metadata", "generation")


def is_stale(condition: object, generation: int) -> bool:
    """Does the condition speak of an older generation of its object?"""
    return number(condition, "observedGeneration", default=generation) < generation


def condition(found: object, kind: str) -> Object | None:
    """The condition of that type that speaks of the object's present generation."""
    generation = number(found, "metadata", "generation")
    for each in mappings(found, "status", "conditions"):
        if each.get("type") == kind and not is_stale(each, generation):
            return each
    return None


def holds(found: object, kind: str, status: str = "True") -> bool:
    return text(condition(found, kind), "status") == status


def reason_of(about: object, default: str) -> str:
    """`Reason: message` of a condition or of a container's state, as far as it says either."""
    parts = [part for part in (text(about, "reason"), text(about, "message")) if part.strip()]
    return ": ".join(parts) or default


def since(written: str, now: datetime) -> timedelta:
    """How long ago a time was that the server wrote; none where it cannot be read."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return timedelta()
    return _aware(now) - _aware(moment)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
