"""A real Kubernetes API: the caller's (KUBECONFIG), a kit's (CI_GITOPS_TEST_CLUSTER), or one that we start.

With a kit and as root there is a node that runs pods; elsewhere the API server alone, where nothing is scheduled.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import secrets
import ssl
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rig.parts import at_the_end, free_port, missing, tied

#: The kit looks for free ports before it listens on them: on a busy machine another program may be faster.
_ATTEMPTS = 3
_BRIDGE = Path("/sys/class/net/k8skit0")  # of the kit that has a node on this machine
HOW = "set KUBECONFIG, or KUBEBUILDER_ASSETS to the folder that `setup-envtest use -p path` prints"


@dataclass(frozen=True)
class Cluster:
    """`kubeconfig` is an administrator's; `registry` is HOST:PORT that pods pull from, None without a node, and
    `host` this machine's address as they see it.

    `tended`: namespaces are emptied and what is owned goes with its owner, as controllers see to it.
    """

    kubeconfig: Path
    programs: Path | None
    registry: str | None
    tended: bool = True
    host: str | None = None

    @property
    def runs_pods(self) -> bool:
        return self.registry is not None

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        program = str(self.programs / "kubectl") if self.programs else "kubectl"
        done = subprocess.run([program, "--kubeconfig", str(self.kubeconfig), *arguments],
                              input=stdin, capture_output=True, text=True, check=True)  # fmt: skip
        return done.stdout

    @functools.cached_property
    def _core(self) -> Any:
        """kubectl would look at all that the server has, each time."""
        from kubernetes import client, config

        return client.CoreV1Api(config.new_client_from_config(str(self.kubeconfig)))

    def make_namespace(self, name: str) -> None:
        self._core.create_namespace({"metadata": {"name": name}})

    def drop_namespace(self, name: str) -> None:
        """Nothing is waited for, and it need not be there."""
        from kubernetes.client import ApiException

        try:
            self._core.delete_namespace(name)
        except ApiException as error:
            if error.status != 404:
                raise

    def get(self, kind: str, name: str, namespace: str) -> Any:
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if given := os.environ.get("KUBECONFIG"):
        yield Cluster(Path(given), None, os.environ.get("CLUSTER_REGISTRY"), host=os.environ.get("CLUSTER_HOST"))
    elif kit := os.environ.get("CI_GITOPS_TEST_CLUSTER"):
        yield from _from_kit(kit)
    elif assets := os.environ.get("KUBEBUILDER_ASSETS"):
        with _api_server(Path(assets), controllers=True) as made:
            yield made.cluster
    else:
        missing("a Kubernetes API", HOW)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.make_namespace(name)
    yield name
    cluster.drop_namespace(name)


def _from_kit(kit: str) -> Iterator[Cluster]:
    """As root with a node; where somebody else on this machine has the one that there can be, without."""
    modes: list[list[str]] = [[], ["--api-only"]] if os.geteuid() == 0 else [["--api-only"]]
    if os.environ.get("CI") == "true":
        modes = modes[:1]
    elif _BRIDGE.exists():
        modes = modes[-1:]  # coming up in vain, a second one would take the bridge of the first away
    for mode in modes:
        for _ in range(_ATTEMPTS):
            home = tempfile.mkdtemp(prefix="ci-gitops-cluster-")
            with at_the_end('"$@"; rm -rf "$4"', kit, "down", "--home", home, *mode):
                up = subprocess.run([kit, "up", "--home", home, *mode], capture_output=True, text=True, check=False)
                if up.returncode == 0:
                    yield _cluster(up.stdout)
                    return
    missing("the Kubernetes of the kit", up.stderr)


def _cluster(exports: str) -> Cluster:
    values = dict(re.findall(r"(?m)^export (\w+)='([^']*)'$", exports))
    assets = Path(values["KUBEBUILDER_ASSETS"])
    return Cluster(Path(values["KUBECONFIG"]), assets, values.get("CLUSTER_REGISTRY"), host=values.get("CLUSTER_HOST"))


@dataclass
class ApiServer:
    """etcd and kube-apiserver of one test, with one token that may do everything."""

    cluster: Cluster
    _etcd: subprocess.Popen[bytes]
    _api: subprocess.Popen[bytes]
    _again: Callable[[], subprocess.Popen[bytes]]

    def kill(self) -> None:
        self._api.kill()
        self._api.wait(10)

    def revive(self) -> None:
        self._api = self._again()

    def close(self) -> None:
        for process in (self._api, self._etcd):
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def own_api_server() -> Iterator[ApiServer]:
    """For what nobody else should meet; no controllers run."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        folder = Path(assets)
    elif kit := os.environ.get("CI_GITOPS_TEST_CLUSTER"):
        folder = Path(subprocess.run([kit, "programs"], capture_output=True, text=True, check=True).stdout.strip())
    else:
        missing("an API server of the test's own", HOW)
    with _api_server(folder) as made:
        yield made


def api_server(assets: Path) -> Iterator[Cluster]:
    with _api_server(assets) as made:
        yield made.cluster


@contextlib.contextmanager
def _api_server(assets: Path, *, controllers: bool = False) -> Iterator[ApiServer]:
    with tempfile.TemporaryDirectory(prefix="ci-gitops-api-") as folder:
        home = Path(folder)
        token, etcd_port, port = secrets.token_hex(16), free_port(), free_port()
        _key(home / "accounts.key")
        (home / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
        etcd = _start(home, assets / "etcd", "--data-dir", home / "etcd", "--unsafe-no-fsync",
                      "--listen-client-urls", f"http://127.0.0.1:{etcd_port}",
                      "--advertise-client-urls", f"http://127.0.0.1:{etcd_port}",
                      "--listen-peer-urls", "http://127.0.0.1:0")  # fmt: skip

        def api() -> subprocess.Popen[bytes]:
            process = _start(home, assets / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd_port}",
                             f"--secure-port={port}", "--bind-address=127.0.0.1", f"--cert-dir={home}/certificates",
                             f"--token-auth-file={home}/tokens.csv", "--authorization-mode=RBAC",
                             f"--service-account-key-file={home}/accounts.key",
                             f"--service-account-signing-key-file={home}/accounts.key",
                             "--service-account-issuer=https://kubernetes.default.svc",
                             "--disable-admission-plugins=ServiceAccount")  # fmt: skip
            try:
                _wait(f"https://127.0.0.1:{port}/readyz", token, process)
            except BaseException:
                process.kill()
                raise
            return process

        try:
            process = api()
        except BaseException:
            etcd.kill()
            raise
        manager = assets / "kube-controller-manager"  # `setup-envtest` brings none
        tended = controllers and manager.exists()
        kubeconfig = _kubeconfig(home, port, token)
        made = ApiServer(Cluster(kubeconfig, assets, None, tended), etcd, process, api)
        with contextlib.ExitStack() as stack:
            stack.callback(made.close)
            if tended:
                tending = _start(home, manager, f"--kubeconfig={kubeconfig}", "--leader-elect=false",
                                 "--controllers=namespace-controller,garbage-collector-controller",
                                 "--secure-port=0", "--kube-api-qps=200", "--kube-api-burst=400")  # fmt: skip
                stack.callback(tending.wait, 10)
                stack.callback(tending.terminate)
            yield made


def _start(home: Path, program: Path, *arguments: object) -> subprocess.Popen[bytes]:
    with (home / f"{program.name}.log").open("wb") as log:
        return subprocess.Popen(tied([str(program), *map(str, arguments)]), stdout=log, stderr=log, cwd=home)


def _wait(address: str, token: str, process: subprocess.Popen[bytes]) -> None:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(request, context=unverified, timeout=5).close()
            return
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
                pytest.fail("kube-apiserver ended at once", pytrace=False)
    pytest.fail("kube-apiserver did not come up in 60 s", pytrace=False)


def _key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _kubeconfig(home: Path, port: int, token: str) -> Path:
    path = home / "kubeconfig"
    certificate = home / "certificates" / "apiserver.crt"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": f"https://127.0.0.1:{port}", "certificate-authority": str(certificate)}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }))  # fmt: skip
    return path
