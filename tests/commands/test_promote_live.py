"""`promote` from a real cluster: where the record has a tag alone, the digest is the one that its pods run."""

from __future__ import annotations

from pathlib import Path

from tests.rig.deploying import IMAGE, Operator, workload
from tests.rig.registry import RegistryServer


def test_the_digest_that_the_pods_pulled(pods: Operator) -> None:
    pods.declare({"web.yaml": workload(pods.image, "sleep 1000")})
    next_one = pods.folder / "environments/prod/shop/web.yaml"
    next_one.parent.mkdir(parents=True)
    next_one.write_text(workload(pods.image.removesuffix(":1") + ":0", "sleep 1000"))
    config = pods.folder / ".ci-gitops.yaml"
    config.write_text(config.read_text().rstrip("}\n") + "}, prod: {write: push}}\n")
    pods.commit()
    pods.deploy("--timeout", "60s")
    host, _, _ = pods.image.partition("/")
    digest, _ = RegistryServer(host, Path()).manifest(IMAGE, "1")
    ran = pods.cli("-o", "json", "promote", "--from", "live", "--to", "prod", "--repo", pods.folder, "--dry-run",
                   cwd=pods.folder, KUBECONFIG=str(pods.cluster.kubeconfig))  # fmt: skip
    assert ran.code == 0, ran.err
    (image,) = ran.json["promoted"][0]["images"]
    assert (image["image"], image["digestFrom"]) == (f"{pods.image}@{digest}", "deployed")
