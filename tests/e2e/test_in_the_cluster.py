"""What `install` puts into a cluster, with our image in its pods: what is pushed to Git is deployed from there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import cluster as clusters
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.git_server import GitServer, tls_server
from tests.rig.image import Images
from tests.rig.parts import missing

CONFIG = """\
name: {name}
environments: {{live: {{destination: {{namespace: {name}, prune: true}}}}}}
"""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: web, image: "{image}", command: [sleep, "600"], env: [{{name: MODE, value: {mode}}}]}}]
"""


@pytest.fixture
def git(cluster: Cluster, tmp_path: Path) -> Iterator[GitServer]:
    """A server that pods reach, with a certificate of an authority of its own."""
    if not (cluster.registry and cluster.host):
        missing("a cluster whose pods reach this machine (CLUSTER_REGISTRY, CLUSTER_HOST)", clusters.HOW)
    assert cluster.host
    (tmp_path / "git").mkdir()
    with tls_server(tmp_path / "git", cluster.host) as server:
        yield server


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_a_change_that_is_pushed_to_git_is_deployed_by_the_cronjob(
    images: Images, cluster: Cluster, namespace: str, git: GitServer, cli: Cli, tmp_path: Path
) -> None:
    built = images("cluster")
    image = built.name.replace("127.0.0.1", "localhost")
    web = "environments/live/shop/web.yaml"
    url = git.create("config", {
        ".ci-gitops.yaml": CONFIG.format(name=namespace).encode(), web: WEB.format(image=image, mode="calm").encode(),
    })  # fmt: skip
    home = f"{namespace}-home"
    access = {"KUBECONFIG": str(cluster.kubeconfig), "CI_GITOPS_TOKEN": git.password}
    done = cli("install", "--environment", "live", "--repo", url, "--namespace", home, "--image", image, "--forge",
               "gitlab", "--schedule", "0 0 29 2 *", "--authority", "--apply",
               CI_SERVER_TLS_CA_FILE=str(git.ca_file), **access)  # fmt: skip
    try:
        assert done.code == 0, done.err
        token = tmp_path / "token"
        token.write_text(git.password)
        cluster.kubectl("create", "secret", "generic", "ci-gitops", "-n", home, f"--from-file=CI_GITOPS_TOKEN={token}",
                        f"--from-file=ca.crt={git.ca_file}")  # fmt: skip
        first = one_pass(cluster, home, "first")
        assert mode(cluster, namespace) == "calm"

        git.commit("config", {web: WEB.format(image=image, mode="busy").encode()}, "Be busy")
        second = one_pass(cluster, home, "second")
        assert mode(cluster, namespace) == "busy"
        assert cluster.get("deployment", "web", namespace)["status"]["readyReplicas"] == 1
        nothing = one_pass(cluster, home, "third")
        objects = cluster.kubectl("get", "cronjobs,jobs,pods,configmaps", "-n", home, "-o", "yaml")
        assert git.password not in objects + first + second + nothing + done.out + done.err
    finally:
        cluster.drop_namespace(home)


def one_pass(cluster: Cluster, home: str, name: str) -> str:
    """What the schedule would begin, now; its log."""
    (job,) = json.loads(cluster.kubectl("get", "cronjobs", "-n", home, "-o", "json"))["items"]
    cluster.kubectl("create", "job", name, "-n", home, f"--from=cronjob/{job['metadata']['name']}")
    try:
        cluster.kubectl("wait", "--for=condition=complete", f"job/{name}", "-n", home, "--timeout=150s")
    except subprocess.CalledProcessError:
        said = cluster.kubectl("logs", f"job/{name}", "-n", home, "--ignore-errors", "--tail=100")
        raise AssertionError(said + cluster.kubectl("describe", "pods", "-n", home)) from None
    return cluster.kubectl("logs", f"job/{name}", "-n", home)


def mode(cluster: Cluster, namespace: str) -> str:
    containers = cluster.get("deployment", "web", namespace)["spec"]["template"]["spec"]["containers"]
    value: str = containers[0]["env"][0]["value"]
    return value
