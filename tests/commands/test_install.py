"""`install`: what it prints runs on a real API server, with no right too many, and shows no secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.generate import BASE
from tests.commands.test_deploy import commit, git
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.parts import program

SECRET = "a-password-of-somebody"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: registry.invalid/web:1}]}}
"""


@pytest.fixture
def checkout(tmp_path: Path, namespace: str) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "origin", f"https://alice:{SECRET}@git.example.com:8443/acme/config.git")
    commit(folder, {
        "environments/EU.staging/shop/all.yaml": WEB,
        ".ci-gitops.yaml": f"environments: {{EU.staging: {{destination: {{namespace: {namespace}}}}}}}\n",
    })  # fmt: skip
    return folder


@pytest.fixture
def home(cluster: Cluster, namespace: str) -> Iterator[str]:
    """The namespace of the operator."""
    name = f"{namespace}-home"
    yield name
    cluster.drop_namespace(name)


def test_what_is_printed_is_what_an_api_server_takes(
    cli: Cli, cluster: Cluster, namespace: str, home: str, checkout: Path, tmp_path: Path
) -> None:
    call = ("install", "--environment", "EU.staging", "--namespace", home, "--forge", "gitlab")
    printed = cli(*call, cwd=checkout, KUBECONFIG=str(cluster.kubeconfig))
    assert printed.code == 0, printed.err
    assert SECRET not in printed.out + printed.err
    assert f"the Secret ci-gitops in {home}" in printed.err
    file = tmp_path / "operator.yaml"
    file.write_text(printed.out)
    cluster.kubectl("apply", "--server-side", "-f", str(file))

    settings, (job,) = _of(printed.out, "ConfigMap")[0]["data"], _of(printed.out, "CronJob")
    assert settings == {
        "CI_GITOPS_ENVIRONMENT": "EU.staging", "CI_GITOPS_REPO": "https://git.example.com:8443/acme/config.git",
        "CI_GITOPS_FORGE": "gitlab",
    }  # fmt: skip
    assert job["metadata"]["name"].startswith("ci-gitops-eu-staging-")
    who = f"system:serviceaccount:{home}:{job['spec']['jobTemplate']['spec']['template']['spec']['serviceAccountName']}"
    assert _may(cluster, tmp_path, who, "patch", "deployments", namespace)
    assert not _may(cluster, tmp_path, who, "patch", "daemonsets", namespace)
    assert not _may(cluster, tmp_path, who, "get", "secrets", home)
    ports = [each["port"] for each in _of(printed.out, "NetworkPolicy")[0]["spec"]["egress"][0]["ports"]]
    assert ports == [53, 53, 443, 6443, 8443]


def test_it_applies_them_itself_and_again(cli: Cli, cluster: Cluster, home: str, checkout: Path) -> None:
    call = ("install", "--environment", "EU.staging", "--namespace", home, "--scan-schedule", "@hourly", "--apply")
    access = {"KUBECONFIG": str(cluster.kubeconfig)}
    shown = cli(*call, "--dry-run", cwd=checkout, **access)
    assert shown.code == 0, shown.err
    assert "would be applied" in shown.out
    assert not cluster.kubectl("get", "namespace", home, "--ignore-not-found")
    first = cli(*call, cwd=checkout, **access)
    assert first.code == 0, first.err
    jobs = cluster.kubectl("get", "cronjobs", "-n", home, "-o", "name").split()
    assert [name.rpartition("-")[2] for name in jobs] == ["deploy", "scan"]
    version = cluster.kubectl("get", jobs[0], "-n", home, "-o", "jsonpath={.metadata.resourceVersion}")
    assert cli(*call, cwd=checkout, **access).code == 0
    assert cluster.kubectl("get", jobs[0], "-n", home, "-o", "jsonpath={.metadata.resourceVersion}") == version


def test_a_folder_is_no_place_that_pods_reach(cli: Cli, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, {"environments/staging/shop/all.yaml": WEB})
    refused = cli("install", "--environment", "staging", cwd=tmp_path)
    assert refused.code == 2
    assert "which no pod can reach" in refused.err
    assert "--repo URL" in refused.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--namespace", "x\n---\nkind: ClusterRoleBinding"), ("--namespace", "$(id)"), ("--secret", "a; id"),
        ("--image", "cli:1\ncommand: [sh]"), ("--schedule", "* * * *"), ("--schedule", "never"),
        ("--scan-schedule", "99 * * * *"),
    ],
)  # fmt: skip
def test_what_is_no_name_time_or_image_is_refused(cli: Cli, tmp_path: Path, option: str, value: str) -> None:
    refused = cli("install", "--environment", "staging", option, value, cwd=tmp_path)
    assert refused.code == 2
    assert ("cli:1" if option == "--image" else f"{option}: ") in refused.err
    assert not refused.out


@pytest.mark.parametrize("overlay", ["production", "staging"])
def test_the_kustomize_base_is_the_same(overlay: str) -> None:
    folder = BASE.parent / "overlays" / overlay
    kustomize = program("kustomize", "apt-get install kustomize")
    built = subprocess.run([kustomize, "build", folder], capture_output=True, text=True, check=True).stdout
    kinds = sorted(each["kind"] for each in yaml.safe_load_all(built))
    scans = ["CronJob"] if overlay == "production" else []
    assert kinds == sorted(["ConfigMap", "CronJob", *scans, "Namespace", "NetworkPolicy", "Role", "RoleBinding",
                            "ServiceAccount"])  # fmt: skip
    job = next(each for each in _of(built, "CronJob") if each["metadata"]["name"].endswith("deploy"))
    ours = yaml.safe_load((BASE / "cronjob-ci-gitops-deploy.yaml").read_text())
    assert job["spec"]["jobTemplate"] == ours["spec"]["jobTemplate"]


def _of(stream: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(stream) if each["kind"] == kind]


def _may(cluster: Cluster, folder: Path, who: str, verb: str, resource: str, namespace: str) -> bool:
    attributes = {"verb": verb, "resource": resource, "namespace": namespace}
    if resource != "secrets":
        attributes["group"] = "apps"
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": attributes},
    }  # fmt: skip
    file = folder / "review.json"
    file.write_text(json.dumps(review))
    allowed: bool = json.loads(cluster.kubectl("create", "-f", str(file), "-o", "json"))["status"]["allowed"]
    return allowed
