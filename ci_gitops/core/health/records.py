"""The verdict on one object: a status and the sentence that says why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from ci_gitops.core.text import plain

HealthStatus = Literal["healthy", "suspended", "progressing", "missing", "degraded", "unknown"]
# Best to worst, in Argo CD's order (https://argo-cd.readthedocs.io/en/stable/operator-manual/health/).
_ORDER: tuple[HealthStatus, ...] = get_args(HealthStatus)
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Health:
    """How an object does. `message` is never empty, and one line that is fit to be shown."""

    status: HealthStatus
    message: str

    def is_worse(self, other: Health) -> bool:
        return _ORDER.index(self.status) > _ORDER.index(other.status)


def worst(healths: Iterable[Health]) -> Health:
    """The worst of `healths`, the first of equals; where there is none, nothing is wrong."""
    found = Health("healthy", "There is nothing to look at.")
    for number, health in enumerate(healths):
        if number == 0 or health.is_worse(found):
            found = health
    return found


def healthy(message: str) -> Health:
    return Health("healthy", sentence(message))


def progressing(message: str) -> Health:
    return Health("progressing", sentence(message))


def degraded(message: str) -> Health:
    return Health("degraded", sentence(message))


def suspended(message: str) -> Health:
    return Health("suspended", sentence(message))


def missing(message: str) -> Health:
    return Health("missing", sentence(message))


def unknown(message: str) -> Health:
    return Health("unknown", sentence(message))


def sentence(text: str) -> str:
    """`text` as one line with its full stop, cut where a controller pours out its log."""
    line = " ".join(plain(text).split())
    if len(line) > _LONGEST:
        return line[: _LONGEST - 2].rstrip() + " …"
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."
