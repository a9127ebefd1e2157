"""Plans made from a real API server's answers: empty twice in a row, and each change named at its field."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops.adapters.cluster.kubernetes import FIELD_MANAGER
from ci_gitops.core.autoscaling import autoscaled, leave_replicas
from ci_gitops.core.desired import desired
from ci_gitops.core.differences import Compared, updated
from ci_gitops.core.fieldsets import MISSING, text
from ci_gitops.core.settled import is_settled
from tests.adapters.test_fieldsets_live import DEPLOYMENT, DOCUMENTS, Applier, definition
from tests.rig.cluster import Cluster

__all__ = ["definition"]  # the fixture

QUANTITIES = yaml.safe_load("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: 1000m, memory: 1024Mi}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
""")
ROLE = yaml.safe_load("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: web}, rules: []}")
AUTOSCALER = yaml.safe_load("""
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
""")
ALL = {**DOCUMENTS, "statefulset": QUANTITIES, "role": ROLE, "hpa": AUTOSCALER}


@pytest.fixture
def applier(cluster: Cluster, namespace: str, tmp_path: Path) -> Applier:
    return Applier(cluster, namespace, tmp_path)


def compared(applier: Applier, kind: str, document: dict[str, Any]) -> Compared:
    return updated(applier.live(kind), applier.dry_run(document), FIELD_MANAGER)


def shown(found: Compared) -> list[tuple[str, Any, Any, str | None]]:
    return [(text(each.path), each.old, each.new, each.manager) for each in found.differences]


@pytest.mark.parametrize("kind", ALL)
def test_what_was_applied_plans_nothing_twice_in_a_row(applier: Applier, kind: str) -> None:
    for _ in range(2):
        applier.apply(ALL[kind])
        assert compared(applier, kind, ALL[kind]).operation == "unchanged"


SECRET = yaml.safe_load("""
apiVersion: v1
kind: Secret
metadata: {name: web, creationTimestamp: null}
data: {gone: "", user: YWxpY2U=}
stringData: {password: hunter2}
""")


@pytest.mark.parametrize("document", [QUANTITIES, SECRET], ids=["statefulset", "secret"])
def test_what_is_sent_with_all_its_keys_is_settled_or_unchanged(applier: Applier, document: dict[str, Any]) -> None:
    sent, kind = desired(document), document["kind"].lower()
    applier.apply(sent)
    assert compared(applier, kind, sent).operation == "unchanged"
    assert is_settled(sent, applier.live(kind), FIELD_MANAGER) == (kind == "secret")  # quantities are for the server


def test_a_key_of_a_secret_that_left_git_goes(applier: Applier) -> None:
    applier.apply(desired(SECRET))
    found = compared(applier, "secret", desired({**SECRET, "stringData": {}}))
    assert [text(each.path) for each in found.differences] == ["data.password"]


def test_a_change_is_named_at_its_field(applier: Applier) -> None:
    document = yaml.safe_load(DEPLOYMENT)
    applier.apply(document)
    containers = document["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = "nginx:2"
    containers[0]["env"].reverse()
    del containers[0]["args"], containers[1]
    found = compared(applier, "deployment", document)
    assert found.operation == "update"
    assert shown(found) == [
        ('spec.template.spec.containers[name="side"].image', "side:1", MISSING, None),
        ('spec.template.spec.containers[name="side"].name', "side", MISSING, None),
        ('spec.template.spec.containers[name="web"].args', ["-v"], MISSING, None),
        ('spec.template.spec.containers[name="web"].image', "nginx:1", "nginx:2", None),
        ('spec.template.spec.containers[name="web"].env', ['[name="EMPTY"]', '[name="LEVEL"]'],
         ['[name="LEVEL"]', '[name="EMPTY"]'], None),
    ]  # fmt: skip
    applier.apply(document)
    assert compared(applier, "deployment", document).operation == "unchanged"


def test_drift_is_named_with_who_made_it(applier: Applier) -> None:
    document = DOCUMENTS["configmap"]
    applier.apply(document)
    applier.apply({**document, "data": {"mode": "wild", "theirs": "1"}}, "--force-conflicts", manager="somebody")
    found = compared(applier, "configmap", document)
    assert shown(found) == [("data.mode", "wild", "calm", "somebody")]


def test_an_object_of_somebody_else_is_adopted_once(applier: Applier) -> None:
    document = DOCUMENTS["configmap"]
    applier.apply(document, manager="somebody")
    found = compared(applier, "configmap", document)
    assert (found.operation, found.differences) == ("update", ())
    assert found.reason == "takes ownership of 3 fields of somebody"
    applier.apply(document)
    assert compared(applier, "configmap", document).operation == "unchanged"


@pytest.mark.parametrize("kind", ["configmap", "sprocket", "service", "deployment"])
def test_what_is_settled_is_unchanged_whatever_was_done_to_it(applier: Applier, kind: str) -> None:
    """Wherever no dry run is thought to be needed, one would have said the same."""
    document = DOCUMENTS[kind]
    changed = copy.deepcopy(document)
    changed["metadata"]["labels"] = {"theirs": "1"}
    steps: list[tuple[dict[str, Any], str]] = [
        (document, FIELD_MANAGER), (document, "somebody"), (changed, "somebody"), (changed, FIELD_MANAGER),
        (document, FIELD_MANAGER),
    ]  # fmt: skip
    said = []
    for written, manager in steps:
        applier.apply(written, "--force-conflicts", manager=manager)
        live = applier.live(kind)
        said.append(is_settled(document, live, FIELD_MANAGER))
        if said[-1]:
            assert updated(live, applier.dry_run(document), FIELD_MANAGER).operation == "unchanged"
    assert said[0]
    assert said[-1]
    assert not said[3]


def test_declaring_what_a_default_has_filled_is_not_settled(applier: Applier) -> None:
    document = yaml.safe_load(DEPLOYMENT)
    document["spec"]["strategy"] = {}
    applier.apply(document)
    live = applier.live("deployment")
    document["spec"]["strategy"] = live["spec"]["strategy"]
    assert not is_settled(document, live, FIELD_MANAGER)
    assert updated(live, applier.dry_run(document), FIELD_MANAGER).reason is not None


@pytest.mark.parametrize("declared", [2, None])
def test_an_autoscaler_keeps_its_replicas_and_plans_nothing(
    applier: Applier, cluster: Cluster, declared: int | None
) -> None:
    """Also where replicas leave Git on the day on which the autoscaler comes: left out they would fall back to 1."""
    document = yaml.safe_load(DEPLOYMENT)
    applier.apply(document)
    namespace = applier.live("deployment")["metadata"]["namespace"]
    document["metadata"]["namespace"] = namespace
    document["spec"]["replicas"] = declared
    if declared is None:
        del document["spec"]["replicas"]
    scaled = autoscaled([{**AUTOSCALER, "metadata": {"name": "web", "namespace": namespace}}])
    for replicas in (2, 7):
        sent = leave_replicas(document, applier.live("deployment"), scaled, FIELD_MANAGER)
        applier.apply(dict(sent))
        assert applier.live("deployment")["spec"]["replicas"] == replicas
        again = leave_replicas(document, applier.live("deployment"), scaled, FIELD_MANAGER)
        assert compared(applier, "deployment", dict(again)).operation == "unchanged"
        cluster.kubectl("scale", "deployment", "web", "-n", namespace, "--replicas=7")
    without = leave_replicas(document, applier.live("deployment"), frozenset(), FIELD_MANAGER)
    found = compared(applier, "deployment", dict(without))
    assert [each.new for each in found.differences] == ([2] if declared else [])
