"""Windows: times in which merging is allowed or denied, each on the clock of its own time zone.

Days and hours mean what the clock on the wall shows there: in the night in which it is put forward, an hour that it
does not show is in no window, and one that it shows twice is in the window twice. A cron line opens a window for a
length of time. All times are seconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cached_property
from itertools import pairwise

from ci_gitops.core.cron import check_cron, fires_after, last_fire, zone_of

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = f"({'|'.join(DAYS)})"
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
HOURS = rf"({_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)* )?{_HOUR}-({_HOUR}|24:00)"
HOURS_EXPECTED = "days and hours such as 'Mon-Fri 09:00-16:00' or '22:00-02:00'"
_DAY_SECONDS = 86_400
_AHEAD = (4, 24)  # days: two weeks and more, since a clock that is put forward may swallow a week's only window
_FARTHEST = 36 * _DAY_SECONDS  # in which the next opening is looked for, where each week is like the others
_FARTHEST_CRON = 400 * _DAY_SECONDS
_MOST = 2_000  # changes that are looked at
_JOINED = 1_000  # firings of a cron line that make one long window


@dataclass(frozen=True, slots=True)
class Hours:
    """On these days (0 is Monday), from `begin` to `end` in minutes of the day; past midnight where it ends earlier."""

    text: str
    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Hours:
        """ValueError says what was expected."""
        if not re.fullmatch(HOURS, text):
            raise ValueError(f"expected {HOURS_EXPECTED}, not {text!r}")
        days, _, hours = text.rpartition(" ")
        begin, end = (_minutes(part) for part in hours.split("-"))
        if begin == end:
            raise ValueError(f"{text!r} ends when it begins: the whole day is 00:00-24:00")
        return cls(text, _days(days), begin, end)

    def holds(self, wall: datetime) -> bool:
        """Whether a clock that shows `wall` is in it."""
        minute = wall.hour * 60 + wall.minute
        if self.begin < self.end:
            return wall.weekday() in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return wall.weekday() in self.days
        return minute < self.end and (wall.weekday() - 1) % 7 in self.days

    def is_open(self, zone: tzinfo, now: int) -> bool:
        return self.holds(_wall(now, zone))

    def changes(self, zone: tzinfo, now: int) -> int | None:
        """The next time at which it opens or closes; None where it never does."""
        state = self.is_open(zone, now)
        for days in _AHEAD:
            surely = now + (days - 2) * _DAY_SECONDS  # until then all of them are known
            turns = sorted(turn for turn in self._turns(zone, now, days) if now < turn <= surely)
            change = next((turn for turn in turns if self.is_open(zone, turn) != state), None)
            if change is not None:
                return change
        return None

    def _turns(self, zone: tzinfo, now: int, days: int) -> set[int]:
        """All times near at which it may open or close: where the clock shows an edge, and where the clock is put."""
        today = _wall(now, zone).date()
        edges = {time(minute // 60 % 24, minute % 60) for minute in (self.begin, self.end, 0)}
        shown = {
            int(datetime.combine(today + timedelta(days=day), edge, zone).replace(fold=fold).timestamp())
            for day in range(-1, days)
            for edge in edges
            for fold in (0, 1)
        }
        offsets = [(moment, _offset(zone, moment)) for moment in sorted(shown)]
        return shown | {
            _shift(zone, one, other) for (one, before), (other, after) in pairwise(offsets) if before != after
        }


@dataclass(frozen=True, slots=True)
class Firing:
    """From each firing of a cron line on, for so many seconds."""

    line: str
    seconds: int

    @property
    def text(self) -> str:
        hours, minutes = divmod(self.seconds // 60, 60)
        return f"{self.line} for {f'{hours}h' if hours else ''}{f'{minutes}m' if minutes or not hours else ''}"

    def is_open(self, zone: tzinfo, now: int) -> bool:
        fired = last_fire(self.line, zone, now)
        return fired is not None and now < fired + self.seconds

    def changes(self, zone: tzinfo, now: int) -> int | None:
        upcoming = fires_after(self.line, zone, now)
        if not self.is_open(zone, now):
            return next(upcoming, None)
        fired = last_fire(self.line, zone, now)
        end = (fired if fired is not None else now) + self.seconds
        for _, again in zip(range(_JOINED), upcoming, strict=False):
            if again > end:
                return end
            end = again + self.seconds
        return None  # it fires again before it closes


@dataclass(frozen=True)
class Window:
    """A time in which merging is allowed, or denied."""

    allow: bool
    when: Hours | Firing
    timezone: str = "UTC"

    @cached_property
    def zone(self) -> tzinfo:
        return zone_of(self.timezone)

    @property
    def text(self) -> str:
        return f"{self.when.text} {self.timezone}"

    def is_open(self, now: int) -> bool:
        return self.when.is_open(self.zone, now)

    def changes(self, now: int) -> int | None:
        return self.when.changes(self.zone, now)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether it is open, until when, and what makes it so. `until` is None where no end is in sight."""

    open: bool
    until: int | None
    reason: str


def parse_when(text: str, seconds: int | None) -> Hours | Firing:
    """Days and hours, or a cron line, which needs to last so many seconds; ValueError says what was expected."""
    if len(text.split()) <= 2:
        if seconds is not None:
            raise ValueError(f"{text!r} says itself when it ends: duration is for cron lines")
        return Hours.parse(text)
    if not seconds:
        raise ValueError(f"the cron line {text!r} says when it begins; give its duration too, such as 7h")
    return Firing(check_cron(text), seconds)


def standing(windows: Sequence[Window], now: int) -> Standing:
    """Open where no window denies it and one allows it (or none of them allows anything)."""
    state = _is_open(windows, now)
    until = _turn(windows, now, state)
    if state:
        cause = next((each for each in windows if each.allow and each.is_open(now)), windows[0])
        end = f" until {shown(until, cause.zone)}" if until is not None else ""
        return Standing(True, until, f"open{end} ({cause.text})" if cause.allow else f"open{end}")
    denying = next((each for each in windows if not each.allow and each.is_open(now)), None)
    why = f"closed by {denying.text}" if denying else "closed now"
    if until is None:
        return Standing(False, None, f"{why}; no time is in sight at which it opens")
    opening = next((each for each in windows if each.allow and each.is_open(until)), None)
    zone = (opening or denying or windows[0]).zone
    return Standing(False, until, f"{why}; opens {shown(until, zone)}{f' ({opening.text})' if opening else ''}")


def shown(moment: int, zone: tzinfo) -> str:
    """`Mon 2026-11-23 09:00 +01:00`, as the clock of that zone has it; with seconds where it is not a full minute."""
    wall = _wall(moment, zone)
    digits = f"{wall:%H:%M:%S}" if wall.second else f"{wall:%H:%M}"
    return f"{DAYS[wall.weekday()]} {wall:%Y-%m-%d} {digits} {wall.isoformat()[19:]}"


def _is_open(windows: Sequence[Window], now: int) -> bool:
    allowing = [each for each in windows if each.allow]
    if any(each.is_open(now) for each in windows if not each.allow):
        return False
    return not allowing or any(each.is_open(now) for each in allowing)


def _turn(windows: Sequence[Window], now: int, state: bool) -> int | None:
    """The next time at which all of them together are not in that state any more."""
    weekly = all(isinstance(each.when, Hours) for each in windows)
    farthest = now + (_FARTHEST if weekly else _FARTHEST_CRON)
    upcoming = [each.changes(now) for each in windows]
    for _ in range(_MOST):
        moment = min((change for change in upcoming if change is not None), default=farthest + 1)
        if moment > farthest:
            return None
        if _is_open(windows, moment) != state:
            return moment
        upcoming = [
            each.changes(moment) if change is not None and change <= moment else change
            for each, change in zip(windows, upcoming, strict=True)
        ]
    return None


def _wall(moment: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone)


def _offset(zone: tzinfo, moment: int) -> timedelta | None:
    return _wall(moment, zone).utcoffset()


def _shift(zone: tzinfo, early: int, late: int) -> int:
    """The second between the two at which the clock is put forward or back."""
    before = _offset(zone, early)
    while late - early > 1:
        middle = (early + late) // 2
        if _offset(zone, middle) == before:
            early = middle
        else:
            late = middle
    return late


def _minutes(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def _days(text: str) -> frozenset[int]:
    """`Mon-Fri,Sun`; every day where nothing is said; `Fri-Mon` goes over the end of the week."""
    found: set[int] = set()
    for part in text.split(",") if text else ["Mon-Sun"]:
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)
