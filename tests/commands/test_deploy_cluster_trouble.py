"""`deploy` where the API server makes trouble: what it ends with, how soon, and what it says."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from tests.commands.test_deploy import CONFIG, commit, git
from tests.contracts.cluster_rigs import until
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster, own_api_server
from tests.rig.fault_proxy import FaultProxy, answers, fault_proxy, lost, unheard


@pytest.fixture
def checkout(tmp_path: Path, namespace: str) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    settings = f"name: {namespace}\nenvironments: {{staging: {{destination: {{namespace: {namespace}}}}}}}\n"
    commit(folder, {
        ".ci-gitops.yaml": settings,
        "environments/staging/shop/settings.yaml": CONFIG,
    })  # fmt: skip
    return folder


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[FaultProxy]:
    with fault_proxy(cluster.kubeconfig) as made:
        yield made


def test_trouble_that_passes_is_told_and_waited_out(
    cli: Cli, proxy: FaultProxy, cluster: Cluster, checkout: Path, tmp_path: Path, namespace: str
) -> None:
    proxy.plan("GET /apis$", answers(503, "the server is currently unable to handle the request"))
    proxy.plan("PATCH .*configmaps/settings", answers(429, "slow down", Retry_After="1"))
    proxy.plan("PATCH .*configmaps/settings", lost)
    proxy.plan("POST .*leases", unheard)
    done = cli("deploy", "--environment", "staging", cwd=checkout, KUBECONFIG=str(proxy.kubeconfig(tmp_path)))
    assert done.code == 0, done.err
    assert "cluster faulty answered 429: slow down Try 1 of 3; again in 1 s." in done.err
    assert cluster.get("configmap", "settings", namespace)["data"] == {"mode": "calm"}


def test_a_silent_server_ends_the_run_in_its_time(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = FaultProxy(f"http://127.0.0.1:{silent.getsockname()[1]}").kubeconfig(tmp_path)
        began = time.monotonic()
        done = cli("deploy", "--environment", "staging", "--timeout", "3s", cwd=checkout, KUBECONFIG=str(path))
    assert done.code == 75, done.err
    assert "cluster faulty gave no answer" in done.err
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--context", "faulti"), 2, "has no context 'faulti'"),
        (("--kubeconfig", "absent"), 2, "absent"),
        ((), 75, "cluster faulty cannot be reached: Failed to establish a new connection"),
    ],
)
def test_what_cannot_be_reached(
    cli: Cli, checkout: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    path = FaultProxy("http://127.0.0.1:1").kubeconfig(tmp_path)
    done = cli("deploy", "--environment", "staging", "--timeout", "2s", *words, cwd=checkout, KUBECONFIG=str(path))
    assert (done.code, said in done.err) == (code, True), done.err


@pytest.mark.xdist_group("restart")
def test_a_server_that_is_killed_in_the_middle_of_a_pass(cli: Cli, tmp_path: Path) -> None:
    """The pass waits for it, or ends with 75; the next one has nothing left over."""
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    declared = "---".join(CONFIG.replace("settings", f"settings-{number}") for number in range(300))
    commit(folder, {
        ".ci-gitops.yaml": "name: acme\nenvironments: {staging: {destination: {namespace: default}}}\n",
        "environments/staging/shop/settings.yaml": declared,
    })  # fmt: skip
    with own_api_server() as server, ThreadPoolExecutor(1) as pool:
        variables = {"KUBECONFIG": str(server.cluster.kubeconfig)}
        words = ("deploy", "--environment", "staging", "-o", "json")
        running = pool.submit(cli, *words, cwd=folder, **variables)
        watcher = Kubernetes(Access(None, variables["KUBECONFIG"]), "default")
        maps = watcher.resource("v1", "ConfigMap")
        assert maps
        until(lambda: len(watcher.list(maps, "default").items) > 50 or running.done(), "the writing began")
        server.kill()
        server.revive()
        assert running.result().code in (0, 75), running.result().err
        again = cli(*words, cwd=folder, **variables)
        assert (again.code, again.json["outcome"] in ("unchanged", "succeeded")) == (0, True), again.err
        found = {item["metadata"]["name"] for item in watcher.list(maps, "default").items}
        assert {f"settings-{number}" for number in range(300)} <= found
        third = cli(*words, cwd=folder, **variables)
        assert third.json["targets"][0]["plan"]["summary"]["unchanged"] == 300
        watcher.close()
