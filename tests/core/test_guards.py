"""Guards: the order of revisions, holds, manual environments, and what failed before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ci_gitops.core.guards import Standing, decide, is_new, left_open, mark, may_recover
from ci_gitops.core.holds import Hold
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Failing, Failure, Origin, Outcome, Record, open_record
from ci_gitops.core.targets import Target
from tests.core.test_records import NOON

SHOP = Target("shop", "production", "apps/shop")
OLD, NEW = "1" * 40, "2" * 40
INVENTORY = Inventory(SHOP, "acme", "shop", revision=NEW)


def record(
    minute: int, rendered: str, outcome: Outcome = "succeeded", failing: Failing | None = None, **more: Any
) -> Record:
    opened = open_record(INVENTORY, (), now=NOON + timedelta(minutes=minute), revision=NEW, rendered=rendered, **more)
    failure = Failure(failing, "Deployment shop/web does not start.") if failing else None
    return replace(opened, outcome=outcome, failure=failure)


def standing(*records: Record, rendered: str = "a", **more: Any) -> Standing:
    return Standing(**{"inventory": INVENTORY, "records": records, "revision": NEW, "rendered": rendered, **more})


def test_what_was_never_deployed_is_new() -> None:
    decision = decide(standing(inventory=Inventory(SHOP, "acme", "shop")))
    assert (decision.action, decision.new, decision.refusal) == ("apply", True, None)


@pytest.mark.parametrize(
    ("drift", "action"),
    [("report", "report"), ("heal", "heal")],
)
def test_what_is_nothing_new_is_looked_at_or_healed(drift: str, action: str) -> None:
    decision = decide(standing(record(0, "a"), drift=drift))
    assert (decision.action, decision.new) == (action, False)


@pytest.mark.parametrize("outcome", ["succeeded", "applied"])
def test_a_success_makes_its_set_nothing_new(outcome: Outcome) -> None:
    assert not is_new([record(0, "a", outcome)], "a")
    assert is_new([record(0, "a", outcome)], "b")


@pytest.mark.parametrize("outcome", ["running", "failed", "superseded"])
def test_until_a_record_has_succeeded_everything_is_new(outcome: Outcome) -> None:
    assert is_new([record(0, "a", outcome)], "a")


# The order of revisions


def test_an_older_revision_is_refused_and_says_what_is_newer() -> None:
    by = record(0, "a", origin=Origin(actor="alice"))
    decision = decide(standing(by, revision=OLD, rendered="b", behind=True))
    assert decision.action == "refuse"
    assert decision.refusal is not None
    assert decision.refusal.message == (
        "shop in production: 111111111111 is older than 222222222222, which was applied last by alice at "
        "2026-11-21T12:00:00.000000Z."
    )


@pytest.mark.parametrize("way", [{"force": True}, {"named": True}, {"behind": False}, {"revision": NEW}])
def test_what_lets_an_older_revision_through(way: dict[str, Any]) -> None:
    asked = {"revision": OLD, "behind": True, **way}
    assert decide(standing(rendered="b", **asked)).action == "apply"


def test_what_cannot_be_decided_is_refused() -> None:
    decision = decide(standing(revision=OLD, behind=None))
    assert decision.action == "refuse"
    assert "cannot be told" in str(decision.refusal)


def test_a_plan_does_not_stand_for_a_revision() -> None:
    assert decide(standing(revision=OLD, behind=True, planned=True)).action == "refuse"


# Holds and manual environments


def test_a_hold_refuses_what_is_new_and_only_says_so_otherwise() -> None:
    hold = Hold("it loses orders", by="alice", at="2026-11-21")
    new = decide(standing(hold=hold))
    assert (new.action, new.refusal is not None) == ("held", True)
    assert "shop in production is held by alice since 2026-11-21: it loses orders." in str(new.refusal)
    old = decide(standing(record(0, "a"), hold=hold, drift="heal"))
    assert (old.action, old.refusal) == ("held", None)
    assert "Nothing is healed" in str(old.note)


@pytest.mark.parametrize("way", [{"named": True}, {"planned": True}])
def test_a_manual_environment_reports_until_a_person_names_what(way: dict[str, Any]) -> None:
    waiting = decide(standing(manual=True))
    assert (waiting.action, waiting.refusal) == ("report", None)
    assert "--revision" in str(waiting.note)
    assert decide(standing(manual=True, **way)).action == "apply"
    assert decide(standing(record(0, "a"), manual=True, drift="heal")).action == "report"


# What failed before


@pytest.mark.parametrize("failing", ["degraded", "hook", "check", "rollback"])
def test_a_failed_set_is_not_tried_again_by_itself(failing: Failing) -> None:
    failed = record(0, "a", "failed", failing)
    decision = decide(standing(failed))
    assert decision.action == "refuse"
    assert "--retry" in str(decision.refusal)
    assert "does not start" in str(decision.refusal)
    assert decide(standing(failed, retry=True)).action == "apply"
    assert decide(standing(failed, rendered="b")).action == "apply"


def test_trouble_from_outside_leaves_no_mark() -> None:
    assert decide(standing(record(0, "a", "failed", "trouble"))).action == "apply"
    assert decide(standing(record(0, "a", "failed", "hook"), record(1, "a", "failed", "trouble"))).action == "apply"
    assert mark([record(0, "a", "superseded")], "a") is None


def test_a_rollback_does_not_wash_a_failure_away_but_another_set_from_git_does() -> None:
    good, bad = record(0, "a"), record(1, "b", "failed", "rollback")
    back = record(2, "a", cause="rollback")
    assert mark([good, bad, back], "b") == bad
    assert mark([good, bad, record(2, "a")], "b") is None


@pytest.mark.parametrize(
    ("failing", "may"), [("degraded", True), ("check", True), ("hook", False), ("rollback", False), ("trouble", False)]
)
def test_which_failures_health_makes_up_for(failing: Failing, may: bool) -> None:
    assert may_recover(record(0, "a", "failed", failing)) is may


def test_open_records_are_those_of_killed_runs() -> None:
    open_one = record(0, "a", "running")
    assert left_open([record(1, "a"), open_one]) == (open_one,)
