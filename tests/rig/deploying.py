"""A config repository beside a cluster: change what it declares, deploy it, look at what lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rig import cluster as clusters
from tests.rig.cli import Cli, Ran
from tests.rig.cluster import Cluster
from tests.rig.git_server import run_git
from tests.rig.parts import missing
from tests.rig.registry import RegistryServer

_PERSON = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
IMAGE = "operator/busybox"
_BEGIN = 1_760_000_000  # seconds; when the first commit is made


@dataclass
class Operator:
    """The environment `live` of a checkout, deployed to a namespace of its own."""

    cli: Cli
    folder: Path
    namespace: str
    cluster: Cluster
    image: str = "registry.invalid/web:1"
    _minutes: int = 0

    def configure(self, environment: str = "", apps: str = "", destination: str = "") -> None:
        """Write the configuration; each argument is more YAML in one line for its place."""
        also = f", {environment}" if environment else ""
        where = f"namespace: {self.namespace}{', ' + destination if destination else ''}"
        text = f"name: {self.namespace}\nenvironments: {{live: {{destination: {{{where}}}{also}}}}}\n"
        (self.folder / ".ci-gitops.yaml").write_text(text + (f"apps: {{{apps}}}\n" if apps else ""))

    def declare(self, files: Mapping[str, str | None], message: str = "Change") -> str:
        """Commit these manifests, `APP/FILE` or just `FILE` of the app `shop`; None takes a file away."""
        for name, text in files.items():
            path = self.folder / "environments/live" / (name if "/" in name else f"shop/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text)
        return self.commit(message)

    def commit(self, message: str = "Change") -> str:
        """Each commit is a minute younger than the one before: Git knows whole seconds, and some tests are faster."""
        self._minutes += 1
        moment = f"{_BEGIN + 60 * self._minutes} +0000"
        dates = {"GIT_COMMITTER_DATE": moment, "GIT_AUTHOR_DATE": moment}
        run_git("-C", self.folder, "add", "-A")
        subprocess.run(
            ["git", "-C", self.folder, *_PERSON, "commit", "-q", "--allow-empty", "-m", message],
            check=True, capture_output=True, stdin=subprocess.DEVNULL, env={**os.environ, **dates},
        )  # fmt: skip
        return run_git("-C", self.folder, "rev-parse", "HEAD").strip()

    def __call__(self, command: str, *words: object, timeout: float = 120, **variables: str) -> Ran:
        return self.cli("-o", "json", command, "--environment", "live", *words, cwd=self.folder, timeout=timeout,
                        KUBECONFIG=str(self.cluster.kubeconfig), **variables)  # fmt: skip

    def deploy(self, *words: object, code: int = 0, **variables: str) -> Any:
        """The document of `DeployResult`."""
        ran = self("deploy", *words, **variables)
        assert ran.code == code, (ran.out, ran.err)
        return ran.json

    def shop(self, *words: object, code: int = 0, **variables: str) -> Any:
        """The same for one app: its part of the document."""
        return next(
            each for each in self.deploy(*words, code=code, **variables)["targets"] if each["target"]["app"] == "shop"
        )

    def live(self, kind: str, name: str) -> Any:
        """An object as it lives; None where there is none."""
        found = self.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(found) if found else None

    def names(self, kind: str) -> list[str]:
        """The objects of a kind that are ours to deploy."""
        selector = "ci-gitops/app,!ci-gitops/outcome,!applyset.kubernetes.io/id"
        listed = json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))
        return sorted(item["metadata"]["name"] for item in listed["items"])

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *words)

    def records(self) -> list[dict[str, Any]]:
        """Newest first."""
        ran = self("history")
        assert ran.code == 0, ran.err
        found: list[dict[str, Any]] = ran.json["items"]
        return found

    def start(self, *words: object) -> subprocess.Popen[str]:
        """A deploy that goes on beside the test."""
        program = [sys.executable, "-m", "ci_gitops", "-o", "json", "deploy", "--environment", "live", *map(str, words)]
        env = {**self.cli.env, "KUBECONFIG": str(self.cluster.kubeconfig), "PATH": os.environ["PATH"]}
        return subprocess.Popen(program, cwd=self.folder, env=env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def settings(name: str = "settings", mode: str = "calm", **annotations: str) -> str:
    notes = json.dumps({key.replace("__", "/").replace("_", "-"): value for key, value in annotations.items()})
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {notes}}}\ndata: {{mode: {mode}}}\n"
    )


def workload(image: str, command: str, *, name: str = "web", kind: str = "Deployment", annotations: str = "{}",
             **more: Any) -> str:  # fmt: skip
    """A Deployment or a Job whose one container runs `command` in a shell."""
    container = {"name": "main", "image": image, "command": ["/bin/busybox", "sh", "-c", command],
                 **more.pop("container", {})}  # fmt: skip
    pod: dict[str, Any] = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    spec: dict[str, Any] = {"template": {"metadata": {"labels": {"app": name}}, "spec": pod}, **more}
    if kind == "Job":
        pod["restartPolicy"] = "Never"
        spec.setdefault("backoffLimit", 0)
    else:
        spec["selector"] = {"matchLabels": {"app": name}}
    api = "batch/v1" if kind == "Job" else "apps/v1"
    metadata = f"{{name: {name}, annotations: {annotations}}}"
    return f"apiVersion: {api}\nkind: {kind}\nmetadata: {metadata}\nspec: {json.dumps(spec)}\n"


def digests(cluster: Cluster, namespace: str, deployment: str) -> set[str]:
    """Of the images in all pods there, at the end of the Deployment's roll-out; each must be ready."""
    cluster.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=120s", "-n", namespace)
    pods = json.loads(cluster.kubectl("get", "pods", "-o", "json", "-n", namespace))["items"]
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    states = [state for pod in living for state in pod["status"]["containerStatuses"]]
    assert all(state["ready"] for state in states)
    return {state["imageID"].rpartition("@")[2] for state in states}


@pytest.fixture
def operator(cli: Cli, cluster: Cluster, tmp_path: Path) -> Iterator[Operator]:
    namespace = f"op-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / "config"
    run_git("init", "-q", "-b", "main", folder)
    made = Operator(cli, folder, namespace, cluster)
    made.configure("createNamespace: true", destination="prune: true")
    yield made
    cluster.drop_namespace(namespace)


@pytest.fixture
def pods(operator: Operator, busybox: Path) -> Operator:
    """The same where pods run; `image` is one that they can pull."""
    registry = operator.cluster.registry
    if registry is None:
        missing("a cluster that runs pods", clusters.HOW)
    server = RegistryServer(registry, Path())
    for tag in ("1", "2"):
        server.push(IMAGE, tag, files={"bin/busybox": busybox.read_bytes(), "version": tag.encode()})
    operator.image = f"{registry}/{IMAGE}:1"
    return operator
