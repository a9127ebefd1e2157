"""Records and inventories: read back as they were written, and nonsense told with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.health import Health
from ci_gitops.core.inventory import INVENTORY_SCHEMA, Inventory, Key, Member, parse_inventory
from ci_gitops.core.records import (
    RECORD_SCHEMA,
    Failure,
    HookRun,
    Origin,
    Record,
    killed,
    last_success,
    newest_first,
    open_record,
    overdue,
    parse_record,
    recovered,
)
from ci_gitops.core.shapes import problem
from ci_gitops.core.targets import Target

SHOP = Target("shop", "production", "apps/shop/overlays/production")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
INVENTORY = Inventory(
    SHOP,
    "git.example.com/acme/config",
    "shop",
    (Member(Key("apps", "Deployment", "shop", "web"), "v1", "u-1"), Member(Key("", "Namespace", "", "shop"), "v1")),
    "a" * 40,
    1_795_000_000,
)


def opened(minutes: int = 0, *before: Record, rendered: str = "sha256:1", **more: Any) -> Record:
    now = NOON + timedelta(minutes=minutes)
    return open_record(INVENTORY, before, now=now, revision="a" * 40, rendered=rendered, **more)


FULL = replace(
    opened(),
    outcome="failed",
    finished="2026-11-21T12:01:00.000000Z",
    images=("registry.example.com/shop/web:1",),
    summary={"create": 1},
    plan="sha256:2",
    health=Health("degraded", "It does not start."),
    failure=Failure("hook", "Job shop/migrate failed.", "Job shop/migrate"),
    hooks=(HookRun("PreSync", "batch", "Job", "shop", "migrate", "u-2", "failed"),),
    origin=Origin("Alice", "Bump", "2026-11-21T11:00:00Z", "bob", "https://ci.example.com/1", "!7"),
    sandbox="full",
    attempt=2,
)


@pytest.mark.parametrize("record", [opened(), FULL])
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    import jsonschema  # loaded here, since its grammar costs a second

    assert parse_record(json.dumps(record.document)) == record
    jsonschema.validate(record.document, RECORD_SCHEMA)


def test_an_inventory_is_read_back_as_it_was_written() -> None:
    found = parse_inventory(json.dumps(INVENTORY.document), "shop")
    assert set(found.members) == set(INVENTORY.members)
    assert replace(found, members=INVENTORY.members) == INVENTORY


def test_what_a_later_version_says_more_is_no_mistake() -> None:
    assert parse_record(json.dumps({**FULL.document, "more": [1]})) == FULL


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"outcome": "fine"}, "outcome: expected one of running, succeeded, applied, failed, superseded, found 'fine'"),
        ({"target": {"app": "shop", "environment": 1, "path": "."}}, "target.environment: expected a string, found 1"),
        ({"apiVersion": "ci-gitops/v2"}, "apiVersion: expected 'ci-gitops/v1', found 'ci-gitops/v2'"),
        ({"started": "yesterday"}, "started: 'yesterday' does not look like a time as RFC 3339 in UTC"),
        ({"images": ["a", None]}, "images[1]: expected a string, found None"),
        ({"attempt": True}, "attempt: expected an integer, found True"),
        ({"failure": {"kind": "hook"}}, "failure: message is missing"),
        ({"summary": {"create": "1"}}, "summary.create: expected an integer, found '1'"),
        ({"started": "2026-02-31T12:00:00Z"}, "day is out of range for month"),
    ],
)
def test_nonsense_is_told_with_its_place(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        parse_record(json.dumps({**FULL.document, **change}))
    assert str(raised.value).startswith(wrong)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000, '"text"', "1e999"])
def test_what_is_no_record_is_a_value_error(content: str) -> None:
    for parse in (parse_record, lambda text: parse_inventory(text, "shop")):
        with pytest.raises(ValueError, match=r"."):
            parse(content)


@pytest.mark.parametrize("member", [[], ["", "v1", "ConfigMap", "shop", "a"], ["", "", "ConfigMap", "shop", "a", ""]])
def test_a_member_without_its_fields_is_told(member: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^members\[0\]: expected"):
        parse_inventory(json.dumps({**INVENTORY.document, "members": [member]}), "shop")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "running", "ci-gitops/v1", "Record"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(FULL.document)), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.sampled_from(list(FULL.document)), JSON)
def test_our_reading_of_the_schema_is_that_of_others(field: str, value: Any) -> None:
    import jsonschema  # loaded here, since its grammar costs a second

    for schema, good in ((RECORD_SCHEMA, FULL.document), (INVENTORY_SCHEMA, INVENTORY.document)):
        document = {**good, field: value}
        valid = jsonschema.Draft202012Validator(schema).is_valid(document)
        assert valid is (problem(document, schema) is None)


def test_a_record_starts_after_those_before_it_whatever_the_clock_says() -> None:
    first = opened(10)
    second = opened(0, first)
    assert newest_first([first, second]) == (second, first)
    assert sorted([second.name, first.name]) == [first.name, second.name]
    assert len(second.name) <= 253


def test_attempts_at_the_same_rendered_set_are_counted() -> None:
    first = replace(opened(0), outcome="failed")
    second = replace(opened(1, first), outcome="failed")
    assert (first.attempt, second.attempt) == (1, 2)
    assert opened(2, first, second, rendered="sha256:other").attempt == 1
    assert opened(2, first, replace(second, outcome="succeeded")).attempt == 1


def test_a_killed_run_is_closed_and_leaves_no_mark() -> None:
    closed = killed(opened(), NOON)
    assert (closed.outcome, closed.marks, closed.closed) == ("failed", False, True)
    assert closed.failure is not None
    assert "killed" in closed.failure.message


def test_a_failed_revision_that_is_found_healthy_is_a_success() -> None:
    closed = recovered(FULL, NOON, Health("healthy", "All is well."))
    assert (closed.outcome, closed.marks, closed.failure) == ("succeeded", False, None)
    assert last_success([closed]) == closed


def test_old_records_go_but_never_the_last_success_nor_an_open_one() -> None:
    good, open_one = replace(opened(0), outcome="succeeded"), opened(1)
    failed = [replace(opened(minute), outcome="failed") for minute in range(2, 9)]
    going = overdue([good, open_one, *failed], 3)
    assert set(going) == set(failed[:4])
