"""Waiting for health: when it ends, with what verdict, and what is told meanwhile."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import ApiError, Event
from ci_gitops.core.health import assess_health
from ci_gitops.core.inventory import Key
from ci_gitops.core.waiting import Graces
from ci_gitops.errors import ClusterError, TemporaryError
from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.steps.waiting import Clock, Wait, await_hook, wait_healthy
from tests.fakes.scripted_cluster import ScriptedCluster

LISTED = "list Deployment shop"
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()


class Time:
    """Each look at it is a step on."""

    def __init__(self, step: float = 0.5) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now

    def clock(self) -> Clock:
        return Clock(self.monotonic, lambda: datetime.fromtimestamp(START + self.now, UTC), tick=0.002)


def waits(time: Time | None = None, **changes: Any) -> Wait:
    clock = (time or Time(0.01)).clock()
    return replace(Wait(name="shop in production", deadline=600.0, clock=clock), **changes)


def run_of(text: io.StringIO | None = None) -> Run:
    return Run(output=Output(err=text or io.StringIO()))


def made(kind: str, name: str = "web", **parts: Any) -> dict[str, Any]:
    groups = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1", "CronJob": "batch/v1",
              "Box": "example.com/v1", "HorizontalPodAutoscaler": "autoscaling/v2"}  # fmt: skip
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
    metadata |= parts.pop("metadata", {})
    return {"apiVersion": groups.get(kind, "v1"), "kind": kind, "metadata": metadata, **parts}


PROBED = {"containers": [{"name": "web", "readinessProbe": {"httpGet": {"port": 80}}}]}


def deployment(ready: int, *, seen: int = 1, probed: bool = True, **status: Any) -> dict[str, Any]:
    template = {"spec": PROBED if probed else {"containers": [{"name": "web"}]}}
    counted = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": ready}
    return made("Deployment", spec={"replicas": 1, "template": template},
                status={"observedGeneration": seen, **counted, **status})  # fmt: skip


def job(**conditions: str) -> dict[str, Any]:
    return made("Job", "migrate", spec={"ttlSecondsAfterFinished": 1}, status={
        "conditions": [{"type": kind, "status": status} for kind, status in conditions.items()]})  # fmt: skip


def pod(reason: str = "", restarts: int = 0, owner: str = "uid-web-1") -> dict[str, Any]:
    waiting = {"waiting": {"reason": reason, "message": "it says so"}} if reason else {"running": {}}
    return made("Pod", "web-1-a", metadata={"ownerReferences": [{"uid": owner}]}, spec={"restartPolicy": "Always"},
                status={"phase": "Pending", "containerStatuses": [
                    {"name": "web", "ready": False, "restartCount": restarts, "state": waiting}]})  # fmt: skip


def replica_set() -> dict[str, Any]:
    return made("ReplicaSet", "web-1", metadata={"ownerReferences": [{"uid": "uid-web"}]}, spec={"replicas": 1},
                status={"replicas": 1, "observedGeneration": 1})  # fmt: skip


def modified(*documents: dict[str, Any]) -> list[Event]:
    return [Event("MODIFIED", document) for document in documents]


def deleted(document: dict[str, Any]) -> list[Event]:
    return [Event("DELETED", document)]


def of_deployments(cluster: ScriptedCluster) -> list[str]:
    return [each for each in cluster.asked if " Deployment" in each]


def test_what_only_has_to_be_there_is_not_asked_for() -> None:
    cluster = ScriptedCluster({})
    documents = [made("ConfigMap"), made("Service", spec={"type": "ClusterIP"})]
    verdict = wait_healthy(run_of(), cluster.as_cluster(), documents, waits())
    assert (verdict.end, verdict.status, cluster.asked) == ("settled", "healthy", [])


def test_what_was_not_written_and_is_healthy_is_not_asked_for_either() -> None:
    cluster = ScriptedCluster({})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(1)], waits(changed=()))
    assert (verdict.end, cluster.asked) == ("settled", [])


def test_a_rollout_is_watched_until_it_is_healthy() -> None:
    cluster = ScriptedCluster(
        {"Deployment": [[deployment(0)]]}, {"Deployment": [modified(deployment(0)), modified(deployment(1))]}
    )
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(1, seen=0)], waits())
    assert (verdict.end, verdict.status, verdict.ok) == ("settled", "healthy", True)
    assert verdict.healths[Key.of(deployment(1))].message == "1 of 1 replica is available."
    assert of_deployments(cluster)[:3] == [LISTED, "watch Deployment since 1", "watch Deployment since 1"]


def test_without_a_readiness_probe_health_must_last() -> None:
    """A process that ends at once is ready for a moment."""
    flapping = [modified(deployment(1, probed=False), deployment(0, probed=False))]
    cluster = ScriptedCluster({"Deployment": [[deployment(0, probed=False)]]}, {"Deployment": flapping})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0, probed=False)], waits(Time(0.5), deadline=90))
    assert (verdict.end, verdict.status) == ("deadline", "progressing")


def test_a_custom_resource_that_nobody_has_seen_yet_gets_a_moment() -> None:
    ready = made("Box", status={"conditions": [{"type": "Ready", "status": "False", "message": "No lid"}]})
    cluster = ScriptedCluster({"Box": [[made("Box")]]}, {"Box": [modified(ready)]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [made("Box")], waits(Time(0.2), deadline=30.0))
    assert (verdict.end, verdict.blocking[0].health.message) == ("deadline", "It is not ready: No lid.")


def test_a_rollout_past_its_own_deadline_ends_the_wait() -> None:
    late = deployment(0, conditions=[{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}])
    cluster = ScriptedCluster({"Deployment": [[late]]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits())
    assert (verdict.end, verdict.status, verdict.ok) == ("failed", "degraded", False)
    assert "ProgressDeadlineExceeded" in verdict.blocking[0].sentence


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        (pod("ImagePullBackOff"), 20.0),
        (pod("InvalidImageName"), 20.0),
        (pod("CreateContainerConfigError"), 60.0),
        (pod("CrashLoopBackOff", restarts=3), 0.0),
        (pod("CrashLoopBackOff", restarts=2), 600.0),
        (pod("ContainerCreating"), 600.0),
    ],
    ids=lambda value: value["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] if value is dict else "",
)
def test_pods_that_will_not_start_end_the_wait(found: dict[str, Any], ends: float) -> None:
    cluster = ScriptedCluster({"Deployment": [[deployment(0)]], "ReplicaSet": [[replica_set()]], "Pod": [[found]]})
    time = Time(0.5)
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits(time))
    assert verdict.end == ("deadline" if ends == 600.0 else "failed")
    assert ends <= time.now <= ends + 30.0
    [blocking] = verdict.blocking
    assert [str(link.key) for link in blocking.trail] == ["ReplicaSet shop/web-1", "Pod shop/web-1-a"]
    if ends < 600.0:
        assert "it says so" in blocking.sentence


def test_pods_of_an_older_revision_are_on_their_way_out() -> None:
    old = {**replica_set(), "metadata": {**replica_set()["metadata"], "name": "web-0", "uid": "uid-web-0"}}
    stuck = pod("ImagePullBackOff", owner="uid-web-0")
    newest = replica_set()
    newest["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    cluster = ScriptedCluster({"Deployment": [[deployment(0)]], "ReplicaSet": [[old, newest]], "Pod": [[stuck]]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits(Time(0.5), deadline=120.0))
    assert verdict.end == "deadline"


def test_restarts_of_long_ago_do_not_end_the_wait() -> None:
    """An old pod of a StatefulSet that is not ready for a moment while the update reaches it."""
    found = pod(restarts=40)
    found["status"]["phase"] = "Running"
    found["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 1}}
    assert assess_health(found).status == "degraded"
    cluster = ScriptedCluster({"Deployment": [[deployment(0)]], "ReplicaSet": [[replica_set()]], "Pod": [[found]]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits(Time(0.5), deadline=90.0))
    assert verdict.end == "deadline"


def test_a_verdict_on_the_revision_before_is_none_on_this_one() -> None:
    late = deployment(0, conditions=[{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}])
    cluster = ScriptedCluster({"Deployment": [[late]]}, {"Deployment": [modified(deployment(1))]})
    assert wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits()).ok


def test_pods_that_may_not_be_read_are_done_without() -> None:
    cluster = ScriptedCluster({"Deployment": [[deployment(0)]], "ReplicaSet": [ApiError("no", status=403)],
                               "Pod": [ApiError("no", status=403)]})  # fmt: skip
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits(Time(0.5), deadline=60.0))
    assert verdict.end == "deadline"


def test_autoscalers_without_metrics_are_waited_for() -> None:
    found = made("HorizontalPodAutoscaler", status={"conditions": [
        {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}]})  # fmt: skip
    cluster = ScriptedCluster({"HorizontalPodAutoscaler": [[found]]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [found], waits(Time(2.0)))
    assert (verdict.end, verdict.status) == ("deadline", "degraded")


def test_custom_resources_are_given_time_to_get_over_an_error() -> None:
    stalled = made("Box", status={"conditions": [{"type": "Stalled", "status": "True", "message": "No lid"}]})
    cluster = ScriptedCluster({"Box": [[stalled]]})
    time = Time(0.5)
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [stalled], waits(time))
    assert (verdict.end, verdict.blocking[0].sentence) == (
        "failed",
        "Box shop/web: Stalled: No lid.".replace("Stalled: ", ""),
    )
    assert 60.0 <= time.now < 90.0


def test_a_cron_job_whose_last_job_failed_is_told_and_not_waited_for() -> None:
    found = made("CronJob", status={"lastScheduleTime": "2026-11-21T10:00:00Z",
                                    "lastSuccessfulTime": "2026-11-21T09:00:00Z"})  # fmt: skip
    told = io.StringIO()
    verdict = wait_healthy(run_of(told), ScriptedCluster({"CronJob": [[found]]}).as_cluster(), [found], waits())
    assert (verdict.end, verdict.status) == ("settled", "healthy")
    assert "did not succeed" in told.getvalue()


def test_hooks_skipped_and_ignored_objects_do_not_count() -> None:
    annotations = [{"ci-gitops/hook": "PostSync"}, {"ci-gitops/hook": "Skip"}, {"ci-gitops/ignore-healthcheck": "true"}]
    documents = [{**deployment(0), "metadata": {**deployment(0)["metadata"], "annotations": each}}
                 for each in annotations]  # fmt: skip
    cluster = ScriptedCluster({})
    assert wait_healthy(run_of(), cluster.as_cluster(), documents, waits()).end == "settled"
    assert cluster.asked == []


def test_what_vanishes_is_an_error() -> None:
    cluster = ScriptedCluster({"Deployment": [[deployment(0)]]}, {"Deployment": [deleted(deployment(0))]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits())
    assert (verdict.end, verdict.status) == ("lost", "missing")
    assert verdict.blocking[0].sentence == "Deployment shop/web: It was deleted while it was waited for."


def test_what_vanished_while_nobody_looked_too() -> None:
    verdict = wait_healthy(run_of(), ScriptedCluster({}).as_cluster(), [deployment(0)], waits())
    assert verdict.end == "lost"


def test_and_what_is_another_object_of_that_name() -> None:
    other = {**deployment(1), "metadata": {**deployment(1)["metadata"], "uid": "other"}}
    cluster = ScriptedCluster({"Deployment": [[other]]})
    assert wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits()).end == "lost"


def test_what_was_not_there_is_waited_for() -> None:
    absent = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}
    cluster = ScriptedCluster({"Deployment": [[]]}, {"Deployment": [[], modified(deployment(1))]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [absent], waits(changed=()))
    assert verdict.end == "settled"
    never = wait_healthy(
        run_of(), ScriptedCluster({}).as_cluster(), [absent], waits(Time(0.5), deadline=30.0, changed=())
    )
    assert (never.end, never.status) == ("deadline", "missing")


@pytest.mark.parametrize(("condition", "end"), [("Complete", "settled"), ("Failed", "failed")])
def test_a_job_that_goes_when_it_is_done_has_its_verdict(condition: str, end: str) -> None:
    last = job(**{condition: "True"})
    last["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    cluster = ScriptedCluster({"Job": [[job()]]}, {"Job": [deleted(last)]})
    assert wait_healthy(run_of(), cluster.as_cluster(), [job()], waits(Time(0.1))).end == end


def test_a_dropped_watch_goes_on_where_it_was() -> None:
    second = deployment(0)
    second["metadata"]["resourceVersion"] = "7"
    cluster = ScriptedCluster(
        {"Deployment": [[deployment(0)]]}, {"Deployment": [modified(second), modified(deployment(1))]}
    )
    assert wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits()).ok
    assert of_deployments(cluster)[:3] == [LISTED, "watch Deployment since 1", "watch Deployment since 7"]


@pytest.mark.parametrize("trouble", [ApiError("too old", status=410), TemporaryError("The server is away.")])
def test_what_is_too_old_or_was_away_is_listed_again(trouble: Exception) -> None:
    web = "Deployment shop"
    cluster = ScriptedCluster({"Deployment": [[deployment(0)], [deployment(1)]]}, {"Deployment": [[trouble]]})
    assert wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits()).ok
    assert of_deployments(cluster)[:3] == [f"list {web}", "watch Deployment since 1", f"list {web}"]


def test_trouble_has_its_end() -> None:
    away = TemporaryError("The server is away.")
    cluster = ScriptedCluster({"Deployment": [away]})
    with pytest.raises(TemporaryError, match="is away"):
        wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits(Time(40.0), deadline=1e9))


def test_a_refusal_is_one_at_once() -> None:
    cluster = ScriptedCluster({"Deployment": [ClusterError("No.")]})
    with pytest.raises(ClusterError, match="No"):
        wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits())


def test_without_the_right_to_list_objects_are_read_one_by_one() -> None:
    cluster = ScriptedCluster({"Deployment": [ApiError("not you", status=403), [deployment(1)]]})
    assert wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits()).ok
    assert cluster.asked[:2] == ["list Deployment shop", "get Deployment web"]


def test_something_newer_ends_the_wait() -> None:
    cluster = ScriptedCluster({"Deployment": [[deployment(0)]]})
    verdict = wait_healthy(run_of(), cluster.as_cluster(), [deployment(0)], waits(
        Time(0.5), superseded=lambda: "commit 1234"))  # fmt: skip
    assert (verdict.end, verdict.message) == ("superseded", "Something newer has come: commit 1234")


def test_what_is_waited_for_is_told_once_and_again_after_a_while() -> None:
    told = io.StringIO()
    cluster = ScriptedCluster({"Deployment": [[deployment(0)]], "ReplicaSet": [[replica_set()]],
                               "Pod": [[pod("ContainerCreating")]]})  # fmt: skip
    wait_healthy(run_of(told), cluster.as_cluster(), [deployment(0)], waits(Time(0.1), deadline=70.0))
    lines = told.getvalue().splitlines()
    assert lines[-1].startswith("shop in production: waits for 1 of 1 (1m")
    assert "Deployment shop/web: 0 of 1 replica is available. Pod shop/web-1-a: Container web waits" in lines[-1]
    assert 3 <= len(lines) <= 5


HOOK_ENDS: Sequence[tuple[str, list[Event], str]] = [
    ("succeeds", modified(job(Complete="True")), "succeeded"),
    ("fails", modified(job(Failed="True")), "failed"),
    ("was resumed", modified(job(Suspended="False")), "deadline"),
    ("is suspended", modified(job(Suspended="True")), "deadline"),
    ("is deleted", deleted(job()), "lost"),
    ("goes when it is done", deleted(job(Complete="True")), "succeeded"),
]


@pytest.mark.parametrize(("events", "end"), [case[1:] for case in HOOK_ENDS], ids=[case[0] for case in HOOK_ENDS])
def test_a_hook_that(events: list[Event], end: str) -> None:
    cluster = ScriptedCluster({"Job": [[job()]]}, {"Job": [events]})
    verdict = await_hook(run_of(), cluster.as_cluster(), job(), waits(Time(0.2), deadline=60.0))
    assert verdict.end == end


def test_a_hook_of_a_kind_without_health_is_done_at_once() -> None:
    cluster = ScriptedCluster({})
    assert await_hook(run_of(), cluster.as_cluster(), made("ConfigMap"), waits()).end == "succeeded"
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("annotation", "seconds"), [("30s", 30.0), (None, 600.0), ("soon", 600.0)], ids=["its own", "none", "no time"]
)
def test_a_hook_has_its_own_time(annotation: str | None, seconds: float) -> None:
    found = job()
    found["metadata"]["annotations"] = {"ci-gitops/hook-timeout": annotation} if annotation else {}
    time = Time(1.0)
    cluster = ScriptedCluster({"Job": [[found]]})
    verdict = await_hook(run_of(), cluster.as_cluster(), found, waits(time, deadline=10_000.0))
    assert verdict.end == "failed"
    assert "Not healthy within" in verdict.message
    assert seconds <= time.now < seconds + 30.0


def test_a_hook_whose_image_cannot_be_pulled_does_not_wait_for_its_time() -> None:
    stuck = pod("ImagePullBackOff", owner="uid-migrate")
    cluster = ScriptedCluster({"Job": [[job()]], "Pod": [[stuck]]})
    verdict = await_hook(run_of(), cluster.as_cluster(), job(), waits(Time(0.5), graces=Graces(image=5.0)))
    assert verdict.end == "failed"
    assert verdict.blocking
    assert "Pod shop/web-1-a: Container web waits: ImagePullBackOff" in verdict.blocking.sentence
