"""Rollouts, jobs and hooks on a cluster that runs pods: what a person is told, from the words of the real components.

All of them wait at the same time, once for the whole module; each test looks at one.
"""

from __future__ import annotations

import io
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.core.explaining import Trouble, trouble_lines
from ci_gitops.core.waiting import Graces, HookVerdict, Verdict
from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.steps.explaining import explain
from ci_gitops.steps.waiting import Wait, await_hook, wait_healthy
from tests.rig import cluster as rig
from tests.rig.parts import missing
from tests.rig.registry import RegistryServer

IMAGE = "waiting/busybox"
GRACES = Graces(image=2.0, reference=2.0, restarts=2)
Documents = list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """How one wait ended and what was said."""

    verdict: Verdict | HookVerdict
    progress: str
    text: str
    troubles: tuple[Trouble, ...]
    seconds: float


@dataclass(frozen=True)
class Scene:
    """A namespace of the module's own, and an image that its pods can pull."""

    kubernetes: Kubernetes
    rig: rig.Cluster
    namespace: str
    image: str

    def workload(self, name: str, command: str, *, kind: str = "Deployment", **more: Any) -> dict[str, Any]:
        pod = {"terminationGracePeriodSeconds": 0} | more.pop("pod", {})
        container = {"name": "main", "image": self.image, "command": ["/bin/busybox", "sh", "-c", command]}
        container |= more.pop("container", {})
        template = {"metadata": {"labels": {"app": name}}, "spec": {**pod, "containers": [container]}}
        spec: dict[str, Any] = {"template": template, **more}
        if kind == "Job":
            template["spec"].setdefault("restartPolicy", "Never")
        else:
            spec["selector"] = {"matchLabels": {"app": name}}
        api_version = "batch/v1" if kind == "Job" else "apps/v1"
        return {"apiVersion": api_version, "kind": kind, "spec": spec,
                "metadata": {"name": name, "namespace": self.namespace}}  # fmt: skip

    def web(self, name: str, path: str) -> dict[str, Any]:
        command = "mkdir /www; echo well > /www/index.html; exec /bin/busybox httpd -f -p 8080 -h /www"
        probe = {"httpGet": {"path": path, "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 3}
        return self.workload(name, command, container={"readinessProbe": probe})

    def waited(self, documents: Documents, seconds: float = 60.0) -> Outcome:
        began, told = time.monotonic(), io.StringIO()
        applied = [self.kubernetes.apply(each) for each in documents]
        wait = Wait(name="shop in production", deadline=began + seconds, graces=GRACES)
        verdict = wait_healthy(Run(output=Output(err=told)), self.kubernetes, applied, wait)
        ill = [each.document for each in verdict.blocking if each.document is not None]
        return self._outcome(verdict, ill, told, began)

    def hooked(self, document: dict[str, Any], meanwhile: Callable[[], object] = lambda: None) -> Outcome:
        began, told = time.monotonic(), io.StringIO()
        applied = self.kubernetes.apply(document)
        meanwhile()
        wait = Wait(name="shop in production", deadline=began + 60.0, graces=GRACES)
        verdict = await_hook(Run(output=Output(err=told)), self.kubernetes, applied, wait)
        blocking = verdict.blocking
        ill = [blocking.document] if blocking is not None and blocking.document is not None else []
        return self._outcome(verdict, ill, told, began)

    def _outcome(self, verdict: Any, ill: list[Any], told: io.StringIO, began: float) -> Outcome:
        seconds = time.monotonic() - began
        troubles = explain(self.kubernetes, ill)
        text = "\n".join(line for each in troubles for line in trouble_lines(each))
        return Outcome(verdict, told.getvalue(), text, troubles, seconds)

    def delete(self, kind: str, name: str) -> None:
        self.rig.kubectl("delete", kind, name, "-n", self.namespace, "--wait=false")


def claim(scene: Scene, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": scene.namespace}
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": asked}


def played(scene: Scene) -> Mapping[str, Callable[[], Outcome]]:
    volume = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    autoscaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaler", "namespace": scene.namespace},
        "spec": {"maxReplicas": 2, "metrics": [metric],
                 "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "well"}},
    }  # fmt: skip
    balancer = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "outside", "namespace": scene.namespace},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}  # fmt: skip
    given = {"env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "known", "key": "password"}}}]}
    scene.kubernetes.apply({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "rabbit-hole-4"},
                            "metadata": {"name": "known", "namespace": scene.namespace}})  # fmt: skip
    scene.kubernetes.apply({"apiVersion": "v1", "kind": "ResourceQuota",
                            "metadata": {"name": "none", "namespace": scene.namespace},
                            "spec": {"hard": {"pods": "0"}, "scopes": ["Terminating"]}})  # fmt: skip
    secret = {"env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "door", "key": "password"}}}]}
    fails = "echo starting; echo cannot open /data/db; exit 3"
    stuck = scene.workload("leaving", "sleep 100", pod={"schedulingGates": [{"name": "example.com/never"}]})
    stuck["metadata"]["finalizers"] = ["example.com/cleaner"]
    return {
        "well": lambda: scene.waited([scene.web("well", "/")]),
        "image": lambda: scene.waited([scene.workload("image", "true", container={"image": f"{scene.image}-absent"})]),
        "crash": lambda: scene.waited([scene.workload("crash", fails)]),
        "large": lambda: scene.waited([scene.workload("large", "true", container={
            "resources": {"requests": {"cpu": "1000"}}})], 8.0),
        "unready": lambda: scene.waited([scene.web("unready", "/missing")], 28.0),
        "secret": lambda: scene.waited([scene.workload("secret", "true", container=secret)]),
        "account": lambda: scene.waited([scene.workload("account", "true", pod={"serviceAccountName": "nobody"})], 8.0),
        "claim": lambda: scene.waited([claim(scene, "data", storageClassName="fast"),
                                       scene.workload("claim", "true", pod={"volumes": volume})], 8.0),
        "autoscaler": lambda: scene.waited([autoscaler], 25.0),
        "balancer": lambda: scene.waited([balancer], 5.0),
        "job": lambda: scene.waited([scene.workload("job", fails, kind="Job", backoffLimit=0)]),
        "quota": lambda: scene.waited([scene.workload("quota", "true", kind="Job", pod={
            "activeDeadlineSeconds": 60})], 8.0),
        "deleted": lambda: _deleted(scene, stuck),
        "hook": lambda: scene.hooked(scene.workload("hook", "echo done", kind="Job")),
        "hook that fails": lambda: scene.hooked(scene.workload(
            "failing", "echo opening with $PASSWORD; " + fails, kind="Job", backoffLimit=0, container=given)),
        "hook with a time to live": lambda: scene.hooked(
            scene.workload("brief", "echo done", kind="Job", ttlSecondsAfterFinished=0)),
        "hook that is deleted": lambda: scene.hooked(
            scene.workload("gone", "sleep 100", kind="Job"), lambda: scene.delete("job", "gone")),
    }  # fmt: skip


def _deleted(scene: Scene, document: dict[str, Any]) -> Outcome:
    scene.kubernetes.apply(document)
    scene.delete("deployment", "leaving")
    resource = scene.kubernetes.resource("apps/v1", "Deployment")
    assert resource
    live = scene.kubernetes.get(resource, scene.namespace, "leaving")
    assert live
    began, told = time.monotonic(), io.StringIO()
    wait = Wait(name="shop in production", deadline=began + 3.0)
    verdict = wait_healthy(Run(output=Output(err=told)), scene.kubernetes, [live], wait)
    scene.rig.kubectl("patch", "deployment", "leaving", "-n", scene.namespace, "--type=merge",
                      "-p", '{"metadata": {"finalizers": null}}')  # fmt: skip
    return scene._outcome(verdict, [each.document for each in verdict.blocking], told, began)


@pytest.fixture(scope="module")
def outcomes(cluster: rig.Cluster, busybox: Path) -> Iterator[Mapping[str, Outcome]]:
    if cluster.registry is None:
        missing("a cluster that runs pods", rig.HOW)
    registry = RegistryServer(cluster.registry, Path())
    registry.push(IMAGE, "1", files={"bin/busybox": busybox.read_bytes()})
    name = f"waiting-{uuid.uuid4().hex[:8]}"
    cluster.make_namespace(name)
    kubernetes = Kubernetes(Access(None, str(cluster.kubeconfig)), name)
    scene = Scene(kubernetes, cluster, name, f"{cluster.registry}/{IMAGE}:1")
    plays = played(scene)
    try:
        with ThreadPoolExecutor(len(plays)) as pool:
            running = {name: pool.submit(play) for name, play in plays.items()}
            yield {name: each.result() for name, each in running.items()}
    finally:
        cluster.drop_namespace(name)
        kubernetes.close()


def test_a_rollout_that_goes_well(outcomes: Mapping[str, Outcome]) -> None:
    done = outcomes["well"]
    assert (done.verdict.end, done.text) == ("settled", "")


def test_an_image_that_is_not_in_the_registry(outcomes: Mapping[str, Outcome]) -> None:
    failed = outcomes["image"]
    assert isinstance(failed.verdict, Verdict)
    assert (failed.verdict.end, failed.verdict.status) == ("failed", "degraded")
    assert failed.seconds < 30.0
    assert re.search(r"Pod \S+: Container main waits: (ErrImagePull|ImagePullBackOff)", failed.text)
    assert "What to do: The registry has no" in failed.text
    assert "shop in production: waits for 1 of 1" in failed.progress


def test_a_process_that_ends_again_and_again(outcomes: Mapping[str, Outcome]) -> None:
    failed = outcomes["crash"]
    assert failed.verdict.end == "failed"
    assert re.search(r"Pod \S+: Container main .*exit code 3, restarts: 2", failed.text)
    assert "    | starting\n    | cannot open /data/db\n" in failed.text
    assert "its last log lines say why" in failed.text


@pytest.mark.parametrize(
    ("name", "reason", "advice"),
    [
        ("large", "Unschedulable", "No node has so much cpu free"),
        ("unready", "Readiness probe failed", "GET /missing at port 8080"),
        ("account", "FailedCreate", "Declare the ServiceAccount nobody"),
        ("quota", "FailedCreate", "The quota none of the namespace is used up"),
        ("claim", "PersistentVolumeClaim", "There is no storage class fast"),
        ("balancer", "gave it no address", "Nothing in this cluster gives load balancers their addresses"),
        ("autoscaler", "FailedGetResourceMetric", "This cluster serves no metrics.k8s.io"),
        ("deleted", "It is being deleted; it waits for example.com/cleaner", "does that one run?"),
    ],
)
def test_what_may_still_come_is_waited_for(
    outcomes: Mapping[str, Outcome], name: str, reason: str, advice: str
) -> None:
    late = outcomes[name]
    assert late.verdict.end == "deadline"
    assert "Not healthy within" in late.verdict.message
    assert reason in late.text
    assert advice in late.text


def test_a_secret_that_nobody_declares(outcomes: Mapping[str, Outcome]) -> None:
    failed = outcomes["secret"]
    assert failed.verdict.end == "failed"
    assert 'CreateContainerConfigError: secret "door" not found' in failed.verdict.message
    assert "Declare the secret door" in failed.text


@pytest.mark.parametrize("name", ["job", "hook that fails"])
def test_a_job_that_fails_shows_its_log(outcomes: Mapping[str, Outcome], name: str) -> None:
    failed = outcomes[name]
    assert failed.verdict.end == "failed"
    assert "The job failed: BackoffLimitExceeded" in failed.text
    assert "    | cannot open /data/db\n" in failed.text


def test_a_log_shows_no_secret_that_the_pod_was_given(outcomes: Mapping[str, Outcome]) -> None:
    assert "    | opening with [masked]\n" in outcomes["hook that fails"].text


@pytest.mark.parametrize("name", ["hook", "hook with a time to live"])
def test_a_hook_that_succeeds(outcomes: Mapping[str, Outcome], name: str) -> None:
    assert outcomes[name].verdict.end == "succeeded"


def test_a_hook_that_is_deleted_is_lost(outcomes: Mapping[str, Outcome]) -> None:
    lost = outcomes["hook that is deleted"]
    assert lost.verdict.end == "lost"
    assert "was deleted while it was waited for" in lost.verdict.message
