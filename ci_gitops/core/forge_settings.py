"""What the settings of a project at its forge must be for the road, and what is found of them.

A forge tells many of its settings to some accounts only. What cannot be seen is said as such: it is neither right nor
wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `skip`: it cannot be seen.
SettingState = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, judged. `message` says what is and why that matters, `change` where it is set and to what."""

    check: str
    state: SettingState
    message: str
    change: str | None = None
    page: str = ""  # the address at which it is changed


@dataclass(frozen=True, slots=True)
class Needs:
    """What the configuration asks of a project whose branch it writes."""

    branch: str
    pushed: tuple[str, ...] = ()  # environments that are pushed to
    reviewed: tuple[str, ...] = ()  # environments that are changed by merge request
    merges: bool = False  # some of these are merged by us
    scheduled: tuple[str, ...] = ()  # what only a schedule does: `drift is found`
    freezes: tuple[str, ...] = ()  # environments with a gate that obeys deploy freezes
    has_ci: bool | None = None  # the branch holds a pipeline; None: not looked at
    images: bool = False  # its own pipeline asks, and keeps its images in the project's registry
    now: int = 0


def unseen(check: str, what: str, needed: str) -> Setting:
    return Setting(check, "skip", f"{what} cannot be seen with this token (needs {needed}).")
