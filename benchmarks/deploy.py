"""`deploy` and `diff` against kubectl: 1,010 objects in 10 namespaces, and many small targets.

On an API server without a node, `--no-wait`: what is measured is reading, planning and writing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import Row, process, seconds
from tests.rig.cluster import Cluster, api_server
from tests.rig.git_server import run_git

NAMESPACES = 10
OF_EACH = 250
TARGETS, IN_A_TARGET = 100, 10
ROUNDS = 5
_NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
_SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{mode: calm, colour: blue}}\n"
_OBJECTS = """\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: {namespace}}}
data: {{mode: calm, colour: blue}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      serviceAccountName: {name}
      containers:
        - name: web
          image: registry.example.com/web:1
          ports: [{{containerPort: 8080}}]
          envFrom: [{{configMapRef: {{name: {name}}}}}]
          resources: {{requests: {{cpu: 10m, memory: 16Mi}}}}
"""
_BOUNDS = {"first apply": 0.8, "nothing to do": 0.35, "diff without a difference": 0.25}
_IDENTITY = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")


def measure() -> Iterator[Row]:
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in _BOUNDS}
    for number in range(ROUNDS):
        with _bench() as bench:
            for name, ours, theirs in bench.one_large(number):
                times[name][0].append(ours)
                times[name][1].append(theirs)
    for name, bound in _BOUNDS.items():
        yield Row(f"{NAMESPACES + 4 * OF_EACH} objects: {name}", *times[name], bound=bound)
    with _bench() as bench:
        for name, own, peer in bench.kustomized():
            yield Row(f"the same by kustomize: {name}", [own], [peer])
    with _bench() as bench:
        yield Row(f"{TARGETS} targets of {IN_A_TARGET} objects, nothing to do", bench.many_small(), bound=5.0)
        print(f"peak memory: {bench.peak()} MiB (bound 200)", file=sys.stderr)


@contextmanager
def _bench() -> Iterator[Bench]:
    """Each on an API server of its own, so that nothing of an earlier round is there."""
    with tempfile.TemporaryDirectory() as folder, contextmanager(api_server)(_assets()) as cluster:
        yield Bench(Path(folder), cluster)


def _assets() -> Path:
    """The folder with etcd, kube-apiserver and kubectl."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(given)
    if kit := os.environ.get("CI_GITOPS_TEST_CLUSTER"):
        return Path(subprocess.run([kit, "programs"], capture_output=True, text=True, check=True).stdout.strip())
    raise SystemExit("benchmarks.deploy needs KUBEBUILDER_ASSETS: what `setup-envtest use -p path` prints")


class Bench:
    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root = root
        self.kubectl = f"{cluster.programs}/kubectl"
        self.env = {"PATH": f"{cluster.programs}:{os.environ['PATH']}", "HOME": str(root), "LANG": "C.UTF-8",
                    "KUBECONFIG": str(cluster.kubeconfig), "PYTHONPATH": str(Path.cwd())}  # fmt: skip

    def one_large(self, number: int) -> Iterator[tuple[str, float, float]]:
        """First apply, nothing to do, diff: kubectl and we in turns, each on objects of its own."""
        ours, theirs = self._checkout("ours"), self._checkout("theirs")
        folder = theirs / "environments/live/shop"
        apply, diff = ([self.kubectl, verb, "--server-side", "-f", folder] for verb in ("apply", "diff"))
        turns = (
            ("first apply", self._ours(ours, "deploy", "--no-wait"), process(*apply, env=self.env)),
            ("nothing to do", self._ours(ours, "deploy", "--no-wait"), process(*apply, env=self.env)),
            ("diff without a difference", self._ours(ours, "diff"), process(*diff, env=self.env)),
        )
        for name, mine, other in turns:
            pair = [(each, seconds(action)) for each, action in ((0, mine), (1, other))[:: 1 - 2 * (number % 2)]]
            own, peer = (took for _, took in sorted(pair))
            yield name, own, peer

    def kustomized(self) -> Iterator[tuple[str, float, float]]:
        """A kustomize target, against `kustomize build | kubectl apply --server-side`."""
        ours, theirs = self._checkout("ours", kustomize=True), self._checkout("theirs", kustomize=True)
        pipe = f"kustomize build {theirs}/environments/live/shop | kubectl apply --server-side -f -"
        deploy, apply = self._ours(ours, "deploy", "--no-wait"), process("sh", "-c", pipe, env=self.env)
        for name in ("first apply", "nothing to do"):
            yield name, seconds(deploy), seconds(apply)

    def many_small(self) -> list[float]:
        """One pass with nothing to do over many targets."""
        deploy = self._ours(self._targets(), "deploy", "--no-wait")
        deploy()
        return [seconds(deploy) for _ in range(ROUNDS)]

    def peak(self) -> int:
        """The most memory that a first apply of the large set takes, in MiB."""
        words = self._words(self._checkout("peak"), "deploy", "--no-wait")
        running = subprocess.Popen(words, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        return used.ru_maxrss // 1024

    def _checkout(self, name: str, *, kustomize: bool = False) -> Path:
        folder = self.root / name
        path = folder / "environments/live/shop"
        path.mkdir(parents=True)
        spaces = [f"{name}-{number}" for number in range(NAMESPACES)]
        documents = [_NAMESPACE.format(name=space) for space in spaces]
        for number in range(OF_EACH):
            documents += [_OBJECTS.format(name=f"web-{number}", namespace=spaces[number % NAMESPACES])]
        (path / "all.yaml").write_text("---\n".join(documents))
        if kustomize:
            (path / "kustomization.yaml").write_text("resources: [all.yaml]\n")
        (folder / ".ci-gitops.yaml").write_text(
            f"name: {name}\nenvironments: {{live: {{destination: {{namespace: {spaces[0]}}}}}}}\n"
        )
        return _committed(folder)

    def _targets(self) -> Path:
        folder = self.root / "many"
        for number in range(TARGETS):
            path = folder / f"environments/live/app{number}"
            path.mkdir(parents=True)
            settings = (_SETTINGS.format(name=f"settings-{number}-{each}") for each in range(IN_A_TARGET))
            (path / "all.yaml").write_text("---\n".join(settings))
        (folder / ".ci-gitops.yaml").write_text(
            "name: many\nenvironments: {live: {createNamespace: true, destination: {namespace: many}}}\n"
        )
        return _committed(folder)

    def _ours(self, folder: Path, command: str, *words: str) -> Callable[[], object]:
        return process(*self._words(folder, command, *words), env=self.env)

    @staticmethod
    def _words(folder: Path, command: str, *words: str) -> list[str]:
        program = [sys.executable, "-m", "ci_gitops", "-q", command, "--environment", "live", "--repo", str(folder)]
        return [*program, *words]


def _committed(folder: Path) -> Path:
    run_git("init", "-q", "-b", "main", folder)
    run_git("-C", folder, "add", "-A")
    run_git("-C", folder, *_IDENTITY, "commit", "-qm", "Declare it")
    return folder
