"""Deploy freezes that a forge keeps: cron lines for their begin and end, as GitLab counts them.

https://docs.gitlab.com/user/project/releases/#prevent-unintentional-releases-by-setting-a-deploy-freeze
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.core.cron import fires_after, last_fire, zone_of
from ci_gitops.core.windows import shown


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which the forge's owner wants no deployment."""

    start: str  # 0 23 * * 5
    end: str
    timezone: str = "UTC"

    @property
    def text(self) -> str:
        return f"{self.start} to {self.end} {self.timezone}"


def frozen(freeze: Freeze, now: int) -> bool:
    """Whether it has begun and not ended; ValueError where its lines or zone cannot be read."""
    zone = zone_of(freeze.timezone)
    begun, ended = last_fire(freeze.start, zone, now), last_fire(freeze.end, zone, now)
    return begun is not None and (ended is None or begun > ended)


def freeze_reason(freezes: Sequence[Freeze], now: int) -> tuple[bool, int, str]:
    """Whether none of them is on, when that changes by itself (0: unknown), and why."""
    for freeze in freezes:
        if frozen(freeze, now):
            zone = zone_of(freeze.timezone)
            end = next(fires_after(freeze.end, zone, now), 0)
            ends = f"ends {shown(end, zone)}" if end else "never ends"
            return False, end, f"deploy freeze ({freeze.text}); it {ends}"
    return True, 0, "no deploy freeze is on"
