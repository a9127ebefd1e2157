"""The demo as a newcomer runs it: with everything, and on a machine that has nothing but git."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.engine import DockerEngine

ROOT = Path(__file__).parents[2]


VARIES = re.compile(
    r"[0-9a-f]{64}|\b[0-9a-f]{12}\b|127\.0\.0\.1:\d+"  # digests, commits, ports
    r"|\S*/?demo(?=/)|\bshop(?=/(web |config|production|staging))"  # the folder
    r"|(?<=web-)[a-z0-9]{10}(-[a-z0-9]{5})?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"  # pods, times
)


def outline(text: str) -> list[str]:
    """The demo's lines without what differs from run to run; commits of one second have no order."""
    shown = text[text.index("1. An application") :].partition("\nWhat to try next")[0]
    return sorted(VARIES.sub("…", line) for line in shown.splitlines() if line.strip())


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with git and what git itself calls, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh", "env"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return str(folder)


def test_it_walks_the_road_with_git_alone(cli: Cli, tmp_path: Path, bare_path: str) -> None:
    ran = cli("demo", "--keep", "demo", cwd=tmp_path, PATH=bare_path)
    assert ran.code == 0, ran.err
    commands = [line.split()[2] for line in ran.err.splitlines() if line.startswith("$ ci-gitops ")]
    assert commands == [
        "build", "update", "update", "update", "merge", "deploy", "status", "diff", "deploy", "deploy", "update",
        "deploy", "history",
    ]  # fmt: skip
    assert "A ready-made image stands in for it" in ran.err
    assert "What to try next" in ran.out
    assert (tmp_path / "demo/image/oci-layout").exists()
    assert (tmp_path / "demo/production.json").exists()


def test_its_document_holds_every_step(cli: Cli, tmp_path: Path) -> None:
    ran = cli("-o", "json", "demo", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "DemoResult"
    kinds = [step["kind"] for step in ran.json["steps"]]
    assert kinds[-4:] == ["DeployResult", "UpdateResult", "DeployResult", "History"]
    assert list(tmp_path.iterdir()) == []


def test_production_runs_what_the_merge_request_brought(cli: Cli, tmp_path: Path) -> None:
    ran = cli("-o", "json", "demo", cwd=tmp_path)
    results = [(step["kind"], step["result"]) for step in ran.json["steps"]]
    opened = [result for kind, result in results if kind == "UpdateResult"][2]
    assert opened["mergeRequest"]["state"] == "open"
    assert len(next(result for kind, result in results if kind == "MergeResult")["merged"]) == 1
    outcomes = [result["outcome"] for kind, result in results if kind == "DeployResult"]
    assert outcomes == ["succeeded", "healed", "succeeded", "unhealthy"]


def test_this_jobs_variables_are_not_the_demos(cli: Cli, tmp_path: Path) -> None:
    ran = cli("demo", cwd=tmp_path, CI_COMMIT_BRANCH="develop", CI_GITOPS_COMMIT="1" * 40, CI_GITOPS_BRANCH="x",
              GITLAB_REMOTE_URL="https://example.invalid/x.git", CI_PROJECT_PATH="a/b")  # fmt: skip
    assert ran.code == 0, ran.err


def test_a_folder_that_holds_something_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    ran = cli("demo", "--keep", ".", cwd=tmp_path)
    assert ran.code == 2
    assert "not an empty folder" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_real_engine_builds_and_the_real_registry_keeps(
    cli: Cli, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    ran = cli("-o", "json", "demo", "--keep", "demo", cwd=tmp_path, env=docker_engine.variables)
    assert ran.code == 0, ran.err
    built = ran.json["steps"][0]
    assert outline(ran.err) == outline((ROOT / "README.md").read_text()), "README shows an older demo"
    assert built["kind"] == "BuildResult"
    assert built["result"]["digest"].startswith("sha256:")
    assert not (tmp_path / "demo/image").exists()
    assert (tmp_path / "demo/registry/images/docker/registry/v2/repositories/shop/web").is_dir()


def test_it_deploys_to_a_cluster_too(cli: Cli, tmp_path: Path, cluster: Cluster) -> None:
    context = cluster.kubectl("config", "current-context").strip()
    try:
        ran = cli("demo", "--context", context, cwd=tmp_path, KUBECONFIG=str(cluster.kubeconfig))
        assert ran.code == 0, ran.err
        live = cluster.get("deployment", "web", "shop-production")
        assert "/shop/web:" in live["spec"]["template"]["spec"]["containers"][0]["image"]
    finally:
        cluster.kubectl("delete", "namespace", "shop-production", "--ignore-not-found", "--wait=false")
