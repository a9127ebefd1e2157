"""Values that mean the same in custom resources, and only where somebody else holds them."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.differences import Difference
from ci_gitops.core.equivalence import equivalent, is_custom, is_no_change
from ci_gitops.core.fieldsets import MISSING

CUSTOM = {"apiVersion": "example.com/v1", "kind": "Sprocket"}
SAME = [
    ("1000m", "1"), ("0.1", "100m"), ("3072Mi", "3Gi"), ("8760h", "8760h0m0s"), (3072, "3072"), (1.0, 1),
    ("90s", "1m30s"),
    ({"cpu": "1000m"}, {"cpu": 1}), (["1k"], ["1000"]), ("1e3", "1000"), ("1.5h", "90m"),
]  # fmt: skip
OTHER = [
    ("1", "2"), ("1m", "1"), ("1Mi", "1M"), ("a", "b"), ("1h", "1"), (True, "1"), (True, 1), (None, 0), ("", "0"),
    ({"cpu": "1"}, {"memory": "1"}), (["1"], ["1", "1"]), ("1.2.3", "1.2.30"), ("v1", "v1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same(one: Any, other: Any) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_not_the_same(one: Any, other: Any) -> None:
    assert not equivalent(one, other)


@pytest.mark.parametrize(
    ("version", "custom"),
    [("v1", False), ("apps/v1", False), ("networking.k8s.io/v1", False), ("gateway.networking.k8s.io/v1", True),
     ("example.com/v1", True), ("autoscaling.k8s.io/v1", True)],
)  # fmt: skip
def test_which_kinds_are_custom(version: str, custom: bool) -> None:
    assert is_custom({"apiVersion": version}) is custom


def test_another_spelling_of_whoever_holds_it_is_no_change_and_of_our_own_it_is() -> None:
    path = ("spec", "limit")
    assert is_no_change(CUSTOM, Difference(path, "1", "1000m", "controller"))
    assert not is_no_change(CUSTOM, Difference(path, "1", "1000m"))
    assert not is_no_change({"apiVersion": "v1", "kind": "X"}, Difference(path, "1", "1000m", "controller"))
    assert not is_no_change(CUSTOM, Difference(path, MISSING, "1000m", "controller"))


def test_metrics_of_an_autoscaler_are_a_set() -> None:
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    one, other = {"type": "Resource", "resource": {"name": "cpu"}}, {"type": "Pods"}
    path = ("spec", "metrics")
    assert is_no_change(scaler, Difference(path, [one, other], [other, one]))
    assert not is_no_change(scaler, Difference(path, [one, one], [one, other]))
    assert not is_no_change(scaler, Difference(path, [one], [one, one]))
