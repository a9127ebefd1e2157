"""Every kind and verdict by its fixture, and no object whatever that breaks the reading."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ci_gitops
from ci_gitops.core.health import Health, Rule, assess_health, counts, is_ignored, missing, moves, overall, worst
from ci_gitops.core.health.assess import _KINDS, _TIMED
from ci_gitops.core.health.known import KNOWN
from ci_gitops.core.health.records import HealthStatus

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.yaml"))
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['case']}")
    for path in FIXTURES
    for case in yaml.safe_load(path.read_text())
]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("case", CASES)
def test_fixture(case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case["now"]) if "now" in case else None
    assert assess_health(case["object"], now=now) == Health(case["status"], case["message"])


def test_every_kind_has_fixtures_of_more_than_one_verdict() -> None:
    seen: dict[str, set[str]] = {}
    for parameters in CASES:
        case: Any = parameters.values[0]
        kind = (case["object"] or {}).get("kind", "")
        seen.setdefault(kind, set()).add(case["status"])
    for _, kind in (*_KINDS, *_TIMED):
        assert len(seen[kind]) > 1, f"{kind} has fixtures of one verdict only"


@pytest.mark.parametrize("rule", KNOWN, ids=lambda rule: f"{rule.group} {rule.kind}")
def test_every_rule_for_a_known_kind_has_a_fixture(rule: Rule) -> None:
    found = []
    for parameters in CASES:
        case: Any = parameters.values[0]
        verdict = assess_health(case["object"], [Rule(rule.kind, rule.group, degraded="kind", message="found")])
        found.append(verdict.message == "found.")
    assert any(found)


MOVES = [
    ("apps/v1", "Deployment", {}, True),
    ("v1", "Service", {"type": "LoadBalancer"}, True),
    ("v1", "Service", {"type": "ClusterIP"}, False),
    ("networking.k8s.io/v1", "Ingress", {}, True),
    ("networking.k8s.io/v1", "NetworkPolicy", {}, False),
    ("v1", "ConfigMap", {}, False),
    ("example.com/v1", "Box", {}, True),
    ("gateway.networking.k8s.io/v1", "Gateway", {}, True),
]


@pytest.mark.parametrize(("api_version", "kind", "spec", "expected"), MOVES)
def test_what_only_has_to_be_there_does_not_move(
    api_version: str, kind: str, spec: dict[str, Any], expected: bool
) -> None:
    assert moves({"apiVersion": api_version, "kind": kind, "spec": spec}) is expected


def test_a_rule_makes_any_kind_move() -> None:
    assert moves({"apiVersion": "v1", "kind": "ConfigMap"}, [Rule("ConfigMap", degraded='data.state == "broken"')])


def test_what_counts_for_an_app() -> None:
    def annotated(**annotations: str) -> dict[str, Any]:
        return {"metadata": {"annotations": {f"ci-gitops/{name}": value for name, value in annotations.items()}}}

    assert counts({})
    assert not counts(annotated(hook="PreSync"))
    assert not counts(annotated(hook="Skip"))
    assert not counts({"metadata": {"annotations": {"ci-gitops/ignore-healthcheck": "true"}}})


def test_an_app_is_as_its_worst_object_and_names_three_of_them() -> None:
    ill = [(f"Pod {letter}", Health("degraded", f"{letter} hurts.")) for letter in "abcd"]
    whole = overall([("ConfigMap x", Health("healthy", "So.")), *ill, ("Job y", Health("progressing", "Runs."))])
    assert whole.status == "degraded"
    assert whole.message == "Pod a: a hurts. Pod b: b hurts. Pod c: c hurts. And 1 more."
    assert overall([("ConfigMap x", Health("healthy", "So."))]).message == "All is well (1 looked at)."
    assert overall([]).status == "healthy"


def test_what_is_missing_counts_only_when_nothing_is_left() -> None:
    gone = ("Pod a", missing("It is not there"))
    assert overall([gone, ("Pod b", Health("healthy", "So."))]).status == "healthy"
    assert overall([gone]).status == "missing"


def test_an_object_tells_by_annotation_that_it_does_not_count() -> None:
    assert is_ignored({"metadata": {"annotations": {"argocd.argoproj.io/ignore-healthcheck": "true"}}})
    assert is_ignored({"metadata": {"annotations": {"ci-gitops/ignore-healthcheck": "true"}}})
    assert not is_ignored({"metadata": {"annotations": {"ci-gitops/ignore-healthcheck": "false"}}})
    assert not is_ignored({})


def test_the_worst_of_several_counts() -> None:
    order: list[HealthStatus] = ["healthy", "suspended", "progressing", "missing", "degraded", "unknown"]
    healths = [Health(status, f"{status}.") for status in order]
    assert worst(healths[::-1]) == worst(healths) == healths[-1]
    for better, worse in itertools.pairwise(healths):
        assert worse.is_worse(better)
        assert not better.is_worse(worse)
        assert not better.is_worse(better)
    assert worst([Health("degraded", "First."), Health("degraded", "Second.")]).message == "First."
    assert worst([Health("healthy", "Fine.")]).message == "Fine."
    assert worst([]).status == "healthy"
    assert missing("web is not there").status == "missing"


def test_a_message_is_one_line_that_ends() -> None:
    ready = {"type": "Ready", "status": "False", "message": "x\n" * 5000}
    message = assess_health({"apiVersion": "a/v1", "kind": "A", "status": {"conditions": [ready]}}).message
    assert len(message) <= 600
    assert message.endswith("…")
    assert "\n" not in message


def test_it_is_public() -> None:
    assert ci_gitops.assess_health({"apiVersion": "v1", "kind": "ConfigMap"}).status == "healthy"
    assert ci_gitops.Health("healthy", "So.").status == "healthy"


FIELDS = (
    "status", "spec", "metadata", "conditions", "type", "reason", "message", "observedGeneration", "generation",
    "replicas", "updatedReplicas", "availableReplicas", "readyReplicas", "phase", "containerStatuses", "state",
    "initContainerStatuses", "waiting", "terminated", "lastState", "loadBalancer", "ingress", "annotations", "paused",
    "finalizers", "deletionTimestamp", "creationTimestamp", "suspend", "updateStrategy", "rollingUpdate", "partition",
    "lastScheduleTime", "lastSuccessfulTime", "active", "parents", "listeners", "name", "group",
    "autoscaling.alpha.kubernetes.io/conditions",
)  # fmt: skip
WORDS = st.sampled_from(["True", "False", "Ready", "Progressing", "Failed", "Pending", "Running", "[", "9", ""])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | WORDS | st.datetimes()
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=12,
)
PLACES = [*_KINDS, *_TIMED, *((rule.group or "", rule.kind) for rule in KNOWN), ("example.com", "Box")]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    place=st.sampled_from(PLACES),
    parts=st.fixed_dictionaries({}, optional={"metadata": TREES, "spec": TREES, "status": TREES}),
)
def test_no_object_breaks_it(place: tuple[str, str], parts: dict[str, Any]) -> None:
    group, kind = place
    found = {"apiVersion": f"{group.replace('*', 'a')}/v1" if group else "v1", "kind": kind.replace("*", "A"), **parts}
    verdict = assess_health(found, now=NOW)
    assert verdict.message.strip()
    assert "\n" not in verdict.message
    assert assess_health(found, now=NOW) == verdict


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LEAVES | TREES)
def test_nor_does_what_is_no_object(found: Any) -> None:
    assert assess_health(found).status in ("missing", "unknown")


@pytest.mark.parametrize(
    "found",
    [
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 10**5000}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"creationTimestamp": "0001-01-01"}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
         "metadata": {"creationTimestamp": "0001-01-01T00:00:00+23:59"}},
        {"apiVersion": "a/v1", "kind": "B", "status": {"observedGeneration": "9" * 5000}},
    ],
    ids=["many replicas", "an old day", "the first minute", "a generation of many digits"],
)  # fmt: skip
def test_nor_do_numbers_and_times_out_of_all_bounds(found: dict[str, Any]) -> None:
    assert assess_health(found, now=NOW).message
    assert assess_health(found, now=NOW.replace(tzinfo=None)).message


def _mutations(found: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    return [place for key, value in items for place in ((*path, key), *_mutations(value, (*path, key)))]


def _with(found: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(found) if isinstance(found, dict) else list(found)
    copy[path[0]] = _with(found[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("wrong", [None, [], {}, "x", -1, 0.5, True, [None], [{}], {"x": {}}], ids=repr)
def test_nor_does_a_fixture_with_any_field_of_another_type(wrong: Any) -> None:
    for parameters in CASES:
        case: Any = parameters.values[0]
        for path in _mutations(case["object"]):
            assert assess_health(_with(case["object"], path, wrong), now=NOW).message
