"""The guide from the classic pipeline, whole: first the team's own lines in our image, then our include, in pipelines
of GitLab on a real engine, registry and sshd; what each writes runs on a real cluster. Branches `staging` and `main`.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.generate import DOCS
from tests.e2e.test_road import classic, kustomized
from tests.rig import cluster as clusters
from tests.rig.cli import Cli, Ran
from tests.rig.cluster import Cluster
from tests.rig.container_jobs import in_containers
from tests.rig.deploying import digests
from tests.rig.git_server import run_git
from tests.rig.guide import Guide
from tests.rig.image import Images
from tests.rig.parts import missing, program
from tests.rig.pipelines import Project
from tests.rig.registry import PASSWORD, USER, RegistryServer
from tests.rig.ssh_server import SshServer

THEIRS, OURS = (
    step.text for step in Guide.of(DOCS / "guides/from-the-classic-pipeline.md").steps if step.path == ".gitlab-ci.yml"
)
TEMPLATE = re.compile(r"- project: \S+\n +ref: \S+\n +file: /")
# It wants privileged containers; here the engine's socket is in the job.
SERVICE = re.compile(r"  services: \[docker:dind\]\n  variables: .+\n")
PULL = "  template: {spec: {terminationGracePeriodSeconds: 0, imagePullSecrets: [{name: registry}]}}\n"
BRANCHES = {"staging": "staging", "main": "production"}
NAME = "classic-walk/web"


@dataclass
class Team:
    """The project, its two environments, and a checkout in which pipelines run inside our image."""

    project: Project
    server: SshServer
    registry: RegistryServer
    cluster: Cluster
    namespaces: dict[str, str]
    cli: Cli

    def pipeline(self, branch: str, text: str) -> tuple[str, str]:
        """A developer's push with this `.gitlab-ci.yml`, and its pipeline: the commit, and what the jobs printed."""
        self._checkout(branch)
        pushed = self.project.commit({".gitlab-ci.yml": text, "index.html": uuid.uuid4().hex}, "Say something new")
        run_git("-C", self.project.folder, "push", "-q", self.server.git.bare(NAME), branch)
        said = self.project.run({"CI_COMMIT_BRANCH": branch, "CI_COMMIT_REF_NAME": branch})
        self._checkout(branch)
        assert self.git("rev-parse", "HEAD~1") == pushed, said
        return pushed, said

    def _checkout(self, branch: str) -> None:
        self.git("clean", "-q", "-dffx")
        self.git("fetch", "-q", self.server.git.bare(NAME), branch)
        self.git("checkout", "-q", "-B", branch, "FETCH_HEAD")

    def git(self, *words: object) -> str:
        return run_git("-C", self.project.folder, *words).strip()

    def changed(self) -> list[str]:
        """What the newest commit took out and put in."""
        shown = self.git("show", "--format=", "--unified=0").splitlines()
        return [line for line in shown if line[:1] in "+-" and line[:3] not in ("+++", "---")]

    def rendered(self, branch: str) -> list[object]:
        return kustomized(self.project.folder / ".kubernetes/overlays" / BRANCHES[branch])

    def deploy(self, branch: str) -> Ran:
        """Argo CD would do it; here our own command takes its place."""
        name = BRANCHES[branch]
        kustomize = Path(program("kustomize", "https://kubectl.docs.kubernetes.io")).parent
        return self.cli("-o", "json", "deploy", "--environment", name, "--repo", self.server.git.bare(NAME), "--branch",
                        branch, "--kubeconfig", self.cluster.kubeconfig, "--record-namespace", self.namespaces[name],
                        PATH=f"{kustomize}:{self.cli.env['PATH']}")  # fmt: skip

    def running(self, branch: str) -> set[str]:
        name = BRANCHES[branch]
        return digests(self.cluster, self.namespaces[name], f"{name}-web")

    def digest(self, commit: str) -> str:
        return self.registry.manifest("shop/web", commit)[0]


@pytest.fixture
def team(
    images: Images, ssh_server: SshServer, guarded_registry: RegistryServer, cluster: Cluster, busybox: Path,
    cli: Cli, tmp_path: Path,
) -> Iterator[Team]:  # fmt: skip
    if not cluster.registry:
        missing("a cluster whose pods reach this machine (CLUSTER_REGISTRY)", clusters.HOW)
    host = guarded_registry.host.replace("127.0.0.1", "localhost")
    registry = RegistryServer(host, guarded_registry.folder, guarded=True)
    namespaces = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in BRANCHES.values()}
    url, bare = ssh_server.create(NAME), ssh_server.git.bare(NAME)
    project = checkout(f"{host}/shop/web", namespaces, busybox, tmp_path)
    project.executor, project.environ = in_containers(images("full"))
    project.variables = {
        "CI_REGISTRY": images("full").registry.host, "CI_PROJECT_URL": f"https://127.0.0.1{bare.with_suffix('')}",
        "DOCKER_REGISTRY_HOST": host, "DOCKER_REGISTRY_IMAGE": "shop/web", "DOCKER_REGISTRY_USER": USER,
        "DOCKER_REGISTRY_PWD": PASSWORD, "GITLAB_REMOTE_URL": url, "GITLAB_EMAIL": "deployer@example.com",
        "GITLAB_USERNAME": "deployer", "GITLAB_ID_RSA": ssh_server.private_key.strip().replace("\n", "\r\n"),
        "SSH_KNOWN_HOSTS": ssh_server.known_hosts,
    }  # fmt: skip
    for branch, name in BRANCHES.items():
        run_git("-C", project.folder, "push", "-q", bare, f"HEAD:refs/heads/{branch}")
        cluster.kubectl("create", "namespace", namespaces[name])
        login = (f"--docker-server={host}", f"--docker-username={USER}", f"--docker-password={PASSWORD}")
        cluster.kubectl("create", "secret", "docker-registry", "registry", "-n", namespaces[name], *login)
    yield Team(project, ssh_server, registry, cluster, namespaces, cli)
    cluster.kubectl("delete", "namespace", *namespaces.values(), "--wait=false")


def checkout(image: str, namespaces: dict[str, str], busybox: Path, folder: Path) -> Project:
    """The team's files; `kustomize edit` takes no overlay with a key that stands twice."""
    files = {path: text.decode() for path, text in classic(image, namespaces).items()}
    for name in namespaces:
        overlay = f".kubernetes/overlays/{name}"
        once = files[f"{overlay}/kustomization.yaml"].replace("resources:\n  - ../../base\n", "", 1)
        files |= {f"{overlay}/kustomization.yaml": once}
        files[f"{overlay}/deployment_patch.yaml"] += PULL
    (folder / "web").mkdir()
    shutil.copy(busybox, folder / "web/busybox")
    return Project.make(folder / "web", folder / "home", THEIRS, files)


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_their_own_lines_in_our_image_and_then_our_include(team: Team) -> None:
    theirs = SERVICE.sub("", THEIRS)
    theirs = theirs.replace("ssh-keyscan gitlab.example.com", f"ssh-keyscan -p {team.server.port} 127.0.0.1")
    ours = TEMPLATE.sub("- local: ", OURS.replace("build-dind.yml", "build.yml"))
    assert (ours.count("local: "), "DOCKER_HOST" in theirs) == (2, False)
    for branch in BRANCHES:
        by_them, _ = team.pipeline(branch, theirs)
        assert team.git("log", "-1", "--format=%an <%ae> %s") == f"deployer <deployer@example.com> [skip ci] {by_them}"
        assert len(team.changed()) > 2, "kustomize edit writes the file anew"
        rendered = team.rendered(branch)
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": rendered})
        team.cluster.kubectl("apply", "-f", "-", stdin=listed)
        assert team.running(branch) == {team.digest(by_them)}

        by_us, said = team.pipeline(branch, ours)
        assert team.git("log", "-1", "--format=%an <%ae>") == "deployer <deployer@example.com>"
        assert [line.strip("+- ") for line in team.changed()] == [f"newTag: {by_them}", f"newTag: {by_us}"]
        assert json.dumps(team.rendered(branch)).replace(by_us, by_them) == json.dumps(rendered)
        assert not re.search(f"{PASSWORD}|PRIVATE KEY", said)
        deployed = team.deploy(branch)
        assert deployed.code == 0, deployed.err
        assert team.running(branch) == {team.digest(by_us)}
