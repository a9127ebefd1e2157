"""The simulated cluster: its file, its clock, and what its controllers make of workloads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import Document, Question
from ci_gitops.adapters.cluster.simulated import Clock, Simulated
from ci_gitops.core.api.schemas import recorded
from ci_gitops.core.controllers.behavior import BEHAVIOR, EXIT_CODE, LOG, READY_AFTER, RUN_FOR, WORDS
from ci_gitops.core.health import assess_health
from ci_gitops.errors import ClusterError


class Hand(Clock):
    """A clock that is turned by hand, and by whoever waits."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def cluster(tmp_path: Path, clock: Hand) -> Simulated:
    return Simulated(tmp_path / "cluster.json", clock=clock)


def deployment(tag: str, **spec: Any) -> Document:
    labels = {"app": "web"}
    pod = {"containers": [{"name": "web", "image": f"registry.example.com/web:{tag}"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            **spec,
        },
    }


def live(cluster: Simulated, api_version: str, kind: str, name: str) -> Any:
    resource = cluster.resource(api_version, kind)
    assert resource is not None
    return cluster.get(resource, "default", name)


def test_a_deployment_becomes_ready_when_its_time_has_come(cluster: Simulated, clock: Hand) -> None:
    cluster.apply(deployment("1", replicas=3))
    assert assess_health(live(cluster, "apps/v1", "Deployment", "web")).status == "progressing"
    clock.sleep(5)
    assert assess_health(live(cluster, "apps/v1", "Deployment", "web")).status == "healthy"
    cluster.apply(deployment("2", replicas=3))
    clock.sleep(10)
    found = live(cluster, "apps/v1", "Deployment", "web")
    assert assess_health(found).status == "healthy"
    assert found["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2"}
    pods = cluster.resource("v1", "Pod")
    assert pods
    assert [pod["spec"]["containers"][0]["image"] for pod in cluster.list(pods, "default").items] == [
        "registry.example.com/web:2"
    ] * 3


@pytest.mark.parametrize(
    ("tag", "reason"),
    [("broken", "ImagePullBackOff"), ("1.2-crash", "CrashLoopBackOff"), ("stall", ""), ("pending-1", "")],
)
def test_a_word_in_the_tag_makes_a_workload_fail(cluster: Simulated, clock: Hand, tag: str, reason: str) -> None:
    cluster.apply(deployment(tag, progressDeadlineSeconds=30))
    clock.sleep(5)
    pods = cluster.resource("v1", "Pod")
    assert pods
    (pod,) = cluster.list(pods, "default").items
    health = assess_health(pod)
    assert health.status == ("degraded" if reason else "progressing")
    assert reason in health.message
    clock.sleep(60)
    found = assess_health(live(cluster, "apps/v1", "Deployment", "web"))
    assert found.status == "degraded"
    assert "ProgressDeadlineExceeded" in found.message


def test_the_file_holds_the_cluster_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    program = (
        "import sys, pathlib; from ci_gitops.adapters.cluster.simulated import Simulated\n"
        "cluster = Simulated(pathlib.Path(sys.argv[1]))\n"
        "for number in range(25): cluster.create({'apiVersion': 'v1', 'kind': 'ConfigMap',\n"
        "    'metadata': {'name': f'{sys.argv[2]}-{number}'}})\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in ("a", "b")]
    assert [each.wait(60) for each in running] == [0, 0]
    cluster = Simulated(path)
    resource = cluster.resource("v1", "ConfigMap")
    assert resource
    found = cluster.list(resource, "default").items
    assert sorted(each["metadata"]["name"] for each in found) == sorted(
        f"{name}-{number}" for name in "ab" for number in range(25)
    )
    assert len({each["metadata"]["uid"] for each in found}) == 50
    assert json.loads(path.read_text())["kind"] == "SimulatedCluster"


def test_it_needs_no_library_of_kubernetes() -> None:
    program = (
        "import sys; import ci_gitops.adapters.cluster.simulated\n"
        "print([name for name in ('kubernetes', 'urllib3', 'pydantic', 'yaml') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_place_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "cluster.json"):
        with pytest.raises(ClusterError, match=re.escape(str(path))):
            Simulated(path).resource("v1", "Pod")


def test_many_threads_share_it(tmp_path: Path) -> None:
    clusters = [Simulated(tmp_path / "cluster.json") for _ in range(2)]

    def write(number: int) -> str:
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"map-{number}"}}
        return str(clusters[number % 2].apply(document)["metadata"]["resourceVersion"])

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(write, range(80)))
    assert len(set(versions)) == 80


def test_only_its_owner_may_read_it_and_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("cluster.json")
    assert Simulated(tmp_path / "link.json").resource("v1", "Pod")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "cluster.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"junk", b"[]", b"{}", b'{"apiVersion": "v1", "kind": "List"}', b"\xff\xfe"])
def test_a_file_that_is_no_cluster_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cluster.json"
    path.write_bytes(content)
    with pytest.raises(ClusterError, match="does not hold a simulated cluster") as caught:
        Simulated(path).resource("v1", "Pod")
    assert caught.value.hint
    assert path.read_bytes() == content


def test_the_page_lists_the_kinds_that_are_served() -> None:
    page = (Path(__file__).parents[2] / "docs/simulated-cluster.md").read_text()
    listed: dict[str, set[str]] = {}
    for group, kinds in re.findall(r"(?m)^\| (?:core )?`([a-z0-9./]*v[0-9])` \| ([A-Za-z, ]+) \|$", page):
        listed[group] = set(kinds.split(", "))
    served: dict[str, set[str]] = {}
    for kind in recorded().kinds:
        served.setdefault(kind.api_version, set()).add(kind.kind)
    assert listed == served
    for word in (*WORDS, BEHAVIOR, READY_AFTER, RUN_FOR, EXIT_CODE, LOG):
        assert f"| `{word}` |" in page


def test_settings_of_the_file_deny(cluster: Simulated, tmp_path: Path) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    path = tmp_path / "cluster.json"
    document = json.loads(path.read_text())
    document["settings"] = {"denied": [{"verbs": ["delete"], "resources": ["configmaps"]}]}
    path.write_text(json.dumps(document))
    questions = [Question("delete", "", "configmaps", "default"), Question("get", "", "configmaps", "default")]
    assert cluster.may(questions) == (False, True)
    resource = cluster.resource("v1", "ConfigMap")
    assert resource
    with pytest.raises(ClusterError, match='cannot delete resource "configmaps"'):
        cluster.delete(resource, "default", "a")


def test_rules_that_cannot_be_read_are_refused(cluster: Simulated, tmp_path: Path) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    path = tmp_path / "cluster.json"
    for denied in (["delete"], [{"verb": ["delete"]}], [{"verbs": "delete"}]):
        document = json.loads(path.read_text()) | {"settings": {"denied": denied}}
        path.write_text(json.dumps(document))
        with pytest.raises(ClusterError, match="does not hold a simulated cluster"):
            cluster.resource("v1", "Pod")
