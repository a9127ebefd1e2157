"""The pipeline template on a real cluster, whose pods run what its jobs built."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.forge_rigs import GitLabRig
from tests.rig import cluster as clusters
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.git_server import GitServer, run_git
from tests.rig.image import Images
from tests.rig.parts import missing, program
from tests.rig.pipelines import SCHEDULE, Project, said
from tests.rig.registry import RegistryServer
from tests.rig.team import FEATURE, NAME, Team

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]
DOCKERFILE = "FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\n"


@pytest.fixture
def live(cluster: Cluster, git_server: GitServer, cli: Cli, busybox: Path, tmp_path: Path) -> Iterator[Team]:
    """A team whose image has the tag 1 in the registry from which the nodes pull."""
    if cluster.registry is None:
        missing("a cluster that runs pods", clusters.HOW)
        raise AssertionError
    registry = RegistryServer(cluster.registry, Path())
    slug = f"road-{uuid.uuid4().hex[:8]}"
    registry.push(f"{slug}/web", "1", files={"bin/busybox": busybox.read_bytes()})
    git_server.user, git_server.password = "oauth2", "glpat-robot"
    with GitLabRig(git_server, NAME) as rig:
        team = Team(tmp_path, git_server, registry, rig, cli, cluster.kubeconfig, slug)
        yield team
    for namespace in team.namespaces:
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def begin(team: Team, busybox: Path) -> Project:
    return team.project(NAME, "all", {**team.files(), "Dockerfile": DOCKERFILE, "busybox": busybox.read_bytes()})


def merge(team: Team, project: Project) -> None:
    """What people do with the open merge request, then the schedule, then the pipeline of its merge."""
    (request,) = team.rig.forge("bob").find()
    team.rig.approve("alice", request.iid, request.head_sha)
    team.rig.gitlab.pipeline(request.head_sha, "success")
    team.pull(project, NAME)
    assert "Merged" in said(team.run(project, SCHEDULE, "merge-ready"), "merge-ready")
    team.pull(project, NAME)
    team.run(project, {}, "deploy-production")


def test_the_road_and_back_in_our_image(live: Team, images: Images, cluster: Cluster, busybox: Path) -> None:
    live.kubeconfig = live.work_in(images("full")) / "kubeconfig"
    live.kubeconfig.write_text(cluster.kubectl("config", "view", "--raw", "--flatten"))
    live.kubeconfig.chmod(0o644)
    project = begin(live, busybox)
    commit = run_git("-C", project.folder, "rev-parse", "HEAD").strip()
    live.run(project)
    assert live.running("staging") == [f"{live.image}:{commit}"]
    assert live.running("production") == [f"{live.image}:1"]
    merge(live, project)
    assert live.running("production") == [f"{live.image}:{commit}"]

    cluster.kubectl("-n", f"{live.slug}-production", "set", "image", "deployment/web", f"web={live.image}:1")
    out = live.run(project, SCHEDULE, "drift-production")
    assert "WARN" in out
    assert "image" in said(out, "drift-production")

    live.run(project, {}, "rollback-production")
    merge(live, project)
    assert live.running("production") == [f"{live.image}:1"]
    assert "PASS" in live.run(project, SCHEDULE, "drift-production")


def test_previews_and_what_a_registry_has_in_shells(live: Team, cluster: Cluster, busybox: Path) -> None:
    program("buildah", "install Debian's buildah")
    project = begin(live, busybox)
    commit = live.feature(project)
    live.run(project, FEATURE, "build-image", "preview-create", "preview-deploy")
    environment = live.namespaces[-1]
    assert live.running(environment) == [f"{live.image}:{commit}"]
    live.run(project, FEATURE, "preview-stop")
    left = json.loads(cluster.kubectl("get", "deployments", "-n", environment, "-o", "json"))["items"]
    assert left == [] or all("deletionTimestamp" in item["metadata"] for item in left)

    live.registry.push(f"{live.slug}/web", "2", files={"bin/busybox": busybox.read_bytes()})
    live.pull(project, NAME)
    live.run(project, SCHEDULE, "scan-registries")
    live.pull(project, NAME)
    live.run(project, SCHEDULE, "deploy-staging")
    assert live.running("staging") == [f"{live.image}:2"]
