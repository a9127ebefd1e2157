"""Which way back is found among the records of one target."""

from __future__ import annotations

from ci_gitops.core.holds import Hold
from ci_gitops.core.images import ImageRef
from ci_gitops.core.rollbacks import last_brought, running, way_back, way_to
from tests.core.test_running import WEB, record


def held(version: int) -> Hold:
    return Hold("bad", "shop", ImageRef.parse(f"{WEB}:{version}"), "alice", "2026-11-21T12:00:00Z")


def test_back_to_the_last_that_went_well_and_was_another() -> None:
    now = record(9)
    way = way_back([record(1), record(3), record(5, "failed"), record(7, rendered=now.rendered), now], [])
    assert way
    assert (way.good.images, way.bad.images) == ((f"{WEB}:3",), (f"{WEB}:9",))
    assert way.moved == {WEB: (f"{WEB}:3", f"{WEB}:9")}
    assert way.leads


def test_what_is_held_is_no_way_back() -> None:
    way = way_back([record(1), record(3), record(9)], [held(3)])
    assert way
    assert way.good.images == (f"{WEB}:1",)
    assert way_back([record(3), record(9)], [held(3)]) is None


def test_after_an_automatic_rollback_git_follows_it() -> None:
    back = record(9, cause="rollback")
    way = way_back([record(1), record(5, "failed"), back], [])
    assert way
    assert (way.good, way.bad.images) == (back, (f"{WEB}:5",))


def test_to_a_record_or_the_beginning_of_a_revision() -> None:
    records = [record(1), record(3), record(9)]
    for name in (records[0].name, "01" * 20, "0101010"):
        way = way_to(records, name)
        assert way
        assert way.good == records[0]
    assert way_to(records, "01") is None  # too short to name it


def test_what_was_deleted_or_gave_way_does_not_run() -> None:
    assert running([record(1), record(3, "superseded")]) == record(1)
    assert running([record(1), record(3, cause="delete")]) is None
    assert last_brought([]) == frozenset()
