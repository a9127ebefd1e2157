"""Which version a policy takes: by names, by time, by what an image says of itself, and never an older one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.scanning import (
    Facts,
    LeftOut,
    Policy,
    Ranking,
    choose,
    misfit,
    rank,
    rank_by_time,
    seconds_of,
    to_be_dated,
    variant_of,
    versions_among,
)
from ci_gitops.core.versions import Range, Version

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


def semver(text: str | None = None, **settings: object) -> Policy:
    return Policy("semver", Range.parse(text) if text else None, **settings)  # type: ignore[arg-type]


TAGS = ["latest", "1.1.0", "1.2.0", "1.2.1", "1.3.0-rc.1", "v1.3.0", "1.3", "1", "2.0.0", "20260101", "1.2.0-alpine"]


@pytest.mark.parametrize(
    ("policy", "current", "best", "left"),
    [
        (semver(), "1.2.0", "2.0.0", ""),
        (semver("1.x"), "1.2.0", "v1.3.0", "2.0.0"),
        (semver("~1.2"), "1.2.0", "1.2.1", "2.0.0 v1.3.0 1.3.0-rc.1"),
        (semver("1.x", ignore=("v1.3*",)), "1.2.0", "1.2.1", "2.0.0 v1.3.0 1.3.0-rc.1"),
        (semver(">=1.2.0-0 <1.3.0"), "1.2.1", "1.3.0-rc.1", "2.0.0 v1.3.0"),
        (semver(">=1.2.0-0", allow=("*-alpine",)), "1.1.0", "1.2.0-alpine", ""),
        (semver("<2"), "2.0.0", None, ""),
        (semver("<2"), "3.0.0", None, ""),
        (semver(), "1.1", "1.3", ""),  # tags of two numbers follow tags of two numbers
        (semver(), "1", "20260101", ""),
        (semver("<100"), "1", None, "20260101"),
        (semver("1.x"), "latest", "v1.3.0", "2.0.0"),
        (semver(), "1.3.0-rc.1", "2.0.0", ""),
    ],
)
def test_versions(policy: Policy, current: str, best: str | None, left: str) -> None:
    ranking = rank(policy, current, TAGS)
    assert next(iter(ranking.candidates), None) == best
    assert [each.version for each in ranking.left_out] == left.split()


def test_the_spelling_of_now_is_kept() -> None:
    assert rank(semver(), "v1.0.0", ["1.1.0", "v1.1.0"]).candidates == ("v1.1.0", "1.1.0")
    assert rank(semver(), "1.0.0", ["1.1.0", "v1.1.0"]).candidates == ("1.1.0", "v1.1.0")
    assert rank(semver(), "1.1.0", ["v1.1.0", "1.1.0+b7"]).candidates == ()


def test_it_is_said_why_nothing_could_be_compared() -> None:
    assert "latest is no version" in rank(semver(), "latest", TAGS).note
    assert "no tag is a version of three numbers" in rank(semver(), "1.2.3", ["main", "1.2"]).note
    assert "two numbers" in rank(semver(), "1.27", ["main"]).note
    assert "itself is outside" in rank(semver("<2"), "3.0.0", TAGS).note
    assert "`allow`" in rank(Policy("alphabetical", allow=("main-*",)), "v1", ["main-1"]).note
    assert "no tag fits" in rank(Policy("alphabetical", allow=("x",)), "v1", ["main-1"]).note


@pytest.mark.parametrize(
    ("policy", "current", "best"),
    [
        (Policy("alphabetical"), "2026-01-05", "2026-02-01"),
        (Policy("alphabetical", allow=("2026-01*",)), "2026-01-05", "2026-01-20"),
        (Policy("alphabetical", ignore=("2026-02*",)), "2026-01-05", "2026-01-20"),
        (Policy("alphabetical"), "2026-02-01", None),
        (Policy("alphabetical", ignore=("2026-02*",)), "2026-02-01", None),  # what is ignored now is not gone back from
        (Policy("alphabetical", allow=("2026-*",)), "main", "2026-02-01"),
    ],
)
def test_the_last_by_name(policy: Policy, current: str, best: str | None) -> None:
    ranking = rank(policy, current, ["2026-01-01", "2026-01-20", "2026-02-01", "2026-01-05"])
    assert next(iter(ranking.candidates), None) == best


def test_the_newest_by_time() -> None:
    facts = {
        "a": Facts("d1", NOW - 3 * HOUR), "b": Facts("d2", NOW - HOUR), "c": Facts("d3", NOW - 2 * HOUR),
        "old": Facts("d4", NOW - 9 * HOUR), "undated": Facts("d5"), "now": Facts("d0", NOW - 4 * HOUR),
        "alias": Facts("d0", NOW - 1), "unknown": Facts(None, NOW - 5 * HOUR),
    }  # fmt: skip
    ranking = rank_by_time("now", facts)
    assert ranking.candidates == ("b", "c", "a")
    assert ranking.left_out == (LeftOut("undated", "nothing says when it was made"),)
    assert rank_by_time("b", facts).candidates == ("alias",)
    assert rank_by_time("gone", facts).candidates[0] == "alias"
    assert "gone was made" in rank_by_time("gone", facts).note


def test_of_too_many_the_last_by_name_are_dated() -> None:
    policy = Policy("newest", allow=("main-*",), ignore=("main-99*",))
    tags = [*(f"main-{number}" for number in range(1, 1001)), "main-now", "v1"]
    dated, note = to_be_dated(policy, "main-5", tags, 50)
    assert len(dated) == 50
    assert dated[:2] == ("main-1000", "main-989")
    assert "989 tags fit, and 50 of them" in note
    assert to_be_dated(policy, "main-5", ["main-6", "v1", "main-5"], 50) == (("main-6",), "")


@pytest.mark.parametrize(
    ("policy", "facts", "reason"),
    [
        (Policy(), Facts(), None),
        (Policy(minimum_age=HOUR), Facts(created=NOW - HOUR), None),
        (Policy(minimum_age=HOUR), Facts(created=NOW - HOUR + 1), "too young: 59m59s of 1h"),
        (Policy(minimum_age=HOUR), Facts(created=NOW + 60), "too young: 0s of 1h"),
        (Policy(minimum_age=HOUR), Facts(), "nothing says when it was made"),
        (Policy(platforms=("linux/arm64",)), Facts(platforms=("linux/amd64", "linux/arm64/v8")), None),
        (Policy(platforms=("linux/arm",)), Facts(platforms=("linux/arm64",)), "not for linux/arm "),
        (Policy(platforms=("linux/amd64",)), Facts(), "no platform"),
    ],
)
def test_what_is_wrong_with_one(policy: Policy, facts: Facts, reason: str | None) -> None:
    found = misfit(policy, facts, NOW)
    assert (reason or "") in (found or "")
    assert (found is None) == (reason is None)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("2026-11-21T10:00:00Z", True), ("2026-11-21T10:00:00.123456789Z", True), ("2026-11-21T10:00:00+02:00", True),
        ("1970-01-01T00:00:00Z", False), ("0001-01-01T00:00:00Z", False), ("1980-01-01T00:00:01Z", False),
        ("yesterday", False), ("", False), ("9" * 400, False), (None, False),
    ],
)  # fmt: skip
def test_times(text: str | None, known: bool) -> None:
    assert (seconds_of(text) is not None) == known


def test_the_walk_goes_down_until_one_fits() -> None:
    young, old = Facts("d", NOW - 60, ("linux/amd64",)), Facts("e", NOW - 9 * HOUR, ("linux/amd64",))
    there = {"5": young, "3": Facts("f", NOW - 9 * HOUR, ("linux/arm64",)), "2": old, "1": old}
    asked: list[str] = []

    def look(tag: str) -> Facts | None:
        asked.append(tag)
        return there.get(tag)

    policy = Policy(minimum_age=HOUR, platforms=("linux/amd64",))
    ranking = Ranking(("5", "4", "3", "2", "1"), (LeftOut("6", "ignored"),))
    choice = choose(policy, ranking, look, lambda tag, facts: None, NOW, 20)
    assert (choice.version, choice.facts) == ("2", old)
    assert asked == ["5", "4", "3", "2"]
    assert [each.version for each in choice.left_out] == ["6", "5", "4", "3"]
    assert [each.reason[:9] for each in choice.left_out] == ["ignored", "too young", "it is gon", "not for l"]
    barred = choose(policy, ranking, look, lambda tag, facts: "held" if tag == "2" else None, NOW, 20)
    assert barred.version == "1"
    few = choose(policy, ranking, look, lambda tag, facts: None, NOW, 2)
    assert few.version is None
    assert "the best 2 of 5" in few.note


VERSIONS = st.builds("{}.{}.{}{}".format, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3),
                     st.sampled_from(["", "", "-rc.1", "+b"]))  # fmt: skip


@given(st.lists(VERSIONS, max_size=20), VERSIONS, st.sampled_from(["*", "1.x", ">=1.0.0-0", "^2", "<1 || 3"]))
def test_never_older_and_always_the_newest_that_fits(tags: list[str], current: str, text: str) -> None:
    allowed, now = Range.parse(text), Version.read(current)
    assert now
    read = {tag: found for tag in tags if (found := Version.read(tag))}
    fitting = [each.key for each in read.values() if each.key > now.key and allowed.holds(each)]
    best = next(iter(rank(semver(text), current, tags).candidates), None)
    assert (read[best].key if best else None) == max(fitting, default=None)


@given(st.lists(st.text("ab1-", min_size=1, max_size=4), max_size=20), st.text("ab1-", min_size=1, max_size=4))
def test_never_back_by_name(tags: list[str], current: str) -> None:
    assert all(tag > current for tag in rank(Policy("alphabetical"), current, tags).candidates)


def test_signatures_are_no_versions() -> None:
    digest = "sha256-" + "0a" * 32
    tags = [digest, f"{digest}.sig", f"{digest}.att", "sha256-abc", "1.0", "sha-4f1a"]
    assert versions_among(tags) == ["sha256-abc", "1.0", "sha-4f1a"]


@pytest.mark.parametrize(
    ("tag", "variant"),
    [
        ("1.27-alpine3.20", "alpine3.20"), ("1.27-Alpine", "Alpine"), ("17-bookworm-slim", "bookworm-slim"),
        ("1.2.3-rc1", None), ("1.2.3-RC.1", None), ("1.2.3-alpha.1", None), ("1.2.3-0", None), ("2026-01-05", None),
        ("1.2.3", None), ("latest-alpine", None),
    ],
)  # fmt: skip
def test_variants_are_no_prereleases(tag: str, variant: str | None) -> None:
    assert variant_of(tag) == variant
