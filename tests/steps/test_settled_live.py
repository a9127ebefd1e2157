"""Whatever was done to an object: where no request is thought to be needed, the server's dry run says the same."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, ApiError
from ci_gitops.adapters.cluster.kubernetes import Kubernetes
from ci_gitops.core.desired import desired
from ci_gitops.core.differences import updated
from ci_gitops.core.settled import is_settled
from tests.conftest import SEED

TEXTS = st.sampled_from(["", "a", "1", "x\ny"])
MAPS = st.dictionaries(st.sampled_from(["a", "b.c/d", "e"]), TEXTS, max_size=3)
ENV = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("ABC"), "value": TEXTS}), max_size=3, unique_by=lambda e: e["name"]
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["web", "side"]), "image": st.sampled_from(["a:1", "a:2"])},
        optional={
            "env": ENV,
            "args": st.lists(TEXTS, max_size=2),
            "ports": st.lists(st.fixed_dictionaries({"containerPort": st.sampled_from([80, 443])}), max_size=2,
                              unique_by=lambda port: port["containerPort"]),
            "resources": st.sampled_from([{}, {"limits": {"cpu": "100m"}}, {"limits": {"cpu": "1000m"}}]),
            "securityContext": st.sampled_from([{}, {"runAsNonRoot": True}]),
        },
    ),
    min_size=1, max_size=2, unique_by=lambda container: container["name"],
)  # fmt: skip


def metadata(labels: dict[str, str] | None, annotations: dict[str, str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "web"}
    if labels is not None:
        found["labels"] = labels
    if annotations is not None:
        found["annotations"] = annotations
    return found


LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from(["", "x"]), max_size=2)
METADATA = st.builds(metadata, st.none() | LABELS, st.none() | MAPS)
DEPLOYMENTS = st.builds(
    lambda head, spec, containers: {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": head,
        "spec": {**spec, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}},
    },
    METADATA,
    st.fixed_dictionaries({}, optional={"replicas": st.sampled_from([0, 1]), "paused": st.booleans(),
                                        "strategy": st.sampled_from([{}, {"type": "Recreate"}])}),
    CONTAINERS,
)  # fmt: skip
CONFIGS = st.builds(
    lambda head, rest: {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, **rest},
    METADATA, st.fixed_dictionaries({}, optional={"data": st.dictionaries(st.sampled_from("abc"), TEXTS, max_size=3)}),
)  # fmt: skip
SERVICES = st.builds(
    lambda head, ports, selector: {"apiVersion": "v1", "kind": "Service", "metadata": head,
                                   "spec": {"clusterIP": "None", "ports": ports, "selector": selector}},
    METADATA,
    st.lists(st.fixed_dictionaries({"name": st.sampled_from("ab"), "port": st.sampled_from([80, 443])},
                                   optional={"targetPort": st.sampled_from([80, "web"])}),
             min_size=1, max_size=2, unique_by=(lambda port: port["name"], lambda port: port["port"])),
    st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2),
)  # fmt: skip
KINDS = {"ConfigMap": CONFIGS, "Service": SERVICES, "Deployment": DEPLOYMENTS}
WRITERS = st.sampled_from([FIELD_MANAGER, "somebody", "patch"])


def written(kubernetes: Kubernetes, document: dict[str, Any], writer: str) -> None:
    """By server-side apply, or as a person does with an editor."""
    if writer != "patch":
        kubernetes.apply(document, force=True, manager=writer)
        return
    resource = kubernetes.resource(document["apiVersion"], document["kind"])
    assert resource
    live = kubernetes.get(resource, document["metadata"]["namespace"], "web")
    if live is not None:
        merged = {**live, "metadata": {**live["metadata"], **document["metadata"]}}
        merged |= {key: value for key, value in document.items() if key not in ("metadata", "spec")}
        merged["spec"] = {**live.get("spec", {}), **document["spec"]} if "spec" in document else {}
        kubernetes.replace({key: value for key, value in merged.items() if value or key != "spec"})


@pytest.mark.parametrize(
    "examples", [pytest.param(12, id="short"), pytest.param(400, id="long", marks=pytest.mark.full)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_settled_is_what_a_dry_run_leaves_alone(
    kubernetes: Kubernetes, namespace: str, kind: str, examples: int
) -> None:
    steps = st.lists(st.tuples(KINDS[kind], WRITERS), min_size=2, max_size=4)

    @seed(SEED)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(steps)
    def agrees(history: list[tuple[dict[str, Any], str]]) -> None:
        resource = kubernetes.resource(history[0][0]["apiVersion"], kind)
        assert resource
        kubernetes.delete(resource, namespace, "web")
        seen = []
        for rendered, writer in history:
            document = desired(copy.deepcopy(rendered))
            document["metadata"]["namespace"] = namespace
            seen.append(document)
            try:
                written(kubernetes, document, writer)
            except ApiError as error:
                if error.status not in (400, 409, 422):  # two of the steps do not fit each other
                    raise
            live = kubernetes.get(resource, namespace, "web")
            for wanted in seen if live else ():
                if is_settled(wanted, live, FIELD_MANAGER):
                    answer = kubernetes.apply(wanted, force=True, dry_run=True)
                    found = updated(live, answer, FIELD_MANAGER)
                    assert found.operation == "unchanged", json.dumps([wanted, found.reason], default=str)

    agrees()
