"""The road at once, on real parts: a commit, an image in a registry, edits in Git, a merge request, running pods.

The repository has the shape that most pipelines with GitLab, Kustomize and Argo CD have: application and overlays
together, deprecated fields, a key that stands twice.
"""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.rig.cli import Cli, Ran
from tests.rig.cluster import Cluster
from tests.rig.engine import DockerEngine
from tests.rig.git_server import GitServer, run_git
from tests.rig.parts import program
from tests.rig.registry import RegistryServer

DOCKERFILE = """\
FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
"""
BASE = """\
commonLabels:
  app: web
namespace: default
resources:
  - deployment.yaml
  - service.yaml
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  template:
    spec:
      containers:
        - name: web
          image: {image}
          envFrom: [{{configMapRef: {{name: settings}}}}]
          ports: [{{containerPort: 8080}}]
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports: [{port: 80, targetPort: 8080}]
"""
OVERLAY = """\
# {environment}: changed by the pipeline, please keep the comments
resources:
  - ../../base
namePrefix: {environment}-
namespace: {namespace}
resources:
  - ../../base
configMapGenerator:
  - name: settings
    envs: [.env]
patchesStrategicMerge:
  - deployment_patch.yaml
images:
  - name: {image}
    newTag: 3f786850e387550fdab836ed7e6dc881de23001b   # the commit
"""
PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  revisionHistoryLimit: 3
"""


def classic(image: str, namespaces: dict[str, str]) -> dict[str, bytes]:
    files = {
        "Dockerfile": DOCKERFILE,
        "index.html": "hello from {commit}\n",
        ".kubernetes/base/kustomization.yaml": BASE,
        ".kubernetes/base/deployment.yaml": DEPLOYMENT.format(image=image),
        ".kubernetes/base/service.yaml": SERVICE,
    }
    for environment, namespace in namespaces.items():
        folder = f".kubernetes/overlays/{environment}"
        files[f"{folder}/kustomization.yaml"] = OVERLAY.format(
            environment=environment, namespace=namespace, image=image
        )
        files[f"{folder}/.env"] = f"MODE={environment}\n"
        files[f"{folder}/deployment_patch.yaml"] = PATCH
    return {path: text.encode() for path, text in files.items()}


@dataclass(frozen=True)
class Project:
    """A project on the Git server, and a job's checkout of it."""

    server: GitServer
    cli: Cli
    folder: Path
    host: str  # of the registry

    @property
    def image(self) -> str:
        return f"{self.host}/shop/web"

    @property
    def variables(self) -> dict[str, str]:
        """What the team's project and GitLab set for the job."""
        return {
            "DOCKER_REGISTRY_HOST": self.host,
            "DOCKER_REGISTRY_IMAGE": "shop/web",
            "GITLAB_REMOTE_URL": self.server.url("shop"),
            "GITLAB_USERNAME": "Deploy Robot",
            "GITLAB_EMAIL": "robot@example.com",
            "CI_GITOPS_TOKEN": self.server.password,
            "CI_COMMIT_SHA": self.commit,
            "CI_COMMIT_BRANCH": "main",
            "CI_PIPELINE_ID": "12",
            "CI_PROJECT_PATH": "shop",
            "CI_PROJECT_URL": f"{self.server.base}/shop",
        }

    @property
    def commit(self) -> str:
        return run_git("-C", self.folder, "rev-parse", "HEAD").strip()

    def run(self, *words: object, **variables: str) -> Ran:
        ran = self.cli(*words, cwd=self.folder, env=self.variables, **variables)
        assert ran.code == 0, ran.err
        return ran

    def changed_lines(self) -> list[str]:
        """What the newest commit of main took out and put in."""
        shown = run_git("--git-dir", self.server.bare("shop"), "show", "--format=", "--unified=0", "-m",
                        "--first-parent", "main")  # fmt: skip
        return [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]

    def built_by_kustomize(self, environment: str, folder: Path) -> list[object]:
        """What the real kustomize makes of the newest commit."""
        run_git("clone", "--quiet", self.server.bare("shop"), folder)
        return kustomized(folder / ".kubernetes/overlays" / environment)


def kustomized(overlay: Path) -> list[object]:
    kustomize = program("kustomize", "Debian's package kustomize, or https://kubectl.docs.kubernetes.io")
    built = subprocess.run([kustomize, "build", str(overlay)], capture_output=True, text=True, check=True)
    return sorted(yaml.safe_load_all(built.stdout), key=str)


def project(server: GitServer, cli: Cli, folder: Path, host: str, namespaces: dict[str, str]) -> Project:
    server.create("shop", classic(f"{host}/shop/web", namespaces))
    run_git("clone", "--quiet", server.bare("shop"), folder)
    kustomize = program("kustomize", "Debian's package kustomize, or https://kubectl.docs.kubernetes.io")
    cli.env["PATH"] = f"{Path(kustomize).parent}:{cli.env['PATH']}"
    return Project(server, cli, folder, host)


def test_from_a_commit_to_what_runs(
    cli: Cli, tmp_path: Path, git_server: GitServer, docker_engine: DockerEngine, busybox: Path,
    registry: RegistryServer, cluster: Cluster, namespace: str,
) -> None:  # fmt: skip
    host = cluster.registry or registry.host
    shop = project(git_server, cli, tmp_path / "job", host, {"staging": "elsewhere", "production": namespace})
    shutil.copy(busybox, shop.folder / "busybox")
    (shop.folder / "index.html").write_text(f"hello from {shop.commit}\n")

    built = shop.run("-o", "json", "build", "--network", "none", "--result", "build.json", **docker_engine.variables)
    assert built.json["ref"].startswith(f"{shop.image}:{shop.commit}@sha256:")

    shop.run("update", "--from", "build.json", "--environment", "staging")
    out, tag, digest = shop.changed_lines()
    assert out == "-    newTag: 3f786850e387550fdab836ed7e6dc881de23001b   # the commit"
    assert tag.replace('"', "") == f"+    newTag: {shop.commit}   # the commit"
    assert digest == f"+    digest: {built.json['digest']}"

    forge = ("--repo", git_server.bare("shop"), "--branch", "main")
    asked = shop.run("-o", "json", "update", "--from", "build.json", "--environment", "production",
                     "--write", "merge-request", *forge)  # fmt: skip
    assert asked.json["mergeRequest"]["state"] == "open"
    merged = shop.run("-o", "json", "merge", "--environment", "production", "--approve", *forge)
    assert len(merged.json["merged"]) == 1

    words = ("-o", "json", "deploy", "--environment", "production", "--repo", git_server.url("shop"))
    written = shop.run(*words, "--destination", f"dir:{tmp_path}/live")
    assert written.json["revision"] == git_server.head("shop")
    files = [yaml.safe_load(file.read_text()) for file in (tmp_path / "live/production").rglob("*.yaml")]
    assert sorted(files, key=str) == shop.built_by_kustomize("production", tmp_path / "check")

    words = (*words, "--kubeconfig", cluster.kubeconfig, "--record-namespace", namespace)
    patience = () if cluster.runs_pods else ("--no-wait",)
    applied = shop.run(*words, *patience)
    assert applied.json["outcome"] == ("succeeded" if cluster.runs_pods else "applied")
    live = cluster.get("deployment", "production-web", namespace)
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == built.json["ref"]
    assert shop.run(*words).json["outcome"] == "unchanged"
    if cluster.runs_pods:
        address = cluster.get("service", "production-web", namespace)["spec"]["clusterIP"]
        with urllib.request.urlopen(f"http://{address}/", timeout=20) as answer:
            assert answer.read().decode() == f"hello from {shop.commit}\n"


def test_the_second_job_does_what_kustomize_edit_did(cli: Cli, tmp_path: Path, git_server: GitServer) -> None:
    """The team's variables as they are: same branch, same author, same manifests, and one line changed."""
    shop = project(
        git_server, cli, tmp_path / "job", "registry.example.com", {"staging": "staging", "production": "production"}
    )
    shop.run("update", f"{shop.image}:{shop.commit}")
    assert len(shop.changed_lines()) == 2
    author = run_git("--git-dir", git_server.bare("shop"), "log", "-1", "--format=%an <%ae>", "main").strip()
    assert author == "Deploy Robot <robot@example.com>"
    by_hand = tmp_path / "by-hand"
    shutil.copytree(shop.folder, by_hand)
    overlay = by_hand / ".kubernetes/overlays/production"
    text = (overlay / "kustomization.yaml").read_text()
    # kustomize edit refuses the key that stands twice, so the old job's edit is made on a file without it.
    (overlay / "kustomization.yaml").write_text(text.replace("resources:\n  - ../../base\n", "", 1))
    kustomize = program("kustomize", "Debian's package kustomize")
    subprocess.run([kustomize, "edit", "set", "image", f"{shop.image}:{shop.commit}"], cwd=overlay, check=True)
    assert shop.built_by_kustomize("production", tmp_path / "check") == kustomized(overlay)


def test_the_same_pipeline_again_changes_nothing(cli: Cli, tmp_path: Path, git_server: GitServer) -> None:
    shop = project(git_server, cli, tmp_path / "job", "registry.example.com", {"production": "production"})
    shop.run("update", f"{shop.image}:{shop.commit}")
    head = git_server.head("shop")
    shop.run("update", f"{shop.image}:{shop.commit}")
    assert git_server.head("shop") == head


@pytest.mark.parametrize("branch", ["feature", "develop"])
def test_a_branch_of_no_environment_is_refused(cli: Cli, tmp_path: Path, git_server: GitServer, branch: str) -> None:
    shop = project(git_server, cli, tmp_path / "job", "registry.example.com", {"production": "production"})
    git_server.commit("shop", {"README.md": b"x"}, branch=branch)
    ran = cli("update", f"{shop.image}:1", cwd=shop.folder, env={**shop.variables, "CI_COMMIT_BRANCH": branch})
    assert ran.code == 2, ran.err
