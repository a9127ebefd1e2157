"""One writer at a time, on a real API server: taken, waited for, lost, taken over, given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import ApiError, Document
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.lease import LEASES, Holder, Lease
from ci_gitops.errors import TemporaryError
from tests.rig.cluster import Cluster

ROOT = Path(__file__).parents[2]


@dataclass
class Clock:
    """Time that passes when somebody waits."""

    now: float = 1000.0
    waited: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


@dataclass
class Leases:
    kubernetes: Kubernetes
    namespace: str
    clock: Clock = field(default_factory=Clock)
    told: list[str] = field(default_factory=list)

    def of(self, said: str, clock: Clock | None = None) -> Lease:
        who = Holder(f"id of {said}", said)
        return Lease(self.kubernetes, self.namespace, "lease", who, "shop in production", clock=clock or self.clock)

    def take(self, lease: Lease, seconds: float = 0.0, pause: Callable[[float], None] | None = None) -> None:
        lease.take(Deadline.after(seconds, self.clock), self.told.append, pause or self.clock.pause)

    @property
    def live(self) -> Any:
        return self.kubernetes.get(LEASES, self.namespace, "lease")


@pytest.fixture
def leases(cluster: Cluster, namespace: str) -> Iterator[Leases]:
    kubernetes = Kubernetes(Access(None, str(cluster.kubeconfig)), namespace)
    yield Leases(kubernetes, namespace)
    kubernetes.close()


def test_a_lease_looks_like_that_of_leader_election(leases: Leases) -> None:
    lease = leases.of("job 7")
    leases.take(lease)
    spec = leases.live["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("id of job 7", 15, 0)
    assert spec["acquireTime"] == spec["renewTime"]
    lease.release()
    assert "holderIdentity" not in leases.live["spec"]
    second = leases.of("job 8")
    leases.take(second)
    assert leases.live["spec"]["leaseTransitions"] == 1


def test_who_comes_second_waits_until_the_deadline_and_is_told_who_writes(leases: Leases) -> None:
    first = leases.of("https://ci.example.com/jobs/7 (process 1 on runner)")
    leases.take(first)
    with pytest.raises(TemporaryError) as raised:
        leases.take(leases.of("another"), seconds=4.5)
    assert raised.value.message == (
        "shop in production: https://ci.example.com/jobs/7 (process 1 on runner) is writing to it now."
    )
    assert leases.clock.waited == [1.0, 1.0, 1.0, 1.0, 0.5]
    assert leases.told == ["shop in production: waiting for https://ci.example.com/jobs/7 (process 1 on runner)"]


def test_who_waits_gets_it_when_it_is_given_back(leases: Leases) -> None:
    first, second = leases.of("one"), leases.of("two")
    leases.take(first)

    def given_back_meanwhile(seconds: float) -> None:
        leases.clock.pause(seconds)
        if len(leases.clock.waited) == 2:
            first.release()

    leases.take(second, 60, given_back_meanwhile)
    second.check()
    assert len(leases.clock.waited) == 2


def test_a_holder_that_went_away_is_replaced_after_its_time_on_our_own_clock(leases: Leases) -> None:
    leases.take(leases.of("killed"))
    started = leases.clock.now
    second = leases.of("next")
    leases.take(second, 60)
    assert leases.clock.now - started == 15
    assert leases.live["spec"]["holderIdentity"] == "id of next"


def test_many_who_wait_do_not_keep_a_dead_holder_alive(leases: Leases) -> None:
    """Each says with which revision it waits; that is no sign of life of the holder."""
    leases.take(leases.of("killed"))
    first = leases.of("first")
    crowd = iter(range(1, 100))

    def others_come_meanwhile(seconds: float) -> None:
        leases.clock.pause(seconds)
        number = next(crowd)
        other = leases.of("other")
        other.holder = Holder("other", "other", str(number), number)
        with pytest.raises(TemporaryError):
            leases.take(other)

    leases.take(first, 16, others_come_meanwhile)


@pytest.mark.parametrize("time", ["2001-01-01T00:00:00.000000Z", "2101-01-01T00:00:00.000000Z"])
def test_the_clock_of_another_machine_is_not_trusted(leases: Leases, time: str) -> None:
    leases.take(leases.of("elsewhere"))
    _write(leases, renewTime=time, acquireTime=time)
    with pytest.raises(TemporaryError, match="elsewhere is writing"):
        leases.take(leases.of("another"), seconds=14)
    leases.take(leases.of("another"), seconds=16)


def _write(leases: Leases, **spec: Any) -> None:
    live = leases.live
    leases.kubernetes.replace({**live, "spec": {**live["spec"], **spec}})


def test_a_holder_that_renews_is_never_replaced(leases: Leases) -> None:
    first = leases.of("slow")
    leases.take(first)

    def renewed_meanwhile(seconds: float) -> None:
        leases.clock.pause(seconds)
        if len(leases.clock.waited) % 5 == 0:
            first.renew()

    with pytest.raises(TemporaryError, match="slow is writing"):
        leases.take(leases.of("another"), 60, renewed_meanwhile)
    first.check()


def test_a_paused_holder_that_was_replaced_finds_out_before_it_writes(leases: Leases) -> None:
    paused = leases.of("paused")
    leases.take(paused)
    leases.take(leases.of("next"), 60)
    leases.clock.pause(100)
    with pytest.raises(TemporaryError, match="next writes to it now; this run was held up too long"):
        paused.check()
    with pytest.raises(TemporaryError, match="next writes"):
        paused.check()
    paused.release()
    assert leases.live["spec"]["holderIdentity"] == "id of next"


def test_a_paused_holder_that_nobody_replaced_goes_on(leases: Leases) -> None:
    lease = leases.of("paused")
    leases.take(lease)
    leases.clock.pause(3600)
    before = leases.live["spec"]["renewTime"]
    lease.check()
    assert leases.live["spec"]["renewTime"] > before


def test_nothing_is_asked_while_it_is_fresh(leases: Leases) -> None:
    lease = leases.of("quick")
    leases.take(lease)
    version = leases.live["metadata"]["resourceVersion"]
    leases.clock.pause(9)
    lease.check()
    assert leases.live["metadata"]["resourceVersion"] == version


def test_an_annotation_of_somebody_else_takes_nothing_away(leases: Leases, cluster: Cluster) -> None:
    lease = leases.of("ours")
    leases.take(lease)
    cluster.kubectl("annotate", "lease", "lease", "-n", leases.namespace, "note=seen")
    leases.clock.pause(11)
    lease.check()
    assert leases.live["metadata"]["annotations"]["note"] == "seen"


def test_a_deleted_lease_is_lost(leases: Leases, cluster: Cluster) -> None:
    lease = leases.of("ours")
    leases.take(lease)
    cluster.kubectl("delete", "lease", "lease", "-n", leases.namespace)
    leases.clock.pause(11)
    with pytest.raises(TemporaryError, match="the Lease was deleted"):
        lease.check()
    lease.release()


@pytest.mark.parametrize("spec", [None, {}, {"leaseDurationSeconds": 1_000_000_000, "holderIdentity": "x"}])
def test_a_lease_that_holds_nonsense_does_not_lock_us_out(leases: Leases, spec: Any) -> None:
    metadata = {"name": "lease", "namespace": leases.namespace}
    leases.kubernetes.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
                              **({"spec": spec} if spec is not None else {})})  # fmt: skip
    leases.take(leases.of("ours"), 70)


def test_of_two_that_reach_for_it_at_once_one_gets_it(leases: Leases) -> None:
    """Both have seen that it is free; the second one's write names a version that is no longer the newest."""
    gone = leases.of("gone")
    leases.take(gone)
    gone.release()
    second = leases.of("second")

    class Between:
        """The cluster, where another run comes between what we read and what we write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(leases.kubernetes, name)

        def replace(self, document: Document) -> Document:
            if leases.live["spec"].get("holderIdentity") is None:
                leases.take(second)
            return leases.kubernetes.replace(document)

    first = Lease(Between(), leases.namespace, "lease", Holder("1", "first"), "shop", clock=leases.clock)  # type: ignore[arg-type]
    with pytest.raises(TemporaryError, match="second is writing"):
        leases.take(first)
    second.check()


def test_trouble_of_the_server_is_not_taken_for_a_loss(leases: Leases) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            return getattr(leases.kubernetes, name)

        def replace(self, document: Document) -> Document:
            raise ApiError("internal", status=500)

    lease = leases.of("ours")
    leases.take(lease)
    lease.cluster = Away()  # type: ignore[assignment]
    leases.clock.pause(11)
    with pytest.raises(ApiError, match="internal"):
        lease.check()
    lease.cluster = leases.kubernetes
    lease.check()


# Processes

_HOLDING = """
import sys
from pathlib import Path
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.cluster import ClusterLedger
from ci_gitops.adapters.records.lease import Holder, steady
from ci_gitops.core.targets import Target
from ci_gitops.errors import TemporaryError

cluster = Kubernetes(Access(None, sys.argv[1]), sys.argv[2])
fast = lambda: steady() * float(sys.argv[4])
ledger = ClusterLedger(cluster, "acme", "production", sys.argv[2], Holder(sys.argv[3], sys.argv[3]),
                       Deadline.after(0), print, print, clock=fast)
with ledger.writing(Target("shop", "production", ".")) as writer:
    print("holding", flush=True)
    for line in sys.stdin:
        try:
            writer.check()
            print("ours", flush=True)
        except TemporaryError as error:
            print(error.message, flush=True)
"""


@contextmanager
def holding(cluster: Cluster, namespace: str, said: str, speed: float = 1.0) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_HOLDING), str(cluster.kubeconfig), namespace, said, str(speed)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == "holding\n"
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)


def asked(process: subprocess.Popen[str]) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write("check\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_a_process_that_is_stopped_loses_it_and_notices(cluster: Cluster, leases: Leases) -> None:
    """SIGSTOP, as a frozen machine: its thread renews nothing meanwhile. Time passes very much faster in it."""
    with holding(cluster, leases.namespace, "stopped", 100_000) as process:
        assert asked(process) == "ours"
        name = leases.kubernetes.list(LEASES, leases.namespace).items[0]["metadata"]["name"]
        os.kill(process.pid, signal.SIGSTOP)
        next_one = leases.of("the next run")
        next_one.name = name
        leases.take(next_one, 60)
        os.kill(process.pid, signal.SIGCONT)
        assert "the next run writes to it now; this run was held up too long" in asked(process)
        next_one.check()


def test_a_process_that_is_killed_is_replaced(cluster: Cluster, leases: Leases) -> None:
    with holding(cluster, leases.namespace, "killed") as process:
        process.kill()
        process.wait()
        name = leases.kubernetes.list(LEASES, leases.namespace).items[0]["metadata"]["name"]
        next_one = leases.of("the next run")
        next_one.name = name
        with pytest.raises(TemporaryError, match="killed is writing to it now"):
            leases.take(next_one, 10)
        leases.take(next_one, 20)


def test_a_process_that_ends_gives_it_back_at_once(cluster: Cluster, leases: Leases) -> None:
    with holding(cluster, leases.namespace, "short") as process:
        name = leases.kubernetes.list(LEASES, leases.namespace).items[0]["metadata"]["name"]
        process.communicate("")
        next_one = leases.of("the next run")
        next_one.name = name
        leases.take(next_one)
