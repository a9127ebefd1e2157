"""Plans: masked when they are made, and known again by their hash."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.differences import Compared, created, deleted, skipped, unchanged, unknown, updated
from ci_gitops.core.plan import Identity, Plan, PlanList, make_plan
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.targets import Target
from tests.core.test_differences import OURS, SPECS, ours

TARGET = Target("shop", "staging", "apps/shop/overlays/staging")
KEY = b"k" * 32


def config(name: str = "a", value: str = "b", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "n", **metadata},
        "data": {"mode": value},
    }


def secret(value: str, field: str = "data") -> dict[str, Any]:
    written = base64.b64encode(value.encode()).decode() if field == "data" else value
    fields = [
        {"manager": OURS, "operation": "Apply", "apiVersion": "v1", "fieldsV1": {f"f:{field}": {"f:password": {}}}}
    ]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "n", "managedFields": fields},
        field: {"password": written},
    }


def plan(*compared: Compared, key: bytes | None = KEY, target: Target = TARGET) -> Plan:
    return make_plan(target, compared, key=key)


def test_a_plan_as_a_document() -> None:
    made = plan(
        created(config()),
        updated(ours({"a": 1}), ours({"a": 2}), OURS),
        deleted(config("old"), "left Git"),
        unchanged(config("same")),
        skipped(config("kept"), "Prune=false"),
        unknown(config("odd"), "denied"),
    )
    document = json.loads(json.dumps(made.document))
    assert document["target"] == {"app": "shop", "environment": "staging"}
    assert document["summary"] == {"create": 1, "update": 1, "delete": 1, "unchanged": 1, "skipped": 1, "unknown": 1}
    assert document["changes"][0] == {
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "n", "name": "a"},
        "operation": "create",
        "fields": [{"path": "data.mode", "old": None, "new": "b", "manager": None}],
        "reason": None,
        "drift": False,
    }
    assert document["changes"][1]["fields"] == [{"path": "spec.a", "old": 1, "new": 2, "manager": None}]
    assert [change["reason"] for change in document["changes"][2:]] == ["left Git", None, "Prune=false", "denied"]
    assert document["hash"].startswith("sha256:")
    assert document["notes"] == []


def test_identities_as_people_read_them() -> None:
    assert str(Identity.of(config())) == "ConfigMap n/a"
    assert str(Identity.of({"kind": "Namespace", "metadata": {"name": "n"}})) == "Namespace n"
    assert Identity.of({"kind": "Job", "metadata": {"generateName": "migrate-"}}).name == "migrate-"


SAME = [
    pytest.param([created(config())], [created(config()), unchanged(config("z"))], id="objects that are in sync"),
    pytest.param(
        [created(config())], [skipped(config("z"), "Prune=false"), created(config())], id="what is left alone"
    ),
    pytest.param(
        [created(config("a")), created(config("b"))], [created(config("b")), created(config("a"))], id="order"
    ),
    pytest.param(
        [updated(ours({"a": 1}), ours({"a": 2}), OURS)],
        [updated(ours({"a": 1}, resourceVersion="9", generation=4), {**ours({"a": 2.0}), "status": {}}, OURS)],
        id="resourceVersion, generation, status",
    ),
    pytest.param([deleted(config(), "left Git")], [deleted(config(), "removed")], id="reasons"),
]
OTHER = [
    pytest.param([created(config())], [created(config("z"))], id="another name"),
    pytest.param([created(config())], [created(config(value="c"))], id="another value of a new object"),
    pytest.param([created(config())], [created(config()), deleted(config("z"))], id="one more object"),
    pytest.param([created(config())], [created(config(labels={"a": "b"}))], id="one more label"),
    pytest.param([created(config())], [created({**config(), "apiVersion": "v2"})], id="another version"),
    pytest.param([created(config())], [unknown(config(), "denied")], id="what could not be compared"),
    pytest.param([updated(ours({"a": 1}), ours({"a": 2}), OURS)], [updated(ours({"a": 1}), ours({"a": 3}), OURS)],
                 id="another new value"),
    pytest.param([updated(ours({"a": 1}), ours({"a": 2}), OURS)], [updated(ours({"a": 0}), ours({"a": 2}), OURS)],
                 id="another old value"),
    pytest.param([updated(ours({"a": 1}), ours({"a": 2}), OURS)], [updated(ours({"a": 1}), ours({"a": "2"}), OURS)],
                 id="text instead of a number"),
    pytest.param([updated(ours({"a": 1}), ours({"a": True}), OURS)], [updated(ours({"a": 1}), ours({"a": None}), OURS)],
                 id="null instead of true"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_the_hash_does_not_know(one: list[Compared], other: list[Compared]) -> None:
    assert plan(*one).hash == plan(*other).hash


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_what_the_hash_covers(one: list[Compared], other: list[Compared]) -> None:
    assert plan(*one).hash != plan(*other).hash


def test_the_hash_covers_the_target_and_not_where_its_files_are() -> None:
    change = created(config())
    assert plan(change).hash != plan(change, target=Target("web", "staging", TARGET.path)).hash
    assert plan(change).hash != plan(change, target=Target("shop", "production", TARGET.path)).hash
    assert plan(change).hash == plan(change, target=Target("shop", "staging", "elsewhere")).hash


def test_secrets_are_hidden_and_count() -> None:
    made = plan(updated(secret("old-password"), secret("new-password"), OURS))
    shown = json.dumps(made.document) + repr(made)
    assert "password" in shown
    for value in ("old-password", "new-password"):
        assert value not in shown
        assert base64.b64encode(value.encode()).decode() not in shown
    assert made.changes[0].fields[0].old == "[masked #1]"
    assert made.changes[0].fields[0].new == "[masked #2]"
    assert made.hash != plan(updated(secret("old-password"), secret("other"), OURS)).hash
    assert made.hash != plan(updated(secret("old-password"), secret("new-password"), OURS), key=b"z" * 32).hash
    assert made.notes == ()


def test_without_a_key_secrets_count_by_name_and_the_plan_says_so() -> None:
    made = plan(updated(secret("old-password"), secret("new-password"), OURS), key=None)
    assert made.hash == plan(updated(secret("old-password"), secret("other"), OURS), key=None).hash
    assert made.hash != plan(created(secret("new-password")), key=None).hash
    assert made.notes == ("Values of Secrets are not part of the hash: there is no plan key.",)
    assert plan(created(config()), key=None).notes == ()


def test_placeholders_are_shared_by_the_plans_of_a_run() -> None:
    hidden = Placeholders()
    first, second = (
        make_plan(TARGET, [created(secret("same", field))], placeholders=hidden) for field in ("data", "stringData")
    )
    assert first.changes[0].fields[0].new == second.changes[0].fields[0].new == "[masked #1]"


def test_what_a_server_says_of_a_secret_is_concealed() -> None:
    made = plan(unknown(secret("hunter2!"), "data.password: 'hunter2!' is too short"))
    assert made.changes[0].reason == "data.password: '[masked #1]' is too short"


def test_the_plans_of_an_environment() -> None:
    idle = plan(unchanged(config()), target=Target("idle", "staging", "p"))
    busy = plan(created(config()))
    assert idle.is_empty
    assert not busy.is_empty
    assert not plan(unknown(config(), "denied")).is_empty
    plans = PlanList("staging", "abc", (idle, busy))
    assert plans.hash == PlanList("staging", "def", (busy,)).hash
    assert plans.hash != PlanList("staging", "abc", (idle,)).hash
    document = plans.document
    assert list(document) == ["environment", "revision", "hash", "plans", "source", "against"]
    assert [each["target"]["app"] for each in document["plans"]] == ["idle", "shop"]


@given(SPECS)
def test_the_plan_of_an_object_against_itself_is_empty(spec: dict[str, Any]) -> None:
    assert plan(updated(ours(spec), ours(spec), OURS)).is_empty


@given(SPECS, SPECS, st.integers(1, 9), st.text(max_size=5))
def test_the_hash_follows_what_is_owned_alone(one: Any, other: Any, number: int, word: str) -> None:
    made = plan(updated(ours(one), ours(other), OURS))
    aged = ours(one, resourceVersion=str(number), generation=number)
    answered = {**ours(other, resourceVersion=word), "status": {"phase": word}}
    assert plan(updated(aged, answered, OURS)).hash == made.hash
    assert (made.hash == plan().hash) == made.is_empty
