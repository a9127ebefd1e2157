"""What the controllers of the simulated cluster make of workloads, by a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import ApiError, Document
from ci_gitops.adapters.cluster.simulated import Clock, Simulated
from ci_gitops.core.health import assess_health

VERSIONS = {
    "ConfigMap": "v1", "CronJob": "batch/v1", "DaemonSet": "apps/v1", "Deployment": "apps/v1",
    "EndpointSlice": "discovery.k8s.io/v1", "Event": "v1", "HorizontalPodAutoscaler": "autoscaling/v2",
    "Job": "batch/v1", "Namespace": "v1", "PersistentVolume": "v1", "PersistentVolumeClaim": "v1", "Pod": "v1",
    "PodDisruptionBudget": "policy/v1", "ReplicaSet": "apps/v1", "Secret": "v1", "Service": "v1",
    "StatefulSet": "apps/v1", "StorageClass": "storage.k8s.io/v1",
}  # fmt: skip


class Hand(Clock):
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class World:
    """A simulated cluster and its clock."""

    def __init__(self, path: Path) -> None:
        self.clock = Hand()
        self.cluster = Simulated(path, clock=self.clock)

    def apply(self, kind: str, name: str, **content: Any) -> Document:
        metadata = {**content.pop("metadata", {}), "name": name}
        return self.cluster.apply(
            {"apiVersion": VERSIONS[kind], "kind": kind, **content, "metadata": metadata}, force=True
        )

    def resource(self, kind: str) -> Any:
        return self.cluster.resource(VERSIONS[kind], kind)

    def get(self, kind: str, name: str) -> Any:
        return self.cluster.get(self.resource(kind), "default", name)

    def all(self, kind: str) -> list[Any]:
        return list(self.cluster.list(self.resource(kind), "default").items)

    def names(self, kind: str) -> list[str]:
        return [each["metadata"]["name"] for each in self.all(kind)]

    def delete(self, kind: str, name: str, **options: Any) -> bool:
        return self.cluster.delete(self.resource(kind), "default", name, **options)

    def health(self, kind: str, name: str) -> str:
        health = assess_health(self.get(kind, name))
        return f"{health.status}: {health.message}"

    def warnings(self) -> set[str]:
        return {each["reason"] for each in self.all("Event") if each["type"] == "Warning"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "cluster.json")


def pods(tag: str = "1", *, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": {"app": "web"}}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": f"web:{tag}"}], **spec}}


def selecting(tag: str = "1", **spec: Any) -> dict[str, Any]:
    return {"selector": {"matchLabels": {"app": "web"}}, "template": pods(tag), **spec}


# Rollouts


def test_a_rollout_keeps_to_its_bounds(world: World) -> None:
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    world.apply("Deployment", "web", spec=selecting("1", replicas=3, strategy=strategy))
    world.clock.sleep(5)
    world.apply("Deployment", "web", spec=selecting("2", replicas=3, strategy=strategy))
    most, least = 0, 9
    for _ in range(60):
        status = world.get("Deployment", "web")["status"]
        most, least = max(most, status.get("replicas", 0)), min(least, status.get("availableReplicas", 0))
        world.clock.sleep(0.1)
    assert (most, least) == (4, 3)
    assert world.health("Deployment", "web").startswith("healthy")
    assert len(world.names("ReplicaSet")) == 2


def test_a_broken_rollout_keeps_the_old_pods_and_is_mended_by_the_next(world: World) -> None:
    world.apply("Deployment", "web", spec=selecting("1", replicas=2))
    world.clock.sleep(5)
    world.apply("Deployment", "web", spec=selecting("broken", replicas=2, progressDeadlineSeconds=20))
    world.clock.sleep(25)
    assert "ProgressDeadlineExceeded" in world.health("Deployment", "web")
    assert world.get("Deployment", "web")["status"]["availableReplicas"] == 2
    assert {"Failed", "BackOff"} <= world.warnings()
    world.apply("Deployment", "web", spec=selecting("1", replicas=2))
    world.clock.sleep(5)
    assert world.health("Deployment", "web").startswith("healthy")
    assert len(world.names("Pod")) == 2


def test_recreate_lets_the_old_pods_go_first(world: World) -> None:
    for tag in "12":
        world.apply("Deployment", "web", spec=selecting(tag, replicas=2, strategy={"type": "Recreate"}))
        images: set[frozenset[str]] = set()
        for _ in range(60):
            images.add(frozenset(pod["spec"]["containers"][0]["image"] for pod in world.all("Pod")))
            world.clock.sleep(0.1)
        assert not any(len(each) > 1 for each in images)
    assert world.health("Deployment", "web").startswith("healthy")


def test_a_container_waits_for_what_it_needs(world: World) -> None:
    container = {"name": "web", "image": "web:1", "envFrom": [{"configMapRef": {"name": "late"}}]}
    template = pods() | {"spec": {"containers": [container]}}
    world.apply("Deployment", "web", spec=selecting() | {"template": template})
    world.clock.sleep(5)
    (pod,) = world.all("Pod")
    assert 'configmap "late" not found' in assess_health(pod).message
    world.apply("ConfigMap", "late")
    world.clock.sleep(5)
    assert world.health("Deployment", "web").startswith("healthy")


def test_it_does_not_matter_how_often_somebody_looks(tmp_path: Path) -> None:
    ends = []
    for number, step in enumerate((0.05, 3.0)):
        world = World(tmp_path / f"{number}.json")
        world.apply("Deployment", "web", spec=selecting("1", replicas=3))
        while world.clock.at < 1_800_000_030:
            world.clock.sleep(step)
            status = world.get("Deployment", "web")["status"]
        times = [each["lastTransitionTime"] for each in status["conditions"]]
        ends.append((status["availableReplicas"], times))
    assert ends[0] == ends[1]


# Others that make pods


def test_a_stateful_set_goes_one_by_one_and_keeps_its_disks(world: World) -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
             "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
    spec = selecting("1", replicas=2, serviceName="web", volumeClaimTemplates=[claim])
    world.apply("StatefulSet", "web", spec=spec)
    assert world.names("Pod") == ["web-0"]
    world.clock.sleep(5)
    assert world.health("StatefulSet", "web").startswith("healthy")
    assert world.names("PersistentVolumeClaim") == ["data-web-0", "data-web-1"]
    world.apply("StatefulSet", "web", spec={**spec, "template": pods("2")})
    world.clock.sleep(0.5)
    assert [pod["spec"]["containers"][0]["image"] for pod in world.all("Pod")][:1] == ["web:1"]
    world.clock.sleep(5)
    assert [pod["spec"]["containers"][0]["image"] for pod in world.all("Pod")] == ["web:2", "web:2"]
    assert world.health("StatefulSet", "web").startswith("healthy")
    world.delete("StatefulSet", "web")
    world.clock.sleep(1)
    assert world.names("Pod") == []
    assert world.names("PersistentVolumeClaim") == ["data-web-0", "data-web-1"]


def test_a_daemon_set_runs_once(world: World) -> None:
    for tag in "12":
        world.apply("DaemonSet", "web", spec=selecting(tag))
        world.clock.sleep(5)
        assert world.health("DaemonSet", "web") == "healthy: 1 of 1 pod is available."


JOB_WAYS: dict[str, tuple[dict[str, Any], str, float]] = {
    "complete": ({"template": pods(restartPolicy="Never")}, "healthy: The job is complete", 2),
    "failed": ({"template": pods("crash", restartPolicy="Never"), "backoffLimit": 0}, "degraded: The job failed", 2),
    "tried again": (
        {"template": pods("crash", restartPolicy="OnFailure"), "backoffLimit": 1},
        "degraded: The job failed: BackoffLimitExceeded", 30,
    ),
    "too long": (
        {"template": pods("stall", restartPolicy="Never"), "activeDeadlineSeconds": 5},
        "degraded: The job failed: DeadlineExceeded", 10,
    ),
    "many": (
        {"template": pods(restartPolicy="Never"), "completions": 3, "parallelism": 2, "completionMode": "Indexed"},
        "healthy: The job is complete (3 of 3", 5,
    ),
    "suspended": ({"template": pods(restartPolicy="Never"), "suspend": True}, "suspended: ", 5),
}  # fmt: skip


@pytest.mark.parametrize("way", JOB_WAYS)
def test_jobs_end_as_they_should(world: World, way: str) -> None:
    spec, verdict, seconds = JOB_WAYS[way]
    world.apply("Job", "task", spec=spec)
    world.clock.sleep(seconds)
    assert world.health("Job", "task").startswith(verdict)


def test_a_job_that_is_over_goes_when_its_time_is_up(world: World) -> None:
    world.apply("Job", "task", spec={"template": pods(restartPolicy="Never"), "ttlSecondsAfterFinished": 10})
    world.clock.sleep(5)
    assert world.get("Job", "task") is not None
    world.clock.sleep(10)
    assert world.get("Job", "task") is None
    world.clock.sleep(1)
    assert world.names("Pod") == []


def test_a_schedule_starts_jobs_and_forgets_old_ones(world: World) -> None:
    job = {"spec": {"template": pods(restartPolicy="Never")}}
    world.apply(
        "CronJob", "task", spec={"schedule": "*/10 * * * *", "successfulJobsHistoryLimit": 2, "jobTemplate": job}
    )
    world.clock.sleep(3500)
    assert len(world.names("Job")) == 2
    assert "succeeded" in world.health("CronJob", "task")


# What stands around them


def test_a_service_knows_its_pods(world: World) -> None:
    world.apply("Service", "web", spec={"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]})
    world.apply("Deployment", "web", spec=selecting(replicas=2))
    world.clock.sleep(5)
    (found,) = world.all("EndpointSlice")
    assert [each["conditions"]["ready"] for each in found["endpoints"]] == [True, True]
    assert found["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    assert world.health("Service", "web").startswith("healthy: Reached at 192.0.2.")
    world.delete("Service", "web")
    assert world.all("EndpointSlice") == []


def test_claims_are_bound_or_say_why_not(world: World) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    world.apply("PersistentVolumeClaim", "data", spec=spec)
    world.apply("PersistentVolumeClaim", "lost", spec={**spec, "storageClassName": "absent"})
    world.clock.sleep(1)
    assert world.health("PersistentVolumeClaim", "data").startswith("healthy")
    assert world.get("PersistentVolumeClaim", "lost")["status"]["phase"] == "Pending"
    assert world.warnings() == {"ProvisioningFailed"}
    world.delete("PersistentVolumeClaim", "data")
    assert world.get("PersistentVolumeClaim", "data") is None
    volumes = world.cluster.list(world.resource("PersistentVolume")).items
    assert volumes == ()


def test_an_autoscaler_keeps_its_target_within_bounds(world: World) -> None:
    spec = {key: value for key, value in selecting().items() if key != "replicas"}
    world.apply("Deployment", "web", spec=spec)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    world.apply("HorizontalPodAutoscaler", "web", spec={"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": target})
    world.clock.sleep(5)
    found = world.get("Deployment", "web")
    assert found["spec"]["replicas"] == 2
    assert [entry["subresource"] for entry in found["metadata"]["managedFields"]
            if "f:replicas" in entry["fieldsV1"].get("f:spec", {})] == ["scale"]  # fmt: skip
    assert world.health("HorizontalPodAutoscaler", "web").startswith("healthy")


def test_a_budget_counts(world: World) -> None:
    world.apply("Deployment", "web", spec=selecting(replicas=3))
    selector = {"matchLabels": {"app": "web"}}
    world.apply("PodDisruptionBudget", "web", spec={"minAvailable": "50%", "selector": selector})
    world.clock.sleep(5)
    status = world.get("PodDisruptionBudget", "web")["status"]
    assert (status["currentHealthy"], status["desiredHealthy"], status["disruptionsAllowed"]) == (3, 2, 1)


# What pods say


def test_logs(world: World) -> None:
    told = {"simulated.ci-gitops/log": "one\ntwo\nthree"}
    world.apply("Job", "good", spec={"template": pods(annotations=told, restartPolicy="Never")})
    world.apply("Pod", "bad", **pods("crash"))
    world.apply("Pod", "none", **pods("broken"))
    world.clock.sleep(3)
    (good,) = (name for name in world.names("Pod") if name.startswith("good"))
    assert world.cluster.log("default", good, "web", lines=2) == ("two", "three")
    assert world.cluster.log("default", "bad", "web", previous=True)[-1].endswith("exit code 1")
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: world.cluster.log("default", "none", "web"), "trying and failing to pull image"),
        (lambda: world.cluster.log("default", "bad", "other"), "not valid for pod"),
        (lambda: world.cluster.log("default", "none", "web", previous=True), "previous terminated container"),
    ]
    for call, words in refused:
        with pytest.raises(ApiError, match=words) as caught:
            call()
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("annotations", "after", "verdict"),
    [
        ({"simulated.ci-gitops/ready-after": "30s"}, 20, "progressing"),
        ({"simulated.ci-gitops/ready-after": "30s"}, 40, "healthy"),
        ({"simulated.ci-gitops/behavior": "crash", "simulated.ci-gitops/exit-code": "137"}, 5, "degraded"),
        ({"simulated.ci-gitops/behavior": "pending"}, 5, "progressing"),
    ],
)
def test_annotations_say_how_a_pod_behaves(
    world: World, annotations: dict[str, str], after: float, verdict: str
) -> None:
    world.apply("Deployment", "web", spec=selecting() | {"template": pods(annotations=annotations)})
    world.clock.sleep(after)
    (pod,) = world.all("Pod")
    assert assess_health(pod).status == verdict
    if "137" in annotations.values():
        assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


def test_a_word_that_the_annotation_takes_back(world: World) -> None:
    ready = {"simulated.ci-gitops/behavior": "ready"}
    world.apply("Deployment", "web", spec=selecting() | {"template": pods("broken", annotations=ready)})
    world.clock.sleep(5)
    assert world.health("Deployment", "web").startswith("healthy")


def test_a_container_that_starts_first_holds_up_the_others(world: World) -> None:
    first = [{"name": "first", "image": "first:crash"}]
    world.apply("Pod", "web", **pods(initContainers=first))
    world.clock.sleep(5)
    found = world.get("Pod", "web")
    assert found["status"]["phase"] == "Pending"
    assert found["status"]["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_watches_tell_what_controllers_do(world: World) -> None:
    since = world.cluster.list(world.resource("Pod")).resource_version
    world.apply("Pod", "web", **pods())
    seen = [event.document["status"]["phase"] for event in
            world.cluster.watch(world.resource("Pod"), "default", since=since, name="web", seconds=5)]  # fmt: skip
    assert list(dict.fromkeys(seen)) == ["Pending", "Running"]
    for number in range(600):
        world.apply("ConfigMap", "busy", data={"number": str(number)})
    with pytest.raises(ApiError) as caught:
        list(world.cluster.watch(world.resource("Pod"), since=since, seconds=1))
    assert caught.value.status == 410
