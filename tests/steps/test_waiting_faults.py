"""Waiting through trouble with a real API server: what happens meanwhile is seen all the same."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.errors import ClusterError
from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.steps.waiting import Wait, wait_healthy
from tests.rig import cluster as rig
from tests.rig.fault_proxy import Fault, FaultProxy, answers, cut, fault_proxy, stream, unheard, until

TOO_OLD = stream(
    {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
)
WATCH, LIST = "GET .*services.*watch=true", "GET .*services[?]limit"


@pytest.fixture
def proxy(cluster: rig.Cluster) -> Iterator[FaultProxy]:
    with fault_proxy(cluster.kubeconfig) as running:
        yield running


@pytest.fixture
def behind(proxy: FaultProxy, tmp_path: Path, namespace: str) -> Iterator[Kubernetes]:
    made = Kubernetes(Access(None, str(proxy.kubeconfig(tmp_path))), namespace, wait=lambda seconds: None)
    yield made
    made.close()


def balancers(behind: Kubernetes, count: int) -> list[Any]:
    """Services whose health is an address that somebody gives them."""
    return [
        behind.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"web-{number}"},
                      "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
        for number in range(count)
    ]  # fmt: skip


def given_addresses(cluster: rig.Cluster, namespace: str, count: int) -> None:
    status = '{"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}'
    for number in range(count):
        cluster.kubectl("patch", "service", f"web-{number}", "-n", namespace, "--subresource=status", "--type=merge",
                        "-p", status)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "fault", "times", "count"),
    [
        (WATCH, cut(0), 2, 2),
        (WATCH, TOO_OLD, 2, 2),
        (WATCH, answers(500, "etcd leader changed"), 2, 2),
        (WATCH, unheard, 2, 1),
        (LIST, answers(503, "starting"), 1, 2),
        (WATCH, answers(403, "no watch for you", "Forbidden"), 99, 2),
        (LIST, answers(403, "no list for you", "Forbidden"), 99, 2),
    ],
    ids=["dropped watch", "too old", "500", "lost request", "503", "may not watch", "may not list"],
)
def test_what_happens_meanwhile_is_seen(
    cluster: rig.Cluster, proxy: FaultProxy, behind: Kubernetes, namespace: str, pattern: str, fault: Fault, times: int,
    count: int,
) -> None:  # fmt: skip
    applied = balancers(behind, count)
    proxy.plan(pattern, fault, times)
    run, wait = Run(output=Output(err=io.StringIO())), Wait(name="shop", deadline=time.monotonic() + 30.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_healthy, run, behind, applied, wait)
        given_addresses(cluster, namespace, count)
        verdict = waiting.result(40)
    assert (verdict.end, verdict.status) == ("settled", "healthy")
    assert proxy.count(pattern) >= 1


def test_one_watch_serves_all_objects_of_a_kind(
    cluster: rig.Cluster, proxy: FaultProxy, behind: Kubernetes, namespace: str
) -> None:
    applied = balancers(behind, 12)
    proxy.requests.clear()
    run, wait = Run(output=Output(err=io.StringIO())), Wait(name="shop", deadline=time.monotonic() + 30.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_healthy, run, behind, applied, wait)
        given_addresses(cluster, namespace, 12)
        assert waiting.result(40).ok
    assert proxy.count(LIST) == 1
    assert proxy.count(WATCH) <= 3
    assert proxy.count("GET .*/services/web-") == 0


def test_a_refusal_ends_it(proxy: FaultProxy, behind: Kubernetes) -> None:
    applied = balancers(behind, 1)
    proxy.plan(LIST, answers(400, "what is that", "BadRequest"), 9)
    wait = Wait(name="shop", deadline=time.monotonic() + 30.0)
    with pytest.raises(ClusterError, match="what is that"):
        wait_healthy(Run(output=Output(err=io.StringIO())), behind, applied, wait)


def test_threads_end_with_the_wait(cluster: rig.Cluster, behind: Kubernetes, namespace: str) -> None:
    before = set(threading.enumerate())
    applied = balancers(behind, 1)
    wait = Wait(name="shop", deadline=time.monotonic() + 0.5)
    verdict = wait_healthy(Run(output=Output(err=io.StringIO())), behind, applied, wait)
    assert verdict.end == "deadline"
    [watcher] = [each for each in threading.enumerate() if each.name == "watch Service" and each not in before]
    given_addresses(cluster, namespace, 1)  # whatever happens next is its end
    watcher.join(15)
    assert not watcher.is_alive()


def test_a_server_that_is_slow_about_pods_does_not_hold_the_deadline(
    cluster: rig.Cluster, proxy: FaultProxy, behind: Kubernetes
) -> None:
    applied = behind.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "slow"},
                            "spec": {"suspend": False, "template": {"spec": {"restartPolicy": "Never", "containers": [
                                {"name": "a", "image": "localhost:1/none"}]}}}})  # fmt: skip
    over = threading.Event()
    proxy.plan("GET .*/pods", until(over), 9)
    began = time.monotonic()
    wait = Wait(name="shop", deadline=began + 5.0)
    try:
        verdict = wait_healthy(Run(output=Output(err=io.StringIO())), behind, [applied], wait)
        assert verdict.end == "deadline"
        assert time.monotonic() - began < 30.0
    finally:
        over.set()
