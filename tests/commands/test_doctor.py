"""`doctor`: each check with its setting wrong and with it right, against the real thing that it asks."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from ci_gitops.run import Run
from ci_gitops.steps.checks import CHECKS, Finding, examine
from ci_gitops.steps.checks.clock import compare
from ci_gitops.steps.scene import set_scene
from ci_gitops.steps.workplace import Reach
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.engine import DockerEngine
from tests.rig.git_server import GitServer, run_git
from tests.rig.parts import kit_programs, program
from tests.rig.registry import PASSWORD, USER, RegistryServer
from tests.rig.ssh_server import SshServer

FILES = {"apps/shop/overlays/staging/kustomization.yaml": b"resources: []\n"}
Ask = Callable[..., list[tuple[str, str, str, str | None]]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """`ask("token", CI_GITOPS_TOKEN="x")`: what one check finds with these variables, as tuples."""

    def asked(
        check: str, *, repo: str | None = None, environ: Mapping[str, str] | None = None, reach: Reach | None = None,
        environments: tuple[str, ...] = (), **variables: str,
    ) -> list[tuple[str, str, str, str | None]]:  # fmt: skip
        given = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **(environ or {}), **variables}
        run = Run(environ=given, cwd=tmp_path)
        scene = set_scene(run, reach or Reach(repo=repo, timeout=20), environments)
        return [(item.check, item.state, item.message, item.setting) for item in CHECKS[check](scene)]

    return asked


def states(found: list[tuple[str, str, str, str | None]]) -> list[tuple[str, str]]:
    for _, state, message, setting in found:
        assert message
        assert setting or state in ("ok", "skip"), f"no setting is named: {message}"
    return [(check, state) for check, state, *_ in found]


def write(folder: Path, text: str) -> None:
    (folder / ".git").mkdir(exist_ok=True)
    (folder / ".ci-gitops.yaml").write_text(text)
    for path in FILES:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(FILES[path])


# configuration


def test_configuration(ask: Ask, git_server: GitServer, tmp_path: Path) -> None:
    url = git_server.create("doctor", FILES)
    right = ask("configuration", repo=url, CI_GITOPS_TOKEN=git_server.password)
    assert states(right) == [("configuration", "ok")]
    assert "1 target in staging" in right[0][2]
    unknown = ask("configuration", repo=url, CI_GITOPS_TOKEN=git_server.password, environments=("staginng",))
    assert states(unknown)[-1] == ("configuration", "fail")
    git_server.commit("doctor", {".ci-gitops.yaml": b"environments: {staging: {wirte: push}}"})
    wrong = ask("configuration", repo=url, CI_GITOPS_TOKEN=git_server.password)
    assert states(wrong) == [("configuration", "fail")]
    assert ".ci-gitops.yaml:1:26: environments.staging.wirte" in wrong[0][2]
    assert "'write'" in str(wrong[0][3])


def test_configuration_of_a_folder_that_has_none(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    found = ask("configuration")
    assert states(found) == [("configuration", "warn"), ("configuration", "fail")]
    assert "CI_GITOPS_REPO" in str(found[0][3])
    assert "init" in str(found[1][3])
    write(tmp_path, "environments: {staging: {labels: [x]}}")
    assert states(ask("configuration")) == [
        ("configuration", "warn"),
        ("configuration", "ok"),
        ("configuration", "warn"),
    ]


def test_a_broken_file_does_not_hide_the_repository(ask: Ask, git_server: GitServer, tmp_path: Path) -> None:
    url = git_server.create("doctor", FILES)
    run_git("clone", "--quiet", git_server.bare("doctor"), tmp_path / "checkout")
    run_git("-C", tmp_path / "checkout", "remote", "set-url", "origin", url)
    (tmp_path / "checkout" / ".ci-gitops.yaml").write_text("wrong: true")
    run = Run(environ={"PATH": os.environ["PATH"], "CI_GITOPS_TOKEN": git_server.password}, cwd=tmp_path / "checkout")
    scene = set_scene(run, Reach(timeout=20))
    assert [(item.check, item.state) for name in ("configuration", "repository") for item in CHECKS[name](scene)] == [
        ("configuration", "fail"),
        ("repository", "ok"),
        ("push", "ok"),
    ]


# git and certificates


def test_git(ask: Ask, tmp_path: Path) -> None:
    assert states(ask("git")) == [("git", "ok")]
    assert states(ask("git", PATH=str(tmp_path / "nothing"))) == [("git", "fail")]
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text('#!/bin/sh\ntest "$1" = --version && echo git version 2.25.1\n')
    old.chmod(0o755)
    found = ask("git", PATH=f"{old.parent}:/usr/bin:/bin")
    assert states(found) == [("git", "fail")]
    assert "2.25.1" in found[0][2]


def test_certificates(ask: Ask, tmp_path: Path) -> None:
    good, garbage = tmp_path / "ca.pem", tmp_path / "garbage.pem"
    trustme.CA().cert_pem.write_to_path(str(good))
    garbage.write_text("no certificate")
    assert states(ask("certificates")) == []
    assert states(ask("certificates", SSL_CERT_FILE=str(good))) == [("certificates", "ok")]
    for wrong in (garbage, tmp_path / "missing.pem"):
        (found,) = ask("certificates", CI_SERVER_TLS_CA_FILE=str(wrong))
        assert found[1] == "fail"
        assert found[3] == "CI_SERVER_TLS_CA_FILE"
    assert states(ask("certificates", reach=Reach(ca_file=garbage))) == [("certificates", "fail")]


# token

GITLAB = {
    "GITLAB_CI": "true",
    "CI_JOB_TOKEN": "a-token-of-this-job",
    "CI_SERVER_HOST": "localhost",
    "CI_PROJECT_PATH": "other/project",
    "CI_PROJECT_URL": "https://localhost/other/project",
}
REQUESTS = {".ci-gitops.yaml": b"environments: {staging: {write: merge-request}}", **FILES}


def test_a_token_of_ones_own(ask: Ask, git_server: GitServer) -> None:
    url = git_server.create("doctor", REQUESTS)
    right = ask("token", repo=url, CI_GITOPS_TOKEN=git_server.password)
    assert states(right) == [("token", "ok")]
    assert "from CI_GITOPS_TOKEN, a personal, project or group access token" in right[0][2]
    assert git_server.password not in str(right)
    none = ask("token", repo=url)
    assert states(none) == [("token", "warn")]
    assert "CI_GITOPS_TOKEN" in str(none[0][3])
    in_address = ask("token", repo=url.replace("://", f"://oauth2:{git_server.password}@"))
    assert states(in_address) == [("token", "warn")]
    git_server.password = "gldt-deploy-token"
    deploy = ask("token", repo=url, CI_GITOPS_TOKEN=git_server.password)
    assert states(deploy) == [("token", "fail")]
    assert "a deploy token, which cannot open merge requests" in deploy[0][2]


def test_what_a_job_token_cannot(ask: Ask, git_server: GitServer) -> None:
    git_server.user, git_server.password = "gitlab-ci-token", GITLAB["CI_JOB_TOKEN"]
    requests, pushes = git_server.create("requests", REQUESTS), git_server.create("pushes", FILES)
    (found,) = ask("token", repo=requests, environ=GITLAB)
    assert (found[1], "cannot open merge requests" in found[2]) == ("fail", True)
    (found,) = ask("token", repo=pushes, environ=GITLAB)
    assert (found[1], "cannot push to another project" in found[2]) == ("fail", True)
    assert "CI_GITOPS_TOKEN" in str(found[3])
    own = {**GITLAB, "CI_PROJECT_URL": pushes.removesuffix(".git")}
    (found,) = ask("token", repo=pushes, environ=own)
    assert (found[1], "start no pipeline" in found[2]) == ("warn", True)
    assert "Allow Git push requests" in str(found[3])


def test_an_ssh_key_and_host_keys(ask: Ask, ssh_server: SshServer) -> None:
    url = ssh_server.create("doctor", FILES)
    right = {"GITLAB_ID_RSA": ssh_server.private_key, "SSH_KNOWN_HOSTS": ssh_server.known_hosts}
    assert states(ask("token", repo=url, environ=right)) == [("token", "ok")]
    assert states(ask("repository", repo=url, environ=right)) == [("repository", "ok"), ("push", "ok")]
    assert states(ask("token", repo=url, environ={**right, "GITLAB_ID_RSA": "no key"})) == [("token", "fail")]
    trusting = ask("token", repo=url, environ={**right, "CI_GITOPS_SSH_HOST_KEYS": "accept-new"})
    assert states(trusting) == [("token", "ok"), ("token", "warn")]
    (unknown,) = ask("repository", repo=url, GITLAB_ID_RSA=ssh_server.private_key)
    assert unknown[1] == "fail"
    assert "SSH_KNOWN_HOSTS" in str(unknown[3])
    assert ssh_server.known_hosts.strip() in str(unknown[3]), "the line to add"


def test_a_schedule_should_be_a_bots(ask: Ask) -> None:
    schedule = {"CI_PIPELINE_SOURCE": "schedule"}
    (found,) = ask("token", environ=schedule, GITLAB_USER_LOGIN="alice")
    assert (found[1], "Take ownership" in str(found[3])) == ("warn", True)
    assert ask("token", environ=schedule, GITLAB_USER_LOGIN="project_7_bot_1a2b") == []


# repository and push


def test_the_repository_and_its_branch(ask: Ask, git_server: GitServer) -> None:
    url = git_server.create("doctor", FILES)
    right = ask("repository", repo=url, CI_GITOPS_TOKEN=git_server.password)
    assert states(right) == [("repository", "ok"), ("push", "ok")]
    assert git_server.messages("doctor") == ["First"], "nothing was pushed"
    (token,) = ask("repository", repo=url, CI_GITOPS_TOKEN="wrong-token")
    assert (token[1], "does not accept the credentials from CI_GITOPS_TOKEN" in token[2]) == ("fail", True)
    branch = Reach(repo=url, branch="mian", timeout=20)
    (missing,) = ask("repository", reach=branch, CI_GITOPS_TOKEN=git_server.password)
    assert (missing[1], "'main'" in str(missing[3])) == ("fail", True)
    (nowhere,) = ask("repository", repo=git_server.url("nowhere"), CI_GITOPS_TOKEN=git_server.password)
    assert (nowhere[1], "no repository at" in nowhere[2]) == ("fail", True)


def test_the_right_to_push(ask: Ask, git_server: GitServer) -> None:
    url = git_server.create("doctor", REQUESTS)
    right = ask("repository", repo=url, CI_GITOPS_TOKEN=git_server.password)
    assert "branches of merge requests" in right[1][2]
    assert set(git_server.refs("doctor")) == {"refs/heads/main"}
    assert (right[2][:2], "CI_GITOPS_FORGE" in str(right[2][3])) == (("forge", "fail"), True)
    local = ask("repository", repo=url, CI_GITOPS_TOKEN=git_server.password, CI_GITOPS_FORGE="local")
    assert states(local)[2:] == [("forge", "ok")]
    git_server.read_only = True
    found = ask("repository", repo=url, CI_GITOPS_TOKEN=git_server.password)
    assert states(found) == [("repository", "ok"), ("push", "fail")]
    assert "write_repository" in str(found[1][3])


def test_each_environments_own_repository_and_token(ask: Ask, git_server: GitServer) -> None:
    own = git_server.create("own", FILES)
    config = f"environments: {{staging: , prod: {{repository: {{url: {own}}}}}}}\napps: {{a: {{path: apps}}}}"
    url = git_server.create("doctor", {".ci-gitops.yaml": config.encode(), **FILES})
    token = git_server.password
    good = ask("repository", repo=url, CI_GITOPS_TOKEN=token, CI_GITOPS_TOKEN_PROD=token)
    assert states(good) == [("repository", "ok"), ("push", "ok")] * 2
    bad = ask("repository", repo=url, CI_GITOPS_TOKEN=token, CI_GITOPS_TOKEN_PROD="other")
    assert states(bad) == [("repository", "ok"), ("push", "ok"), ("repository", "fail")]
    assert "CI_GITOPS_TOKEN_PROD" in bad[2][2]
    only = ask("repository", repo=url, CI_GITOPS_TOKEN=token, CI_GITOPS_TOKEN_PROD="other", environments=("staging",))
    assert states(only) == [("repository", "ok"), ("push", "ok")]


# registry, engine, renderer


def test_the_registry(ask: Ask, guarded_registry: RegistryServer, repository: str) -> None:
    image = {"DOCKER_REGISTRY_HOST": guarded_registry.host, "DOCKER_REGISTRY_IMAGE": repository}
    right = ask("registry", environ=image, DOCKER_REGISTRY_USER=USER, DOCKER_REGISTRY_PWD=PASSWORD)
    assert states(right) == [("registry", "ok")]
    (wrong,) = ask("registry", environ=image, DOCKER_REGISTRY_USER=USER, DOCKER_REGISTRY_PWD="not-" + PASSWORD)
    assert (wrong[1], "DOCKER_REGISTRY_PWD" in str(wrong[3])) == ("fail", True)
    assert states(ask("registry", environ=image)) == [("registry", "fail")]
    assert ask("registry") == [], "no image is named"
    away = ask("registry", CI_REGISTRY_IMAGE="127.0.0.1:1/group/app")
    assert (states(away), "CI_REGISTRY_IMAGE" in str(away[0][3])) == ([("registry", "fail")], True)


def engines(cli: Cli, cwd: Path, environ: Mapping[str, str]) -> list[dict[str, str]]:
    """In a process of its own: the docker package leaves its connections open."""
    ran = cli("-o", "json", "doctor", cwd=cwd, env=environ)
    return [item for item in ran.json["items"] if item["check"] == "engine"]


def test_no_engine_is_a_warning(cli: Cli, tmp_path: Path) -> None:
    (found,) = engines(cli, tmp_path, {"PATH": str(tmp_path), "DOCKER_HOST": "unix:///nonexistent.sock"})
    assert found["state"] == "warn"
    assert "DOCKER_HOST" in found["setting"]


def test_an_engine(cli: Cli, docker_engine: DockerEngine, tmp_path: Path) -> None:
    found = engines(cli, tmp_path, docker_engine.variables)
    assert found[0]["state"] == "ok"
    assert found[0]["message"].startswith("docker: Docker ")


def test_renderers(ask: Ask, tmp_path: Path) -> None:
    write(tmp_path, "apps: {shop: , plain: {path: README}}")
    folder = str(Path(program("kustomize", "install kustomize", *kit_programs())).parent)
    right = ask("renderer", PATH=folder)
    assert states(right) == [("renderer", "ok"), ("sandbox", "ok")]
    assert "written for kustomize" in right[0][2]
    wrong, _ = ask("renderer", PATH=str(tmp_path))
    assert (wrong[1], wrong[3]) == ("fail", "PATH: install kustomize or kubectl")
    write(tmp_path, "apps: {shop: {renderer: helm}}")
    assert "install helm" in str(ask("renderer", PATH=str(tmp_path))[0][3])
    write(tmp_path, "apps: {shop: {renderer: plain}}")
    assert ask("renderer", PATH=str(tmp_path)) == []


# cluster


@pytest.fixture
def kubeconfigs(cluster: Cluster, namespace: str, tmp_path: Path) -> tuple[Path, Path]:
    """An administrator's, and one of an account that may nothing."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
    cluster.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    token = cluster.kubectl("create", "token", "nobody", "-n", namespace).strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    restricted = tmp_path / "restricted"
    restricted.write_text(json.dumps(config))
    return cluster.kubeconfig, restricted


def test_the_cluster(ask: Ask, kubeconfigs: tuple[Path, Path], namespace: str, tmp_path: Path) -> None:
    administrator, restricted = kubeconfigs
    write(tmp_path, f"environments: {{staging: {{destination: {{namespace: {namespace}}}}}}}")
    right = ask("cluster", KUBECONFIG=str(administrator))
    assert states(right) == [("cluster", "ok")]
    assert f"namespace {namespace}" in right[0][2]
    (wrong,) = ask("cluster", KUBECONFIG=str(restricted))
    assert wrong[1] == "fail"
    assert f"create, get, list, patch, watch deployments.apps in {namespace}; " in wrong[2]
    assert "ci-gitops rbac --environment staging" in wrong[3]


def test_a_cluster_that_is_not_there(ask: Ask, tmp_path: Path) -> None:
    write(tmp_path, "environments: {staging: {destination: {context: nowhere}}}")
    (found,) = ask("cluster", KUBECONFIG=str(tmp_path / "none"))
    assert (found[1], "destination.context" in str(found[3])) == ("fail", True)
    write(tmp_path, "environments: {staging: {destination: 'dir:out'}}")
    assert ask("cluster") == []


# clock


@pytest.fixture
def late_server() -> Iterator[str]:
    """A web server whose clock is an hour behind."""

    class Late(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(204)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() - 3600, usegmt=True)

        def log_message(self, *arguments: object) -> None:
            """Tests are quiet."""

    with HTTPServer(("127.0.0.1", 0), Late) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_clock(ask: Ask, git_server: GitServer, late_server: str) -> None:
    assert states(ask("clock", CI_SERVER_URL=git_server.base)) == [("clock", "ok")]
    (found,) = ask("clock", CI_SERVER_URL=late_server)
    assert found[1] == "fail"
    assert "1h" in found[2]
    assert "ahead of" in found[2]
    assert ask("clock", CI_SERVER_URL="http://127.0.0.1:1") == [], "a server that is away says no time"


@pytest.mark.parametrize(("apart", "state"), [(-29, "ok"), (31, "warn"), (-299, "warn"), (301, "fail")])
def test_how_much_a_clock_may_differ(apart: int, state: str) -> None:
    now = datetime.now(UTC)
    assert compare("forge", now, now + timedelta(seconds=apart)).state == state


# all of them


def test_a_check_that_hangs_or_breaks_delays_no_other(tmp_path: Path) -> None:
    release = threading.Event()

    def hangs(scene: object) -> Iterator[Finding]:
        release.wait()
        yield Finding("hangs", "ok", "too late")

    def breaks(scene: object) -> Iterator[Finding]:
        yield Finding("breaks", "ok", "first")
        raise ZeroDivisionError("oops")

    scene = set_scene(Run(environ={}, cwd=tmp_path), Reach())
    found = list(examine({"hangs": hangs, "breaks": breaks}, scene, 0.2))
    release.set()
    assert [(item.check, item.state) for item in found] == [("hangs", "fail"), ("breaks", "ok"), ("breaks", "fail")]
    assert found[0].setting == "--timeout"


def test_the_report(cli: Cli, git_server: GitServer, tmp_path: Path) -> None:
    url = git_server.create("doctor", FILES)
    right = cli("-o", "json", "doctor", "--repo", url, cwd=tmp_path, CI_GITOPS_TOKEN=git_server.password)
    assert right.code == 0, right.out
    assert right.json["kind"] == "DoctorReport"
    assert {"check", "state", "message", "setting"} == set(right.json["items"][0])
    wrong = cli("doctor", "--repo", url, cwd=tmp_path, CI_GITOPS_TOKEN="mistyped-token", CI_GITOPS_UPDATE_WIRTE="push")
    assert wrong.code == 1
    assert "fail  repository" in wrong.out
    assert "Is CI_GITOPS_UPDATE_WRITE meant?" in wrong.out
    assert "checks failed" in wrong.err or "check failed" in wrong.err
    assert "mistyped-token" not in wrong.out + wrong.err


def test_a_server_that_hangs_ends_the_report_in_time(cli: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/config.git"
        started = time.monotonic()
        ran = cli("-o", "json", "doctor", "--repo", url, "--timeout", "4s", cwd=tmp_path, CI_GITOPS_TOKEN="abcdefgh")
    assert ran.code == 1
    assert time.monotonic() - started < 60
    assert ran.json["error"]["code"] == 1
    assert ("repository", "fail") in [(item["check"], item["state"]) for item in ran.json["items"]]


#: What `settings` finds at forges.
OF_FORGES = ("protection", "merging", "required-checks", "actions", "schedules", "resource-groups", "job-tokens",
             "freezes", "secrets", "images")  # fmt: skip


def test_the_page_tells_of_every_check() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    for name in (*CHECKS, "push", "forge", "variables", *OF_FORGES):
        assert f"| `{name}` |" in page


def test_wrong_words_are_usage_errors(cli: Cli, tmp_path: Path) -> None:
    ran = cli("doctor", "--timeout", "soon", cwd=tmp_path)
    assert ran.code == 2
    assert "90s" in ran.err
