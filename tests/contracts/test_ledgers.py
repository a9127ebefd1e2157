"""What every place of records promises, tried on each of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ci_gitops import masking
from ci_gitops.adapters.records import Ledger
from ci_gitops.core.health import Health
from ci_gitops.core.inventory import Key, Member
from ci_gitops.core.records import Failure, HookRun, Origin, Outcome, Record, open_record
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, ClusterError, TemporaryError
from tests.contracts import ledger_rigs
from tests.contracts.ledger_rigs import LedgerRig

SHOP, CART = (Target(app, "production", f"apps/{app}") for app in ("shop", "cart"))
WEB = Member(Key("apps", "Deployment", "shop", "web"), "v1", "uid-1")
ROLE = Member(Key("rbac.authorization.k8s.io", "ClusterRole", "", "reader"), "v1", "uid-2")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REVISION = "a" * 40


@pytest.fixture(params=ledger_rigs.NAMES)
def rig(request: pytest.FixtureRequest) -> Iterator[LedgerRig]:
    made = ledger_rigs.make(request.param, request)
    yield made
    made.close()


def opened(ledger: Ledger, target: Target = SHOP, minute: int = 0, **more: Any) -> Record:
    now = NOON + timedelta(minutes=minute)
    return open_record(ledger.inventory(target), (), now=now, revision=REVISION, rendered="sha256:1", **more)


def closed(record: Record, outcome: Outcome = "succeeded") -> Record:
    return replace(record, outcome=outcome, finished=record.started)


def deployed(ledger: Ledger, target: Target = SHOP) -> Record:
    record = ledger.write(opened(ledger, target))
    ledger.keep(replace(ledger.inventory(target), members=(WEB,), revision=REVISION, time=1_795_000_000))
    return ledger.write(closed(record))


def test_nothing_was_ever_deployed(rig: LedgerRig) -> None:
    ledger = rig.open()
    inventory = ledger.inventory(SHOP)
    assert (inventory.members, inventory.revision, inventory.resource_version) == ((), "", "")
    assert (ledger.inventories(), ledger.records(), ledger.records(SHOP)) == ((), (), ())


def test_an_inventory_is_there_for_the_next_run(rig: LedgerRig) -> None:
    first = rig.open()
    kept = first.keep(replace(first.inventory(SHOP), members=(WEB, ROLE), revision=REVISION, time=7))
    found = rig.open().inventory(SHOP)
    assert found == replace(kept, members=found.members)
    assert set(found.members) == {WEB, ROLE}
    assert (found.resource_version, bool(kept.resource_version)) == (kept.resource_version, True)
    (listed,) = rig.open().inventories()
    assert listed == found


def test_a_target_that_moved_keeps_its_inventory(rig: LedgerRig) -> None:
    deployed(rig.open())
    moved = Target("shop", "production", "elsewhere/shop")
    assert rig.open().inventory(moved).target == moved
    assert rig.open().inventory(moved).members == (WEB,)


def test_of_two_that_write_an_inventory_one_gives_way(rig: LedgerRig) -> None:
    one, two = rig.open(), rig.open()
    mine, theirs = one.inventory(SHOP), two.inventory(SHOP)
    written = two.keep(replace(theirs, revision="b" * 40))
    with pytest.raises(TemporaryError, match="Another run has written the inventory of shop in production"):
        one.keep(replace(mine, revision=REVISION))
    assert two.keep(replace(written, revision="c" * 40)).revision == "c" * 40
    with pytest.raises(TemporaryError, match="Another run"):
        one.keep(replace(written, revision=REVISION))
    assert one.inventory(SHOP).revision == "c" * 40


def test_a_record_is_opened_changed_and_closed(rig: LedgerRig) -> None:
    ledger = rig.open()
    record = ledger.write(opened(ledger))
    assert [each.outcome for each in rig.open().records()] == ["running"]
    hook = HookRun("PreSync", "batch", "Job", "shop", "migrate", "uid-3", "failed")
    ledger.write(replace(record, hooks=(hook,)))
    done = replace(
        closed(record, "failed"), hooks=(hook,), images=("registry.example.com/web:1",), summary={"create": 2},
        health=Health("degraded", "It does not start."), failure=Failure("hook", "It failed.", str(hook.name)),
        origin=Origin("Alice", "Bump", None, "bob"), plan="sha256:2", sandbox="full",
    )  # fmt: skip
    ledger.write(done)
    assert rig.open().records() == (done,)
    assert rig.told == []


def test_a_record_that_was_read_can_be_closed_by_another_run(rig: LedgerRig) -> None:
    ledger = rig.open()
    ledger.write(opened(ledger))
    other = rig.open()
    (left,) = other.records(SHOP)
    other.write(closed(left, "failed"))
    assert [each.outcome for each in ledger.records()] == ["failed"]


def test_records_come_newest_first_and_by_target(rig: LedgerRig) -> None:
    ledger = rig.open()
    for minute, target in enumerate((SHOP, CART, SHOP)):
        ledger.write(closed(opened(ledger, target, minute)))
    found = rig.open()
    assert [each.target.app for each in found.records()] == ["shop", "cart", "shop"]
    assert [each.started for each in found.records(SHOP)] == sorted(
        (each.started for each in found.records(SHOP)), reverse=True
    )
    assert [each.target.app for each in found.records(CART)] == ["cart"]


def test_the_oldest_records_go_and_the_last_success_stays(rig: LedgerRig) -> None:
    ledger = rig.open()
    good = ledger.write(closed(opened(ledger)))
    ledger.write(closed(opened(ledger, CART, 0)))
    moved = replace(SHOP, path="elsewhere/shop")
    for minute in range(1, 24):
        ledger.write(closed(opened(ledger, moved if minute > 9 else SHOP, minute), "failed"))
    found = rig.open().records(SHOP)
    assert len(found) == 21
    assert found[-1] == good
    assert len(rig.open().records(CART)) == 1


def test_environments_and_sources_do_not_see_each_other(rig: LedgerRig) -> None:
    deployed(rig.open())
    for other in (rig.open(environment="staging"), rig.open(source="https://git.example.com/another.git")):
        assert (other.inventories(), other.records()) == ((), ())


@pytest.mark.parametrize(
    "junk", ["", "{", "[]", '{"kind": "Inventory"}', "[" * 5000], ids=["nothing", "half", "list", "shape", "deep"]
)
def test_an_inventory_that_cannot_be_read_is_never_taken_for_empty(rig: LedgerRig, junk: str) -> None:
    deployed(rig.open())
    deployed(rig.open(), CART)
    rig.break_inventory(rig.open().inventory(SHOP), junk)
    ledger = rig.open()
    with pytest.raises(ClusterError, match="is no inventory"):
        ledger.inventory(SHOP)
    found = {each.target.app: each for each in ledger.inventories()}
    assert (found["cart"].members, found["cart"].problem) == ((WEB,), "")
    assert found["shop"].members == ()
    assert "is no inventory" in found["shop"].problem
    assert len(rig.told) == 1
    with pytest.raises(CiGitopsError):
        ledger.keep(found["shop"])


def test_an_inventory_of_somebody_else_under_our_name_is_told(rig: LedgerRig) -> None:
    deployed(rig.open())
    inventory = rig.open().inventory(SHOP)
    rig.break_inventory(inventory, json.dumps({**inventory.document, "source": "another"}))
    with pytest.raises(ClusterError, match="is no inventory"):
        rig.open().inventory(SHOP)


@pytest.mark.parametrize("junk", ["", "null", '{"apiVersion": "ci-gitops/v9"}'])
def test_a_record_that_cannot_be_read_is_told_once_and_left_out(rig: LedgerRig, junk: str) -> None:
    good = deployed(rig.open())
    bad = rig.open().write(closed(opened(rig.open(), minute=1)))
    rig.break_record(bad, junk)
    ledger = rig.open()
    assert ledger.records() == ledger.records(SHOP) == (good,)
    (told,) = rig.told
    assert bad.name in told
    assert "is no record and is left out" in told


def test_what_is_dropped_is_gone_with_its_records(rig: LedgerRig) -> None:
    deployed(rig.open())
    deployed(rig.open(), CART)
    ledger = rig.open()
    with ledger.writing(SHOP):
        ledger.drop(ledger.inventory(SHOP))
    again = rig.open()
    assert [each.target.app for each in again.inventories()] == ["cart"]
    assert [each.target.app for each in again.records()] == ["cart"]
    deployed(rig.open())
    assert len(rig.open().records(SHOP)) == 1


def test_a_second_writer_waits_and_is_told_who_is_the_first(rig: LedgerRig) -> None:
    first, second = rig.open(said="the first run"), rig.open(said="the second run")
    with first.writing(SHOP) as writer:
        writer.check()
        with pytest.raises(TemporaryError, match="the first run"), second.writing(SHOP):
            pytest.fail("two wrote at once")
        with pytest.raises(TemporaryError), rig.open(seconds=60).writing(SHOP, patient=False):
            pytest.fail("two wrote at once")
        with second.writing(CART) as other:
            other.check()
    with second.writing(SHOP) as writer:
        writer.check()


def test_the_right_to_write_is_given_back_whatever_happens(rig: LedgerRig) -> None:
    with pytest.raises(KeyError), rig.open(said="one").writing(SHOP):
        raise KeyError
    with rig.open(said="two").writing(SHOP) as writer:
        writer.check()


def test_secrets_are_not_kept_in_records(rig: LedgerRig) -> None:
    masking.register("correct-horse-battery")
    ledger = rig.open()
    failure = Failure("trouble", "The webhook said: bad token correct-horse-battery\x1b[31m")
    ledger.write(replace(closed(opened(ledger), "failed"), failure=failure))
    (found,) = rig.open().records()
    assert found.failure == Failure("trouble", "The webhook said: bad token [masked]")


def test_many_targets_at_once(rig: LedgerRig) -> None:
    ledger = rig.open()
    targets = [Target(f"app-{number}", "production", ".") for number in range(6)]

    def deploy(target: Target) -> None:
        with ledger.writing(target) as writer:
            writer.check()
            deployed(ledger, target)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(deploy, targets))
    assert {each.target for each in rig.open().inventories()} == set(targets)
    assert {each.outcome for each in rig.open().records()} == {"succeeded"}


def test_the_key_of_plans_stays_the_same(rig: LedgerRig) -> None:
    assert rig.open().plan_key() is None
    made = rig.open().plan_key(make=True)
    assert rig.open().plan_key() == rig.open().plan_key(make=True) == made
