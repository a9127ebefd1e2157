"""Which workloads are autoscaled, and what is sent for them."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.autoscaling import Workload, autoscaled, is_autoscaled, leave_replicas

OURS = "ci-gitops"


def scaler(api_version: str, of: str, field: str, /, **target: str) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": of,
        "metadata": {"name": "s", "namespace": "n"},
        "spec": {field: target},
    }


def workload(
    replicas: int | None = 2, *holders: tuple[str, str], kind: str = "Deployment", **about: str
) -> dict[str, Any]:
    entries = [
        {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        for manager, operation in holders
    ]
    metadata = {"name": "web", "namespace": "n", "managedFields": entries, **about}
    spec: dict[str, Any] = {"paused": False}
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


HPA = scaler(
    "autoscaling/v2", "HorizontalPodAutoscaler", "scaleTargetRef", apiVersion="apps/v1", kind="Deployment", name="web"
)
SCALED = autoscaled([HPA])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (HPA, {Workload("apps", "Deployment", "n", "web")}),
        (scaler("autoscaling/v1", "HorizontalPodAutoscaler", "scaleTargetRef", kind="StatefulSet", name="db"),
         {Workload(None, "StatefulSet", "n", "db")}),
        (scaler("keda.sh/v1alpha1", "ScaledObject", "scaleTargetRef", name="web"),
         {Workload(None, "Deployment", "n", "web")}),
        (scaler("autoscaling.k8s.io/v1", "VerticalPodAutoscaler", "targetRef", apiVersion="apps/v1", kind="DaemonSet",
                name="web"), {Workload("apps", "DaemonSet", "n", "web")}),
        (scaler("example.com/v1", "HorizontalPodAutoscaler", "scaleTargetRef", name="web"), set()),
        (scaler("autoscaling/v2", "HorizontalPodAutoscaler", "scaleTargetRef"), set()),
        ({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": "odd"}, set()),
        ({}, set()),
    ],
)  # fmt: skip
def test_targets(document: dict[str, Any], expected: set[Workload]) -> None:
    assert autoscaled([document]) == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (workload(), True),
        (workload(kind="StatefulSet"), False),
        (workload(name="other"), False),
        (workload(namespace="other"), False),
        ({**workload(), "apiVersion": "example.com/v1"}, False),
    ],
)
def test_who_is_autoscaled(document: dict[str, Any], expected: bool) -> None:
    assert is_autoscaled(document, SCALED) is expected
    group_unknown = autoscaled([scaler("keda.sh/v1alpha1", "ScaledObject", "scaleTargetRef", name="web")])
    assert is_autoscaled(workload(), group_unknown)


AUTOSCALER = ("kube-controller-manager", "Update")


@pytest.mark.parametrize(
    ("declared", "live", "sent"),
    [
        pytest.param(2, None, None, id="new"),
        pytest.param(2, workload(5, AUTOSCALER), None, id="held by the autoscaler"),
        pytest.param(2, workload(5, AUTOSCALER, (OURS, "Apply")), None, id="held by both"),
        pytest.param(2, workload(5, (OURS, "Apply")), 5, id="ours"),
        pytest.param(None, workload(5, (OURS, "Apply")), 5, id="ours, and no longer declared"),
        pytest.param(2, workload(5), None, id="nobody's"),
        pytest.param(None, workload(5), None, id="nobody's and not declared"),
        pytest.param(2, workload(None), None, id="not there"),
    ],
)
def test_what_is_sent(declared: int | None, live: dict[str, Any] | None, sent: int | None) -> None:
    manifest = workload(declared)
    given = leave_replicas(manifest, live, SCALED, OURS)
    assert given["spec"] == workload(sent)["spec"]
    assert manifest == workload(declared)


def test_others_are_sent_as_declared() -> None:
    manifest = workload(2, name="other")
    assert leave_replicas(manifest, workload(5, AUTOSCALER, name="other"), SCALED, OURS) is manifest
