"""`verify` and `why` after real deployments: of pods on a cluster, through a merge request that somebody approved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rig import cluster as rig
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer
from tests.rig.parts import missing
from tests.rig.registry import RegistryServer

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: {image}:1.0
          command: [/bin/busybox, sh, -c, "echo well > /index.html; exec /bin/busybox httpd -f -p 80 -h /"]
          readinessProbe: {{httpGet: {{path: /, port: 80}}, periodSeconds: 1, timeoutSeconds: 10}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}
"""
CONFIG = """\
apps: {{shop: {{path: "deploy/{{environment}}"}}}}
environments:
  production:
    write: merge-request
    merge: when-green
    gates: {{approvals: 1}}
    destination: {{namespace: {namespace}}}
"""
SOURCE = {
    "CI_COMMIT_SHA": "4f1a" * 10, "CI_PROJECT_PATH": "group/shop", "CI_PIPELINE_ID": "812",
    "CI_COMMIT_TIMESTAMP": "2026-11-21T10:00:00+00:00",
}  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """A config repository whose app runs in a namespace of its own."""

    cli: Cli
    server: GitServer
    cluster: rig.Cluster
    namespace: str
    image: str

    def __call__(self, *words: object, **variables: str) -> Ran:
        local = ("--repo", self.server.bare("shop"), "--branch", "main")
        return self.cli("-o", "json", *words, *local, KUBECONFIG=str(self.cluster.kubeconfig), **variables)

    def text(self, *words: object) -> Ran:
        local = ("--repo", self.server.bare("shop"), "--branch", "main")
        return self.cli(*words, *local, KUBECONFIG=str(self.cluster.kubeconfig))

    def bring(self, tag: str) -> str:
        """A new tag by merge request, approved and merged; the commit on the branch."""
        asked = self("update", f"{self.image}:{tag}", "--environment", "production", **SOURCE)
        assert asked.code == 0, asked.err
        merged = self("merge", "--environment", "production", "--approve")
        assert merged.json["merged"], merged.err
        return self.server.head("shop")


@pytest.fixture
def shop(cli: Cli, git_server: GitServer, cluster: rig.Cluster, namespace: str, busybox: Path) -> Shop:
    if cluster.registry is None:
        missing("a cluster that runs pods", rig.HOW)
    image = f"{cluster.registry}/{namespace}/web"
    labels = {"org.opencontainers.image.revision": "4f1a" * 10, "org.opencontainers.image.source": "https://git/shop"}
    RegistryServer(cluster.registry, Path()).push(
        f"{namespace}/web", "1.1", labels, files={"bin/busybox": busybox.read_bytes()}
    )
    files = {
        "deploy/production/app.yaml": DEPLOYMENT.format(image=image),
        ".ci-gitops.yaml": CONFIG.format(namespace=namespace),
    }
    git_server.create("shop", {path: text.encode() for path, text in files.items()})
    return Shop(cli, git_server, cluster, namespace, image)


def named(document: Any) -> str:
    return f"{document['kind']} {document['name']}"


def test_from_what_runs_to_who_brought_it_and_from_what_fails_to_its_reason(shop: Shop) -> None:
    early = shop("verify", "--environment", "production", "--timeout", "1s")
    assert early.code == 4, early.err
    assert "Nothing of it was deployed yet." in early.err
    nothing = shop("why", "--environment", "production")
    assert (nothing.code, nothing.json["health"]["status"]) == (0, "missing"), nothing.err

    head = shop.bring("1.1")
    deployed = shop("deploy", "--environment", "production", "--timeout", "60s")
    assert deployed.code == 0, deployed.err
    well(shop, head)
    explained(shop, head)

    shop.bring("1.2")  # which nobody has built
    runs_on = shop("verify", "--environment", "production", "--timeout", "30s")
    assert runs_on.code == 0, runs_on.err
    pending = shop(
        "verify", "--environment", "production", "--timeout", "2s", CI_GITOPS_COMMIT=shop.server.head("shop")
    )
    assert pending.code == 4
    assert "was not deployed yet" in pending.err
    failing(shop)


def well(shop: Shop, head: str) -> None:
    verified = shop("verify", "--environment", "production", CI_GITOPS_COMMIT=head)
    assert verified.code == 0, verified.err
    [item] = verified.json["items"]
    assert (verified.json["kind"], item["sync"], item["health"]["status"]) == ("Status", "synced", "healthy")


def explained(shop: Shop, head: str) -> None:
    found = shop("why", "--environment", "production", "deployment/web")
    assert found.code == 0, found.err
    document = found.json
    assert (document["kind"], named(document["object"])) == ("Explanation", "Deployment web")
    assert (document["health"]["status"], document["troubles"]) == ("healthy", [])
    assert document["record"]["revision"] == head
    [image] = document["images"]
    assert image["image"] == f"{shop.image}:1.1"
    assert image["digests"][0].startswith("sha256:")
    assert image["source"] == {"project": "group/shop", "commit": "4f1a" * 10, "pipeline": 812,
                               "time": "2026-11-21T10:00:00+00:00"}  # fmt: skip
    assert image["mergeRequest"]["iid"] == 1
    assert len(image["mergeRequest"]["approvers"]) == 1
    assert image["labels"]["source"] == "https://git/shop"

    [pod] = [line.split()[0] for line in shop.cluster.kubectl(
        "get", "pods", "-n", shop.namespace, "--no-headers").splitlines()]  # fmt: skip
    below = shop("why", "--environment", "production", f"pod/{pod}")
    assert [named(owner) for owner in below.json["owners"]] == [
        "Deployment web",
        f"ReplicaSet {pod.rpartition('-')[0]}",
    ]
    story = shop.text("why", "--environment", "production", "deploy/web").out
    for line in (
        f"Deployment {shop.namespace}/web of shop in production is healthy: 1 of 1 replica is available.",
        "  Built from group/shop at 4f1a4f1a4f1a, pipeline 812",
        '  Merge request !1 "',
        "approved by ",
        f"  Revision: {head[:12]}",
    ):
        assert line in story, story

    two = shop("why", "--environment", "production", "web")
    assert two.code == 2
    assert "Write deployment/web or service/web." in two.err
    wrong = shop("why", "--environment", "production", "deployment/wob")
    assert wrong.code == 2
    assert "Did you mean 'deployment/web'?" in wrong.err


def failing(shop: Shop) -> None:
    deployed = shop("deploy", "--environment", "production", "--timeout", "60s")
    assert deployed.code == 4, deployed.err
    found = shop("why", "--environment", "production")
    assert found.code == 0, found.err
    [trouble] = found.json["troubles"]
    assert named(trouble["object"]) == "Deployment web"
    assert named(trouble["causes"][0][-1]["object"]).startswith("Pod web-")
    assert "ImagePull" in trouble["causes"][0][-1]["health"]["message"]
    assert trouble["advice"][0].startswith(f"The registry has no {shop.image}:1.2")
    assert found.json["record"]["outcome"] == "failed"

    verified = shop("verify", "--environment", "production", "--timeout", "4s")
    assert verified.code == 4
    [item] = verified.json["items"]
    assert item["health"]["status"] == "progressing"
    assert "Not healthy within" in item["health"]["message"]
    assert verified.json["error"]["type"] == "unhealthy"
    assert verified.json["troubles"][0]["advice"] == trouble["advice"]


def test_checks_are_asked_when_all_is_healthy(
    cli: Cli, git_server: GitServer, cluster: rig.Cluster, namespace: str
) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
    check = "checks: [{http: 'http://127.0.0.1:1/ready?token=rabbit-hole', within: 1s}]"
    config = f"environments: {{production: {{{check}, destination: {{namespace: {namespace}}}}}}}\n"
    git_server.create("shop", {"environments/production/shop/app.yaml": service.encode(),
                               ".ci-gitops.yaml": config.encode()})  # fmt: skip
    words = ("--environment", "production", "--repo", git_server.bare("shop"), "--branch", "main",
             "--kubeconfig", cluster.kubeconfig)  # fmt: skip
    deployed = cli("deploy", *words)
    assert deployed.code == 4, deployed.err
    assert "Check http://127.0.0.1:1/ready?…: does not answer" in deployed.err
    assert "rabbit-hole" not in deployed.err + deployed.out


def test_a_folder_has_no_health_and_is_verified_by_what_was_written(
    cli: Cli, git_server: GitServer, tmp_path: Path
) -> None:
    workload = DEPLOYMENT.format(image="registry.example.com/web")
    git_server.create("shop", {"environments/production/shop/app.yaml": workload.encode()})
    words = ("--environment", "production", "--repo", git_server.bare("shop"), "--branch", "main",
             "--destination", f"dir:{tmp_path}/live")  # fmt: skip
    assert cli("deploy", *words).code == 0
    verified = cli("-o", "json", "verify", *words, "--timeout", "60s")
    assert verified.code == 0, verified.err
    assert verified.json["items"][0]["health"] is None
    found = cli("-o", "json", "why", *words)
    assert found.code == 0, found.err
    assert found.json["health"] is None
    assert found.json["images"][0]["image"] == "registry.example.com/web:1.0"
    assert found.json["images"][0]["commit"] is None


def test_a_simulated_cluster_is_explained_alike(cli: Cli, git_server: GitServer, tmp_path: Path) -> None:
    """Whoever has no cluster sees what a rollout that never gets ready looks like."""
    text = DEPLOYMENT.format(image="localhost:1/web").replace("web:1.0", "web:stall")
    git_server.create("shop", {"environments/production/shop/app.yaml": text.encode()})
    words = ("--environment", "production", "--repo", git_server.bare("shop"), "--branch", "main",
             "--destination", f"simulated:{tmp_path}/cluster.json")  # fmt: skip
    deployed = cli("deploy", *words, "--timeout", "6s")
    assert deployed.code == 4, deployed.err
    assert "It runs and is not ready" in deployed.out
    verified = cli("-o", "json", "verify", *words, "--timeout", "1s")
    assert verified.code == 4, verified.err
    assert verified.json["items"][0]["health"]["status"] == "progressing"
    found = cli("-o", "json", "why", *words, "web")
    assert found.code == 2, found.err
    found = cli("-o", "json", "why", *words, "deploy/web")
    [trouble] = found.json["troubles"]
    assert trouble["causes"][0][-1]["object"]["kind"] == "Pod"
    git_server.commit(
        "shop", {"environments/production/shop/app.yaml": None, "environments/production/blog/a.yaml": b""}
    )
    gone = cli("-o", "json", "why", *words, "--app", "shop", "deploy/web")
    assert gone.code == 0, gone.err
    unknown = cli("why", *words, "--app", "shup")
    assert unknown.code == 2
