"""The language of health rules: what it says of an object, what it refuses, and that it always ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.health import Health, Rule, assess_health, parse_expression

BOX: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Box",
    "metadata": {"name": "a", "generation": 2, "labels": {"example.com/tier": "gold"}},
    "spec": {"replicas": 3, "open": True},
    "status": {
        "phase": "Filling",
        "message": "1 of 3",
        "readyReplicas": 1,
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Filling"},
            {"type": "Old", "status": "True", "observedGeneration": 1},
        ],
        "members": [{"name": "x", "state": "up"}, {"name": "y", "state": "down"}],
    },
}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ('status.phase == "Filling"', True),
        (".status.phase == 'Filling'", True),
        ('status.phase != "Filling"', False),
        ('status.phase in ["Full", "Filling"]', True),
        ("status.phase in []", False),
        ("status.readyReplicas >= spec.replicas", False),
        ("status.readyReplicas < spec.replicas", True),
        ("status.readyReplicas > 0.5 and spec.open == true", True),
        ("status.readyReplicas == true", False),
        ('status.readyReplicas < "2"', False),
        ('status.conditions[Ready].status == "False"', True),
        ('status.conditions[Old].status == "True"', False),
        ("status.conditions[Old] == null", True),
        ('status.members[*].state == "down"', True),
        ('status.members[*].state == "lost"', False),
        ('not status.members[*].state != "up"', False),
        ('status.members[0].state == "up"', True),
        ('status.members[-1].state == "down"', True),
        ("status.members[7].state == null", True),
        ("status.members[-3].state == null", True),
        ('status.members[y].state == "down"', True),
        ('metadata.labels["example.com/tier"] == "gold"', True),
        ("status.absent == null", True),
        ("status.absent == spec.absent", False),
        ("status.absent", False),
        ("spec.open", True),
        ("!spec.open || (spec.open && !false)", True),
        ("true and not (false or null)", True),
        ("spec.open == true or status.phase == 'no' and false", True),
    ],
)
def test_what_holds(expression: str, holds: bool) -> None:
    assert parse_expression(expression).answer(BOX).holds is holds


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "a field, such as status.phase at character 1, not 'the end'"),
        ("status.phase ==", "a field, such as status.phase at character 16, not 'the end'"),
        ('status.phase = "x"', "cannot read '= \"x\"'"),
        ("status.phase == 'x' 'y'", "and, or, a comparison or the end at character 21"),
        ("status..phase", "a field's name at character 8"),
        ("status.conditions[", "a number, a type such as Ready, a quoted key or *"),
        ("(status.phase", "expected ')'"),
        ("__import__('os').system('true')", "and, or, a comparison or the end at character 11"),
        ("status.conditions.filter(e, e.type)", "and, or, a comparison or the end at character 25"),
        ("status.phase in [status]", "only text, numbers, true, false and null in a list"),
        ("not " * 30 + "true", "at most 20 deep"),
        ("(" * 30 + "true" + ")" * 30, "at most 20 deep"),
        ("a" * 3000, "at most 2000 characters"),
    ],
)
def test_what_is_refused(expression: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_expression(expression)
    assert said in str(caught.value)


@given(st.text(max_size=40) | st.lists(st.sampled_from([*"()[]=!<>.*'\"& |,", "a", " in ", "not "])).map("".join))
def test_any_text_is_read_or_refused(expression: str) -> None:
    try:
        parsed = parse_expression(expression)
    except ValueError:
        return
    assert parsed.answer(BOX).holds in (True, False)


def test_a_rule_goes_before_what_is_known() -> None:
    rule = Rule("Deployment", "apps", healthy='metadata.name == "web"', message="{metadata.name} has {spec.replicas}")
    found = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}}
    assert assess_health(found, [rule]) == Health("healthy", "web has 2.")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("Box", healthy='status.phase == "Filling"'), Health("healthy", "It is ready: 1 of 3.")),
        (Rule("Box", healthy='status.phase == "Full"'), Health("progressing", "It is not ready yet: Filling.")),
        (Rule("Box", healthy="true", degraded="true", message="no"), Health("degraded", "no.")),
        (Rule("Box", suspended="spec.open == true"), Health("suspended", "It is suspended: 1 of 3.")),
        (Rule("Box", healthy="kind", message="{status.none}"), Health("healthy", "It is ready.")),
        (Rule("Box", healthy="kind", message="{status.members[*].name}"), Health("healthy", "x, y.")),
        (Rule("Box", degraded="false"), Health("progressing", "It is not ready: Filling.")),
        (Rule("Box", "other.com", degraded="true"), Health("progressing", "It is not ready: Filling.")),
        (Rule("B*", "*.com", degraded="true", message="all"), Health("degraded", "all.")),
    ],
)
def test_verdicts_of_rules(rule: Rule, expected: Health) -> None:
    assert assess_health(BOX, [rule]) == expected


def test_a_rule_waits_until_the_controller_has_seen_the_change() -> None:
    stale = {**BOX, "status": {**BOX["status"], "observedGeneration": 1}}
    rule = Rule("Box", healthy='status.phase == "Filling"')
    assert assess_health(stale, [rule]).message == "The controller has not seen the newest change yet."


def test_a_rule_that_cannot_be_read_makes_the_health_unknown() -> None:
    verdict = assess_health(BOX, [Rule("Box", healthy="status.phase ==")])
    assert verdict.status == "unknown"
    assert verdict.message.startswith("The health rule for Box cannot be read: expected a field")


def test_deep_objects_are_never_equal() -> None:
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"a": deep}
    found = {"kind": "Box", "spec": deep, "status": {**deep}}
    assert not parse_expression("spec == status or spec in ['a'] or spec.a == 1").answer(found).holds


def test_a_wide_object_is_read_in_bounded_time() -> None:
    wide = {"kind": "Box", "status": {"a": [{"b": [{"c": number} for number in range(300)]}] * 300}}
    assert not parse_expression("status.a[*].b[*].c > status.a[*].b[*].d").answer(wide).holds
