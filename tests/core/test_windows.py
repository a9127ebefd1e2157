"""Windows and freezes: what the clock on the wall shows, also in the nights in which it is put forward or back."""

# ruff: noqa: E501 - tables
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.cron import check_cron, fires_after, last_fire, zone_of
from ci_gitops.core.freezes import Freeze, freeze_reason, frozen
from ci_gitops.core.windows import DAYS, Hours, Window, parse_when, shown, standing

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
ZONES = (BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "America/Santiago", "Africa/Casablanca", "UTC")


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """A time as the clock of a zone shows it."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp())


def allow(text: str, zone: str = BERLIN, seconds: int | None = None) -> Window:
    return Window(True, parse_when(text, seconds), zone)


def deny(text: str, zone: str = BERLIN, seconds: int | None = None) -> Window:
    return Window(False, parse_when(text, seconds), zone)


@pytest.mark.parametrize(
    ("windows", "now", "reason"),
    [
        ([allow("Mon-Fri 09:00-16:00")], "2026-11-20T12:00", "open until Fri 2026-11-20 16:00 +01:00 (Mon-Fri 09:00-16:00 Europe/Berlin)"),
        ([allow("Mon-Fri 09:00-16:00")], "2026-11-20T16:00", "closed now; opens Mon 2026-11-23 09:00 +01:00 (Mon-Fri 09:00-16:00 Europe/Berlin)"),
        ([allow("Mon-Fri 09:00-16:00"), deny("Mon 00:00-24:00")], "2026-11-21T12:00", "closed now; opens Tue 2026-11-24 09:00 +01:00 (Mon-Fri 09:00-16:00 Europe/Berlin)"),
        ([allow("Mon-Fri 09:00-16:00"), deny("12:00-13:00")], "2026-11-20T12:30", "closed by 12:00-13:00 Europe/Berlin; opens Fri 2026-11-20 13:00 +01:00 (Mon-Fri 09:00-16:00 Europe/Berlin)"),
        ([deny("Fri 22:00-02:00")], "2026-11-21T01:59", "closed by Fri 22:00-02:00 Europe/Berlin; opens Sat 2026-11-21 02:00 +01:00"),
        ([deny("Fri 22:00-02:00")], "2026-11-21T02:00", "open until Fri 2026-11-27 22:00 +01:00"),
        ([deny("Fri 22:00-02:00")], "2026-11-20T01:00", "open until Fri 2026-11-20 22:00 +01:00"),
        ([allow("00:00-24:00")], "2026-11-20T01:00", "open (00:00-24:00 Europe/Berlin)"),
        ([allow("09:00-16:00"), deny("00:00-24:00")], "2026-11-20T01:00", "closed by 00:00-24:00 Europe/Berlin; no time is in sight at which it opens"),
        ([allow("Mon 09:00-10:00"), allow("Sat,Sun 08:00-09:00")], "2026-11-20T12:00", "closed now; opens Sat 2026-11-21 08:00 +01:00 (Sat,Sun 08:00-09:00 Europe/Berlin)"),
        ([allow("0 9 * * Mon-Fri", BERLIN, 25200)], "2026-11-20T12:00", "open until Fri 2026-11-20 16:00 +01:00 (0 9 * * Mon-Fri for 7h Europe/Berlin)"),
        ([allow("0 9 * * Mon-Fri", BERLIN, 25200)], "2026-11-20T16:00", "closed now; opens Mon 2026-11-23 09:00 +01:00 (0 9 * * Mon-Fri for 7h Europe/Berlin)"),
        ([deny("0 0 24 12 *", BERLIN, 10 * 86400)], "2027-01-01T12:00", "closed by 0 0 24 12 * for 240h Europe/Berlin; opens Sun 2027-01-03 00:00 +01:00"),
        ([allow("*/30 * * * *", BERLIN, 1800)], "2026-11-20T12:00", "open (*/30 * * * * for 30m Europe/Berlin)"),
        ([allow("Fri-Mon 09:00-10:00")], "2026-11-22T09:30", "open until Sun 2026-11-22 10:00 +01:00 (Fri-Mon 09:00-10:00 Europe/Berlin)"),
    ],
)  # fmt: skip
def test_what_is_said(windows: list[Window], now: str, reason: str) -> None:
    assert standing(windows, at(now, BERLIN)).reason == reason


@pytest.mark.parametrize(
    ("text", "zone", "before", "opens", "closes"),
    [
        # Berlin, 2027-03-28: after 01:59 comes 03:00. What the clock does not show is in no window.
        ("Sun 02:30-04:00", BERLIN, "2027-03-28T00:00", "2027-03-28T03:00+02:00", "2027-03-28T04:00+02:00"),
        ("Sun 02:00-03:00", BERLIN, "2027-03-28T00:00", "2027-04-04T02:00+02:00", "2027-04-04T03:00+02:00"),
        ("Sun 01:00-02:30", BERLIN, "2027-03-28T00:00", "2027-03-28T01:00+01:00", "2027-03-28T03:00+02:00"),
        # Berlin, 2026-10-25: after 02:59 comes 02:00 again. What it shows twice is in the window twice.
        ("Sun 02:15-02:45", BERLIN, "2026-10-25T00:00", "2026-10-25T02:15+02:00", "2026-10-25T02:45+02:00"),
        ("Sun 02:00-03:00", BERLIN, "2026-10-25T00:00", "2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00"),
        ("Sun 01:00-02:00", BERLIN, "2026-10-25T00:00", "2026-10-25T01:00+02:00", "2026-10-25T02:00+02:00"),
        # New York, 2027-03-14 and 2026-11-01.
        ("Sun 02:00-04:00", NEW_YORK, "2027-03-14T00:00", "2027-03-14T03:00-04:00", "2027-03-14T04:00-04:00"),
        ("Sun 01:30-02:00", NEW_YORK, "2026-11-01T00:00", "2026-11-01T01:30-04:00", "2026-11-01T01:00-05:00"),
        # Lord Howe puts its clocks by half an hour: 2026-10-04 at 02:00 to 02:30, 2027-04-04 at 02:00 to 01:30.
        ("Sun 02:00-03:00", LORD_HOWE, "2026-10-04T00:00", "2026-10-04T02:30+11:00", "2026-10-04T03:00+11:00"),
        ("Sun 01:45-03:00", LORD_HOWE, "2027-04-04T00:00", "2027-04-04T01:45+11:00", "2027-04-04T01:30+10:30"),
        # Santiago puts its clocks at midnight: 2026-09-06 begins at 01:00.
        ("Sun 00:00-02:00", "America/Santiago", "2026-09-05T12:00", "2026-09-06T01:00-03:00", "2026-09-06T02:00-03:00"),
    ],
)  # fmt: skip
def test_nights_in_which_the_clock_is_put(text: str, zone: str, before: str, opens: str, closes: str) -> None:
    window = allow(text, zone)
    opening = window.changes(at(before, zone))
    assert opening is not None
    assert opening == int(datetime.fromisoformat(opens).timestamp())
    assert window.changes(opening) == int(datetime.fromisoformat(closes).timestamp())


def test_a_window_that_comes_twice_opens_again() -> None:
    window = allow("Sun 02:15-02:45")
    first_end = at("2026-10-25T02:45", BERLIN)
    again = window.changes(first_end)
    assert again == at("2026-10-25T02:15", BERLIN, fold=1)
    assert window.changes(again) == at("2026-10-25T02:45", BERLIN, fold=1)


@pytest.mark.parametrize(
    ("line", "zone", "after", "fires"),
    [
        ("30 2 * * *", BERLIN, "2027-03-28T00:00", "2027-03-28T03:00+02:00"),
        ("30 2 * * *", BERLIN, "2026-10-25T00:00", "2026-10-25T02:30+02:00"),
        ("30 2 * * *", NEW_YORK, "2027-03-14T00:00", "2027-03-14T03:00-04:00"),
        ("0 9 * * 1", BERLIN, "2026-10-24T12:00", "2026-10-26T09:00+01:00"),
        ("0 23 * * 5", "UTC", "2026-11-20T22:59", "2026-11-20T23:00+00:00"),
    ],
)
def test_cron_lines_fire_as_cron_does(line: str, zone: str, after: str, fires: str) -> None:
    moment = int(datetime.fromisoformat(fires).timestamp())
    assert next(fires_after(line, zone_of(zone), at(after, zone))) == moment
    assert last_fire(line, zone_of(zone), moment) == moment
    assert (last_fire(line, zone_of(zone), moment - 1) or 0) < moment


def test_in_the_hour_that_comes_twice_a_line_fires_once() -> None:
    second = at("2026-10-25T02:10", BERLIN, fold=1)
    assert next(fires_after("30 2 * * *", zone_of(BERLIN), second)) == at("2026-10-26T02:30", BERLIN)
    assert last_fire("30 2 * * *", zone_of(BERLIN), second) == at("2026-10-25T02:30", BERLIN)


@pytest.mark.parametrize("line", ["0 9 * *", "61 * * * *", "* * * * * *", "0 0 31 2 *", "@daily", "a b c d e"])
def test_no_cron_line(line: str) -> None:
    with pytest.raises(ValueError, match="cron line"):
        check_cron(line)


_MINUTE = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
_DAYS = st.lists(st.sampled_from(DAYS), max_size=3).map(",".join)
_HOURS = st.tuples(_DAYS, _MINUTE, _MINUTE).filter(lambda one: one[1] != one[2]).map(
    lambda one: f"{one[0]} {one[1]}-{one[2]}".strip()
)  # fmt: skip
#: Near the nights in which clocks are put, and anywhere else.
_MOMENTS = st.one_of(
    st.sampled_from(
        ["2026-10-25T00:30", "2027-03-28T00:30", "2026-11-01T05:30", "2027-03-14T06:30", "2026-10-03T15:00",
         "2027-04-03T14:40", "2026-09-06T03:30"]
    ).flatmap(lambda text: st.integers(-7200, 7200).map(lambda shift: at(text) + shift)),
    st.integers(at("2026-01-01T00:00"), at("2028-01-01T00:00")),
)  # fmt: skip


def _shows(text: str, zone: str, moment: int) -> bool:
    """What a person with a calendar would say."""
    hours = Hours.parse(text)
    wall = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone))
    minute = wall.hour * 60 + wall.minute
    begun_today = wall.weekday() in hours.days
    begun_yesterday = (wall - timedelta(days=1)).weekday() in hours.days
    if hours.begin < hours.end:
        return begun_today and hours.begin <= minute < hours.end
    return (begun_today and minute >= hours.begin) or (begun_yesterday and minute < hours.end)


@given(_HOURS, st.sampled_from(ZONES), _MOMENTS)
def test_until_the_next_change_it_stays_and_then_it_is_another(text: str, zone: str, moment: int) -> None:
    window = allow(text, zone)
    state = window.is_open(moment)
    assert state is _shows(text, zone, moment)
    change = window.changes(moment)
    assert change is not None
    assert change > moment
    assert window.is_open(change) is not state
    step = max(60, (change - moment) // 20)
    assert all(window.is_open(between) is state for between in range(moment, change, step))
    assert window.is_open(change - 1) is state


@given(
    st.lists(st.tuples(_HOURS, st.sampled_from(ZONES), st.booleans()), min_size=1, max_size=3),
    _MOMENTS,
)
def test_what_is_said_of_the_next_opening_is_true(given_windows: list[tuple[str, str, bool]], moment: int) -> None:
    windows = [Window(way, parse_when(text, None), zone) for text, zone, way in given_windows]
    now = standing(windows, moment)
    allowing = [each for each in windows if each.allow]
    expected = not any(each.is_open(moment) for each in windows if not each.allow) and (
        not allowing or any(each.is_open(moment) for each in allowing)
    )
    assert now.open is expected
    if now.until is not None:
        assert standing(windows, now.until).open is not expected
        assert standing(windows, now.until - 1).open is expected
        zone = next((each for each in windows if shown(now.until, each.zone) in now.reason), None)
        assert zone is not None


@pytest.mark.parametrize(
    ("now", "ok", "reason"),
    [
        ("2026-11-20T22:59", True, "no deploy freeze is on"),
        ("2026-11-20T23:00", False, "deploy freeze (0 23 * * 5 to 0 7 * * 1 Europe/Berlin); it ends Mon 2026-11-23 07:00 +01:00"),
        ("2026-11-23T06:59", False, "deploy freeze (0 23 * * 5 to 0 7 * * 1 Europe/Berlin); it ends Mon 2026-11-23 07:00 +01:00"),
        ("2026-11-23T07:00", True, "no deploy freeze is on"),
    ],
)  # fmt: skip
def test_freezes_as_gitlab_has_them(now: str, ok: bool, reason: str) -> None:
    freezes = [Freeze("0 0 24 12 *", "0 0 27 12 *"), Freeze("0 23 * * 5", "0 7 * * 1", BERLIN)]
    told = freeze_reason(freezes, at(now, BERLIN))
    assert (told[0], told[2]) == (ok, reason)
    assert bool(told[1]) is not ok


def test_a_freeze_that_nobody_understands_is_said() -> None:
    for freeze in (Freeze("often", "0 7 * * 1"), Freeze("0 23 * * 5", "0 7 * * 1", "Middle Earth")):
        with pytest.raises(ValueError, match=r"cron line|time zone"):
            frozen(freeze, at("2026-11-20T23:00"))
