"""The second job of the pipeline that most teams have, replaced: its variables, layout, branches and SSH key stay."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_road import classic
from tests.rig.cli import Cli, Ran
from tests.rig.parts import program
from tests.rig.ssh_server import SshServer

IMAGE = "registry.example.com/shop/web"
COMMIT = "4f1a5b1051b469108d1bdf0ebec6c814427e3834"
OLD = "3f786850e387550fdab836ed7e6dc881de23001b"
PRODUCTION = ".kubernetes/overlays/production"


@pytest.fixture
def url(ssh_server: SshServer, request: pytest.FixtureRequest) -> str:
    files = classic(IMAGE, {"staging": "staging", "production": "production"})
    address = ssh_server.create(request.node.name, files)
    bare = ssh_server.git.bare(request.node.name)
    subprocess.run(["git", "--git-dir", bare, "branch", "staging", "main"], check=True)
    return address


def variables(server: SshServer, url: str, branch: str = "main") -> dict[str, str]:
    """The project's CI/CD variables as such teams have them, and GitLab's own."""
    return {
        "GITLAB_REMOTE_URL": url,
        "GITLAB_ID_RSA": server.private_key.strip().replace("\n", "\r\n"),
        "GITLAB_EMAIL": "deployer@example.com",
        "GITLAB_USERNAME": "deployer",
        "DOCKER_REGISTRY_HOST": "registry.example.com",
        "DOCKER_REGISTRY_IMAGE": "shop/web",
        "SSH_KNOWN_HOSTS": server.known_hosts,
        "GITLAB_CI": "true",
        "CI_COMMIT_BRANCH": branch,
        "CI_COMMIT_SHA": COMMIT,
        "CI_PROJECT_PATH": "shop/web",
        "CI_PROJECT_URL": f"https://gitlab.example.com/{url.split('/', 3)[3].removesuffix('.git')}",
    }


def log(server: SshServer, name: str, branch: str) -> list[str]:
    words = ["git", "--git-dir", str(server.git.bare(name)), "log", "--format=%an <%ae>|%s", branch]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


def test_the_branch_decides_and_one_line_changes(
    cli: Cli, ssh_server: SshServer, url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    name = request.node.name
    before = ssh_server.git.read(name, f"{PRODUCTION}/kustomization.yaml").decode()
    env = variables(ssh_server, url)
    ran = cli("-o", "json", "update", "--branch", "main", env=env, cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.json["environments"] == ["production"]
    after = ssh_server.git.read(name, f"{PRODUCTION}/kustomization.yaml").decode()
    assert after == before.replace(OLD, COMMIT)
    assert log(ssh_server, name, "main")[0].startswith("deployer <deployer@example.com>|deploy(production): web ")
    staging = cli(
        "-o", "json", "update", "--branch", "staging", env=variables(ssh_server, url, "staging"), cwd=tmp_path
    )
    assert staging.code == 0, staging.err
    assert (staging.json["environments"], staging.json["branch"]) == (["staging"], "staging")
    assert len(log(ssh_server, name, "main")) == 2
    assert "PRIVATE KEY" not in ran.out + ran.err


def test_the_rendered_manifests_are_those_of_the_old_job(
    cli: Cli, ssh_server: SshServer, url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    kustomize = program("kustomize", "https://kubectl.docs.kubernetes.io/installation/kustomize/")
    cli("update", "--branch", "main", env=variables(ssh_server, url), cwd=tmp_path)
    bare = ssh_server.git.bare(request.node.name)
    trees = {}
    for revision in ("main", "main~1"):
        folder = tmp_path / revision
        subprocess.run(["git", "clone", "--quiet", bare, folder], check=True)
        subprocess.run(["git", "-C", folder, "checkout", "--quiet", revision], check=True)
        trees[revision] = folder / PRODUCTION
    subprocess.run([kustomize, "edit", "set", "image", f"{IMAGE}:{COMMIT}"], cwd=trees["main~1"], check=True)
    built = [
        subprocess.run([kustomize, "build", tree], check=True, capture_output=True).stdout for tree in trees.values()
    ]
    assert built[0] == built[1]
    assert COMMIT.encode() in built[0]


def test_an_unknown_host_key_is_refused_with_the_line_to_add(
    cli: Cli, ssh_server: SshServer, url: str, tmp_path: Path
) -> None:
    env = {**variables(ssh_server, url), "SSH_KNOWN_HOSTS": "other.example.com ssh-ed25519 AAAA\n"}
    ran: Ran = cli("-o", "json", "update", "--branch", "main", env=env, cwd=tmp_path)
    assert ran.code != 0
    said = ran.json["error"]["message"] + ran.json["error"]["hint"]
    assert ssh_server.known_hosts.strip() in said
