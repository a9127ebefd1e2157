"""What is said about an object that is not well: the way down, what the cluster said, logs, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.advice import advice_on
from ci_gitops.core.explaining import (
    Log,
    containers,
    culprits,
    log_lines,
    sayings,
    secret_names,
    secret_values,
    tree_lines,
    trouble,
    trouble_lines,
)  # fmt: skip
from ci_gitops.core.family import Node, grow
from ci_gitops.core.health import assess_health
from ci_gitops.core.inventory import Key

POD = Key("", "Pod", "shop", "web-1-a")


def made(kind: str, name: str, owner: str = "", **parts: Any) -> dict[str, Any]:
    group = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "HorizontalPodAutoscaler": "autoscaling/v2",
             "Job": "batch/v1", "Ingress": "networking.k8s.io/v1"}.get(kind, "v1")  # fmt: skip
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "uid": name}
    metadata |= {"ownerReferences": [{"uid": owner}]} if owner else {}
    return {"apiVersion": group, "kind": kind, "metadata": metadata | parts.pop("metadata", {}), **parts}


def container(name: str = "main", *, waiting: str = "", message: str = "", ended: int | None = None,
              before: int | None = None, reason: str = "Error", ready: bool = False) -> dict[str, Any]:  # fmt: skip
    state: dict[str, Any] = {"running": {}}
    if waiting:
        state = {"waiting": {"reason": waiting, "message": message}}
    if ended is not None:
        state = {"terminated": {"exitCode": ended, "reason": reason, "message": message}}
    last = {} if before is None else {"terminated": {"exitCode": before, "reason": reason, "message": message}}
    return {"name": name, "image": "registry/web:1", "ready": ready, "restartCount": int(before is not None),
            "state": state, "lastState": last}  # fmt: skip


def pod(*statuses: dict[str, Any], name: str = "web-1-a", owner: str = "web-1", **parts: Any) -> dict[str, Any]:
    status = {"phase": "Pending", "containerStatuses": list(statuses)} | parts.pop("status", {})
    return made("Pod", name, owner, status=status, **parts)


def deployment() -> dict[str, Any]:
    return made("Deployment", "web", spec={"replicas": 2}, status={"replicas": 2, "updatedReplicas": 2})


def replica_set(name: str = "web-1", **parts: Any) -> dict[str, Any]:
    return made("ReplicaSet", name, "web", spec={"replicas": 2}, **parts)


def grown(*pool: dict[str, Any]) -> Node:
    return grow(deployment(), pool, assess_health)


def unplaced(message: str, **parts: Any) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(status={"conditions": [condition]}, **parts)


MISSING = container(waiting="ImagePullBackOff", message='Back-off pulling image "registry/web:1": not found')

ADVICE: list[tuple[str, dict[str, Any], list[str], str]] = [
    ("no such tag", pod(MISSING), [], "The registry has no registry/web:1"),
    ("no pull secret", pod(container(waiting="ErrImagePull", message="401 Unauthorized")), [], "imagePullSecrets"),
    ("the event knows more", pod(container(waiting="ImagePullBackOff")), ["dial tcp: no such host"],
     "does not reach the registry"),
    ("another processor", pod(container(waiting="ErrImagePull", message="no match for platform in manifest")), [],
     "for this node's processor"),
    ("no image name", pod(container(waiting="InvalidImageName")), [], "registry/web:1 is no image reference."),
    ("no secret", pod(container(waiting="CreateContainerConfigError", message='secret "door" not found')), [],
     "Declare the secret door"),
    ("no key", pod(container(waiting="CreateContainerConfigError",
                             message="couldn't find key user in Secret shop/door")), [], "The key user"),
    ("root", pod(container(waiting="CreateContainerConfigError",
                           message="container has runAsNonRoot and image will run as root")), [], "runAsUser"),
    ("memory", pod(container(waiting="CrashLoopBackOff", before=137, reason="OOMKilled")), [], "limits.memory"),
    ("no command", pod(container(waiting="CrashLoopBackOff", before=127)), [], "is not in its image"),
    ("no program", pod(container(waiting="RunContainerError", before=128,
                                 message='exec: "serve": executable file not found in $PATH')),
     [], "look at `command`"),
    ("a crash", pod(container(waiting="CrashLoopBackOff", before=139)), [], "segmentation fault"),
    ("a liveness probe", pod(container(waiting="CrashLoopBackOff", before=137)),
     ["Liveness probe failed: HTTP probe failed with statuscode: 500"], "need a startupProbe"),
    ("ends by itself", pod(container(waiting="CrashLoopBackOff", before=3)), [], "its last log lines say why"),
    ("not ready", pod(container(), spec={"containers": [
        {"name": "main", "readinessProbe": {"httpGet": {"path": "/ready", "port": 80}}}]}),
     ["Readiness probe failed: connection refused"], "GET /ready at port 80 does not succeed"),
    ("a volume's secret", pod(container(waiting="ContainerCreating")),
     ['MountVolume.SetUp failed for volume "tls" : secret "tls" not found'], "Declare the secret tls"),
    ("processors", unplaced("0/3 nodes are available: 3 Insufficient cpu."), [], "so much cpu free"),
    ("devices", unplaced("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."), [], "so much nvidia.com/gpu free"),
    ("a taint", unplaced("1 node(s) had untolerated taint {dedicated: db}"), [], "add a toleration"),
    ("labels", unplaced("3 node(s) didn't match Pod's node affinity/selector"), [], "No node has the labels"),
    ("evicted", pod(status={"phase": "Failed", "reason": "Evicted", "message": "low on memory"}), [], "ran short"),
    ("quota", replica_set(status={"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
     "message": 'pods "web-1-" is forbidden: exceeded quota: small, requested: pods=1'}]}), [], "The quota small"),
    ("a quota for jobs", made("Job", "job"), ['pods "job-" is forbidden: exceeded quota: small, requested: pods=1'],
     "The quota small"),
    ("pod security", replica_set(), ['pods "x" is forbidden: violates PodSecurity "restricted:latest"'],
     "Pod Security level"),
    ("a webhook", replica_set(), ['admission webhook "check.example.com" denied the request: no'], "check.example.com"),
    ("a limit range", replica_set(), ["maximum memory usage per Container is 1Gi, but limit is 2Gi"], "LimitRange"),
    ("a slow job", made("Job", "job", status={"conditions": [
        {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}), [], "activeDeadlineSeconds"),
    ("a job without luck", made("Job", "job", spec={"backoffLimit": 1}, status={"conditions": [
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}), [], "All 2 tries failed"),
    ("no class", made("PersistentVolumeClaim", "data", spec={}), [], "Name a storage class"),
    ("an unknown class", made("PersistentVolumeClaim", "data", spec={"storageClassName": "fast"}),
     ['storageclass.storage.k8s.io "fast" not found'], "There is no storage class fast"),
    ("a provisioner that sleeps", made("PersistentVolumeClaim", "data", spec={"storageClassName": "fast"}),
     ["Waiting for a volume to be created either by the external provisioner 'csi.example.com' or manually"],
     "csi.example.com has not made the volume"),
    ("no metrics", made("HorizontalPodAutoscaler", "web", status={"conditions": [
        {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}]}), [], "resources.requests"),
    ("nothing to scale", made("HorizontalPodAutoscaler", "web", status={"conditions": [
        {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale"}]}), [], "scaleTargetRef"),
    ("a metric of others", made("HorizontalPodAutoscaler", "web", status={"conditions": [
        {"type": "ScalingActive", "status": "False", "reason": "FailedGetExternalMetric"}]}), [], "metrics adapter"),
    ("a load balancer", made("Service", "web", spec={"type": "LoadBalancer"}), [], "MetalLB"),
    ("an ingress", made("Ingress", "web"), [], "ingress controller"),
    ("a finalizer", replica_set(metadata={"deletionTimestamp": "2026-11-21T12:00:00Z", "finalizers": ["a.b/c"]}), [],
     "It goes when a.b/c is taken away"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "said", "expected"), [case[1:] for case in ADVICE], ids=[case[0] for case in ADVICE]
)
def test_advice(document: dict[str, Any], said: list[str], expected: str) -> None:
    [advice] = advice_on(document, said)
    assert expected in advice


def test_where_no_words_fit_nothing_is_advised() -> None:
    assert advice_on(replica_set(), ["the moon is full"]) == []
    assert advice_on({}, []) == []
    assert advice_on(pod(container(waiting="ContainerCreating")), []) == []


def test_a_cluster_without_metrics_is_told_from_pods_without_requests() -> None:
    found = made("HorizontalPodAutoscaler", "web", status={"conditions": [
        {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}]})  # fmt: skip
    assert "install a metrics server" in advice_on(found, [], frozenset({"apps/v1"}))[0]
    assert "resources.requests" in advice_on(found, [], frozenset({"apps/v1", "metrics.k8s.io/v1beta1"}))[0]


def test_the_way_down_ends_at_the_container_and_equal_pods_are_one() -> None:
    pods = [pod(MISSING, name=f"web-1-{letter}") for letter in "abc"]
    root = grown(replica_set(), *pods)
    [trail] = culprits(root)
    assert [str(node.key) for node in trail] == ["ReplicaSet shop/web-1", "Pod shop/web-1-a"]
    assert [str(node.key) for node in root.trail()][-1] == "Pod shop/web-1-a"


def test_of_equal_tries_it_is_the_last_one() -> None:
    tries = [pod(container(ended=3), name=f"job-{letter}", owner="job", status={"phase": "Failed"},
                 metadata={"creationTimestamp": f"2026-11-21T12:0{minute}:00Z"})
             for letter, minute in (("a", 1), ("b", 3), ("c", 2))]  # fmt: skip
    job = made("Job", "job", status={"conditions": [{"type": "Failed", "status": "True"}]})
    [trail] = culprits(grow(job, tries, assess_health))
    assert trail[-1].key.name == "job-b"


def test_different_reasons_are_told_apart_the_worse_first() -> None:
    waits = pod(container(waiting="ContainerCreating"), name="web-1-a")
    root = grown(replica_set(), waits, pod(MISSING, name="web-1-b"))
    assert [trail[-1].key.name for trail in culprits(root)] == ["web-1-b", "web-1-a"]


def test_what_is_on_its_way_out_explains_nothing() -> None:
    going = pod(MISSING, metadata={"deletionTimestamp": "2026-11-21T12:00:00Z"})
    old = replica_set("web-0", metadata={"annotations": {"deployment.kubernetes.io/revision": "1"}})
    new = replica_set(metadata={"annotations": {"deployment.kubernetes.io/revision": "10"}})
    root = grown(old, new, going, pod(MISSING, name="web-0-a", owner="web-0"))
    assert [node.key.name for node in root.trail()] == ["web", "web-1"]


def test_kept_revisions_are_no_part_of_the_tree_and_a_circle_has_an_end() -> None:
    kept = made("ReplicaSet", "web-0", "web", spec={"replicas": 0})
    assert grown(kept).children == ()
    circle = made("Deployment", "web", "web")
    assert len(list(grow(circle, [circle], assess_health).every())) < 20


def test_a_claim_is_shown_below_the_pod_that_waits_for_it() -> None:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "tmp", "emptyDir": {}}]
    waits = unplaced("pod has unbound immediate PersistentVolumeClaims", spec={"volumes": volumes})
    claim = made("PersistentVolumeClaim", "data", spec={"storageClassName": "late"}, status={"phase": "Pending"})
    assert assess_health(claim).status == "healthy"
    [trail] = culprits(grown(replica_set(), waits, claim))
    assert (trail[-1].key.kind, trail[-1].health.status) == ("PersistentVolumeClaim", "progressing")


def test_which_containers_have_something_to_say() -> None:
    found = pod(container("a", waiting="CrashLoopBackOff", before=1), container("b", ended=2), container("c"),
                container("d", ended=0), container("e", ready=True), container("f", waiting="ContainerCreating"),
                container("g", before=1))  # fmt: skip
    root = grow(found, [], assess_health)
    assert [(each.name, each.previous) for each in containers([(root,)])] == [
        ("a", True), ("b", False), ("c", False), ("g", True)
    ]  # fmt: skip


def event(reason: str, message: str, *, uid: str = "web-1-a", kind: str = "Warning", **parts: Any) -> dict[str, Any]:
    return {"involvedObject": {"uid": uid}, "type": kind, "reason": reason, "message": message, **parts}


def test_events_are_told_once_with_their_number_newest_first() -> None:
    events = [
        event("Failed", "cannot pull\n\x1b[31mit", count=2, lastTimestamp="2026-11-21T12:00:00Z"),
        event("Failed", "cannot pull\nit", count=3, lastTimestamp="2026-11-21T12:00:05Z"),
        event("Failed", "Error: ErrImagePull", lastTimestamp="2026-11-21T12:00:05Z"),
        event("BackOff", "again", series={"count": 4}, eventTime="2026-11-21T12:00:09.000000Z"),
        event("Pulled", "well", kind="Normal"),
        event("FailedBinding", "no volume", kind="Normal", metadata={"creationTimestamp": "2026-11-21T11:00:00Z"}),
        event("Failed", "of others", uid="other"),
    ]
    told = [(each.reason, each.message, each.count) for each in sayings(events, {"web-1-a": POD})]
    assert told == [("BackOff", "again", 4), ("Failed", "cannot pull it", 5), ("FailedBinding", "no volume", 1)]


def test_all_of_it_as_a_person_reads_it() -> None:
    root = grown(replica_set(), pod(container(waiting="CrashLoopBackOff", before=3)))
    said = sayings([event("BackOff", "Back-off restarting failed container", count=7)], {"web-1-a": POD})
    log = Log(POD, "main", log_lines(["starting", "cannot open \x1b[31m/data/db", "x" * 500]), previous=True)
    found = trouble(root, said, [log, Log(Key("", "Pod", "shop", "other"), "main", ("no",))])
    lines = trouble_lines(found)
    assert lines == [
        "Deployment shop/web is progressing: 0 of 2 replicas are available.",
        "  ReplicaSet shop/web-1: 0 of 2 replicas are available.",
        (
            "    Pod shop/web-1-a: Container main waits: CrashLoopBackOff"
            " (ended before with Error, exit code 3, restarts: 1)."
        ),
        "  What the cluster said:",
        "    Pod shop/web-1-a: BackOff: Back-off restarting failed container (7 times)",
        "  The last lines of container main of Pod shop/web-1-a before its last restart:",
        "    | starting",
        "    | cannot open /data/db",
        f"    | {'x' * 398} …",
        "  What to do: Container main ends by itself: its last log lines say why, or its command.",
    ]
    document = found.document
    assert document["object"] == {"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web"}
    assert document["causes"][0][-1]["object"]["name"] == "web-1-a"
    assert document["logs"][0]["lines"][0] == "starting"


def test_events_that_repeat_a_containers_reason_are_left_out_of_the_text() -> None:
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x:1": not found'}}
    stuck = pod({"name": "main", "ready": False, "restartCount": 0, "state": waits})
    said = sayings([
        event("BackOff", 'Back-off pulling image "x:1"'), event("Failed", 'Failed to pull image "x:1": not found'),
        event("FailedMount", "no such volume: data"),
    ], {"web-1-a": POD})  # fmt: skip
    found = trouble(grown(replica_set(), stuck), said, [])
    told = "\n".join(trouble_lines(found))
    assert "FailedMount: no such volume: data" in told
    assert told.count("x:1") == 1 + "".join(found.advice).count("x:1")
    assert len(found.document["events"]) == 3


def test_the_tree_has_all_of_it() -> None:
    shown = tree_lines(grown(replica_set(), pod(container(waiting="ContainerCreating"))))
    assert shown == [
        "Deployment shop/web: progressing: 0 of 2 replicas are available.",
        "  ReplicaSet shop/web-1: progressing: 0 of 2 replicas are available.",
        "    Pod shop/web-1-a: progressing: Container main waits: ContainerCreating.",
    ]


def test_secrets_of_the_pod_are_hidden_in_its_log() -> None:
    given = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "door"}}}, {"name": "X"}]
    found = pod(container(), spec={
        "containers": [{"name": "main", "env": given,
                        "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "plain"}}]}],
        "initContainers": [{"name": "first", "envFrom": [{"secretRef": {"name": "first"}}]}],
        "volumes": [{"name": "a", "secret": {"secretName": "keys"}}, {"name": "b", "emptyDir": {}},
                    {"name": "c", "projected": {"sources": [{"secret": {"name": "part"}}]}}],
    })  # fmt: skip
    assert secret_names(found) == ("first", "door", "all", "keys", "part")
    values = secret_values({"data": {"password": "cmFiYml0LWhvbGU=", "bad": "!", "binary": "/w==", "short": "b24="}})
    assert values == ("rabbit-hole", "on")
    told = log_lines(["login rabbit-hole on", "again cmFiYml0LWhvbGU="], [*values, "first line\nsecond-line"])
    assert told == ("login [masked] on", "again [masked]")
    assert log_lines(["it is second-line"], ["first line\nsecond-line"]) == ("it is [masked]",)
    assert secret_values({}) == ()
