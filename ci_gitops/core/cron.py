"""When a cron line fires, on the clock of a time zone: five fields as Debian's cron reads them.

Where clocks go forward, what would fire in the hour that is skipped fires right after it; where they go back, once.
All times here are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

_FIELDS = 5
_LONGEST_SHIFT = 3 * 3600  # seconds by which a clock is put forward or back at most


def check_cron(line: str) -> str:
    """The line itself; ValueError says what is wrong with it."""
    from cronsim import CronSim, CronSimError  # here, since few configurations have cron lines

    if len(line.split()) != _FIELDS:
        raise ValueError(f"expected a cron line of five fields such as '0 9 * * Mon-Fri', not {line!r}")
    try:
        next(CronSim(line, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it never fires"
        raise ValueError(f"{line!r} is no cron line: {why[:1].lower()}{why[1:]}") from error
    return line


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """ValueError where there is no time zone of that name."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError(f"there is no time zone {name!r}: expected a name such as Europe/Berlin") from error


def fires_after(line: str, zone: tzinfo, moment: int) -> Iterator[int]:
    """The times after `moment` at which the line fires, in their order; ValueError where it is no cron line."""
    return (fired for fired in _fired(line, zone, moment - _LONGEST_SHIFT) if fired > moment)


def last_fire(line: str, zone: tzinfo, moment: int) -> int | None:
    """The last time at or before `moment` at which the line has fired; None where there is none."""
    return next((fired for fired in _fired(line, zone, moment + _LONGEST_SHIFT, back=True) if fired <= moment), None)


def _fired(line: str, zone: tzinfo, moment: int, *, back: bool = False) -> Iterator[int]:
    """From `moment` on, which itself may be some hours off: in an hour that comes twice the library knows only one."""
    from cronsim import CronSim

    check_cron(line)
    start = datetime.fromtimestamp(moment, UTC).astimezone(zone)
    for fired in CronSim(line, start, reverse=back):
        yield int(fired.timestamp())
