"""The demo as a newcomer runs it: with everything, and on a machine that has nothing but git."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from ci_gitops.adapters import process
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.engine import DockerEngine

ROOT = Path(__file__).parents[2]


VARIES = re.compile(
    r"[0-9a-f]{64}|\b[0-9a-f]{12}\b|127\.0\.0\.1:\d+"  # digests, commits, ports
    r"|\S*/?demo(?=/)|\bshop(?=/(web |config|production|staging))"  # the folder
    r"|(?<=waits for approvals), soak|\bsoak +(waiting|passed) .*"  # how fast this machine is
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


def test_production_runs_what_staging_ran_well_and_goes_back(cli: Cli, tmp_path: Path) -> None:
    """Its document holds every step, and this job's variables are not the demo's."""
    ran = cli(
        "-o",
        "json",
        "demo",
        cwd=tmp_path,
        CI_COMMIT_BRANCH="develop",
        CI_GITOPS_COMMIT="1" * 40,
        CI_GITOPS_BRANCH="x",
        GITLAB_REMOTE_URL="https://example.invalid/x.git",
        CI_PROJECT_PATH="a/b",
    )
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "DemoResult"
    assert list(tmp_path.iterdir()) == []
    results = [(step["kind"], step["result"]) for step in ran.json["steps"]]
    promotions = [result for kind, result in results if kind == "PromotionResult"]
    assert [one["outcome"] for one in promotions] == ["opened", "opened", "unchanged"]
    assert [len(result["merged"]) for kind, result in results if kind == "MergeResult"] == [1, 1]
    (gates,) = (result for kind, result in results if kind == "GateReport")
    assert "approvals" in str(gates)
    outcomes = [result["outcome"] for kind, result in results if kind == "DeployResult"]
    assert outcomes == [
        "succeeded", "succeeded", "healed", "unhealthy", "succeeded", "succeeded", "succeeded",
    ]  # fmt: skip
    assert "held" in str(promotions[2])


def test_it_walks_the_road_with_git_alone_and_what_it_leaves_can_be_played_with(
    cli: Cli, tmp_path: Path, bare_path: str
) -> None:
    """As its last lines say: the registry is started again where it was, and what was held goes to production."""
    ran = cli("demo", "--keep", "demo", cwd=tmp_path, PATH=bare_path)
    assert ran.code == 0, ran.err
    commands = [line.split()[2] for line in ran.err.splitlines() if line.startswith("$ ci-gitops ")]
    assert commands == [
        "build", "update", "update", "deploy", "promote", "gates", "merge", "deploy", "status", "diff", "deploy",
        "update", "deploy", "history",
        "build", "update", "deploy", "promote", "merge", "deploy", "rollback", "deploy", "promote",
    ]  # fmt: skip
    assert "A ready-made image stands in for it" in ran.err
    assert len(list((tmp_path / "demo/images").glob("*/oci-layout"))) == 2
    lines = [line.strip().split("      ")[0] for line in ran.out.split("What to try next")[1].splitlines()]
    registry = next(line for line in lines if "registry" in line and line.endswith("&"))
    tried = [shlex.split(line)[1:] for line in lines if line.startswith("ci-gitops ") and "config.git" in line]
    argv = shlex.split(registry.partition(" 2>")[0])
    with process.background(argv, env={}, log=tmp_path / "log") as server:
        while "listening" not in (tmp_path / "log").read_text():
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"The registry ended with {server.wait(0.05)}.")
        done = {words[0]: cli(*words, cwd=tmp_path / "demo", PATH=bare_path) for words in tried}
    assert {name: ran.code for name, ran in done.items()} == dict.fromkeys(
        ["update", "scan", "release", "promote", "gates"], 0
    ), [ran.err for ran in done.values()]
    assert "Opened !" in done["promote"].out
    assert "approvals" in done["gates"].out


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


@pytest.mark.full
def test_it_deploys_to_a_cluster_too(cli: Cli, tmp_path: Path, cluster: Cluster) -> None:
    context = cluster.kubectl("config", "current-context").strip()
    try:
        ran = cli("demo", "--context", context, cwd=tmp_path, KUBECONFIG=str(cluster.kubeconfig))
        assert ran.code == 0, ran.err
        live = cluster.get("deployment", "web", "shop-production")
        assert "/shop/web:" in live["spec"]["template"]["spec"]["containers"][0]["image"]
    finally:
        cluster.drop_namespace("shop-production")
