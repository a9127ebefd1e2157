"""`build` with registries that want something: certificates, helpers, logins for base images; and what it leaves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.cli import Cli
from tests.rig.engine import DockerEngine, Engine, on_engines
from tests.rig.registry import PASSWORD, USER, Certificates, RegistryServer, running_registry

LOGIN = {"DOCKER_REGISTRY_USER": USER, "DOCKER_REGISTRY_PWD": PASSWORD}


@pytest.fixture
def application(tmp_path: Path, busybox: Path) -> Path:
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "greeting").write_text("hello")
    shutil.copy(busybox, folder / "busybox")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY greeting /greeting\n")
    return folder


def wrapped(name: str, folder: Path) -> dict[str, str]:
    """A PATH on which `name` writes its arguments down before it goes on to be itself."""
    real = shutil.which(name)
    assert real
    folder.mkdir()
    program = folder / name
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {folder}/arguments\nexec {real} "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("engine", ["buildah"], indirect=True)
def test_a_registry_with_an_own_authority(
    cli: Cli, application: Path, engine: Engine, tls_registry: RegistryServer, repository: str,
    certificates: Certificates, tmp_path: Path,
) -> None:  # fmt: skip
    """Base image, push and digest, with a login that shows in no command line."""
    base = ("build", "--engine", "buildah", "--image", tls_registry.image(repository))
    variables = {**engine.variables, **LOGIN, "DOCKER_REGISTRY_HOST": tls_registry.host,
                 **wrapped("buildah", tmp_path / "bin")}  # fmt: skip
    ran = cli(*base, "--tag", "1", cwd=application, env=variables)
    assert ran.code == 1
    assert "not known here" in ran.err
    assert "--ca-file" in ran.err
    ran = cli(*base, "--tag", "1", "--ca-file", certificates.authority, cwd=application, env=variables)
    assert ran.code == 0, ran.err
    (application / "Dockerfile").write_text(f"FROM {tls_registry.image(repository)}:1\nENV LEVEL=2\n")
    ran = cli("-vv", *base, "--tag", "2", "--no-cache", cwd=application,
              env={**variables, "SSL_CERT_FILE": str(certificates.authority)})  # fmt: skip
    assert ran.code == 0, ran.err
    assert tls_registry.tags(repository) == ["1", "2"]
    assert "buildah push" in ran.err
    arguments = (tmp_path / "bin" / "arguments").read_text()
    assert "push" in arguments
    assert PASSWORD not in arguments + ran.err


@pytest.mark.parametrize("engine", ["buildah"], indirect=True)
def test_an_insecure_registry_by_request(
    cli: Cli, application: Path, engine: Engine, tls_registry: RegistryServer, repository: str, own_address: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    """With a certificate that nobody vouches for, and with none at all."""
    with running_registry(tmp_path / "plain", address=own_address) as plain_registry:
        for server in (tls_registry, plain_registry):
            ran = cli("build", "--engine", "buildah", "--image", server.image(repository), "--tag", "1",
                      "--insecure-registry", cwd=application,
                      env={**engine.variables, **LOGIN, "DOCKER_REGISTRY_HOST": server.host})  # fmt: skip
            assert ran.code == 0, ran.err
            assert server.tags(repository) == ["1"]


@pytest.fixture
def trusted_by_docker(tls_registry: RegistryServer, certificates: Certificates) -> Iterator[None]:
    folder = Path("/etc/docker/certs.d") / tls_registry.host
    folder.mkdir(parents=True)
    shutil.copy(certificates.authority, folder / "ca.crt")
    yield
    shutil.rmtree(folder)


@pytest.mark.parametrize("engine", ["docker"], indirect=True)
def test_a_docker_daemon_that_does_not_know_the_authority(
    cli: Cli, application: Path, engine: Engine, tls_registry: RegistryServer, repository: str,
    certificates: Certificates,
) -> None:  # fmt: skip
    words = ("build", "--engine", "docker", "--image", tls_registry.image(repository), "--tag", "1")
    variables = {**engine.variables, **LOGIN, "DOCKER_REGISTRY_HOST": tls_registry.host}
    ran = cli(*words, "--ca-file", certificates.authority, cwd=application, env=variables)
    assert ran.code == 1
    assert f"/etc/docker/certs.d/{tls_registry.host}/ca.crt" in ran.err
    ran = cli(*words, "--insecure-registry", cwd=application, env=variables)
    assert ran.code == 2
    assert "cannot honour --insecure-registry" in ran.err
    assert "--engine buildah can" in ran.err


@pytest.mark.usefixtures("trusted_by_docker")
@on_engines("docker", "modern-buildkit", others=0)
def test_a_docker_daemon_that_knows_the_authority(
    cli: Cli, application: Path, engine: Engine, tls_registry: RegistryServer, repository: str,
    certificates: Certificates,
) -> None:  # fmt: skip
    ran = cli("build", "--engine", engine.name, "--image", tls_registry.image(repository), "--tag", "1",
              "--ca-file", certificates.authority, cwd=application,
              env={**engine.variables, **LOGIN, "DOCKER_REGISTRY_HOST": tls_registry.host})  # fmt: skip
    assert ran.code == 0, ran.err
    assert tls_registry.tags(repository) == ["1"]


@on_engines("docker", "buildah", "classic", "modern-buildkit")
def test_base_images_get_the_login_too(
    cli: Cli, application: Path, engine: Engine, guarded_registry: RegistryServer, repository: str
) -> None:
    variables = {**engine.variables, **LOGIN, "DOCKER_REGISTRY_HOST": guarded_registry.host}
    words = ("build", "--engine", engine.name, *engine.options, "--image", guarded_registry.image(repository))
    assert cli(*words, "--tag", "base", cwd=application, env=variables).code == 0
    (application / "Dockerfile").write_text(f"FROM {guarded_registry.image(repository)}:base\nENV LEVEL=2\n")
    ran = cli(*words, "--tag", "next", "--no-cache", cwd=application, env=variables)
    assert ran.code == 0, ran.err
    assert "LEVEL=2" in guarded_registry.config(repository, "next")["config"]["Env"]


@on_engines("docker", "buildah")
def test_a_credential_helper_logs_in_and_nothing_is_written(
    cli: Cli, application: Path, engine: Engine, guarded_registry: RegistryServer, repository: str, tmp_path: Path
) -> None:
    """The user's configuration is read; the password is in none of the files that are left."""
    programs = tmp_path / "bin"
    programs.mkdir()
    helper = programs / "docker-credential-wonder"
    helper.write_text(f'#!/bin/sh\necho \'{{"Username": "{USER}", "Secret": "{PASSWORD}"}}\'\n')
    helper.chmod(0o755)
    folder = Path(cli.env["HOME"]) / ".docker"
    folder.mkdir()
    content = json.dumps({"credHelpers": {guarded_registry.host: "wonder"}})
    (folder / "config.json").write_text(content)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    ran = cli(
        "build", "--engine", engine.name, "--image", guarded_registry.image(repository), "--tag", "1",
        cwd=application, env={**engine.variables, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(temporary)},
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert (folder / "config.json").read_text() == content
    assert [path.name for path in temporary.iterdir() if path.name.startswith("ci-gitops")] == []
    for path in (Path(cli.env["HOME"])).rglob("*"):
        assert not path.is_file() or PASSWORD not in path.read_text(errors="replace")


def test_flags_win_and_their_password_shows_nowhere(
    cli: Cli, application: Path, docker_engine: DockerEngine, guarded_registry: RegistryServer, repository: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    ran = cli(
        "-vv", "-o", "json", "build", "--image", guarded_registry.image(repository), "--tag", "1",
        "--registry-user", USER, "--registry-password-file", tmp_path / "password", cwd=application,
        env={**docker_engine.variables, "DOCKER_REGISTRY_HOST": guarded_registry.host,
             "DOCKER_REGISTRY_USER": "mallory", "DOCKER_REGISTRY_PWD": "wrong-password"},
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "BuildResult"
    assert PASSWORD not in ran.out + ran.err


def test_the_docker_context_that_the_user_has_chosen(cli: Cli, application: Path, docker_engine: DockerEngine) -> None:
    folder = Path(cli.env["HOME"]) / ".docker"
    meta = folder / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    endpoint = {"docker": {"Host": docker_engine.variables["DOCKER_HOST"]}}
    (meta / "meta.json").write_text(json.dumps({"Name": "mine", "Metadata": {}, "Endpoints": endpoint}))
    (folder / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    ran = cli("build", "--engine", "docker", "--image", "example.com/web", "--tag", "1", "--no-push", cwd=application)
    assert ran.code == 0, ran.err


@on_engines("docker", "buildah")
def test_a_job_that_is_stopped_leaves_nothing(cli: Cli, application: Path, engine: Engine, tmp_path: Path) -> None:
    """SIGTERM in the middle of a step: the programs end, and the folder with logins and secrets goes."""
    (application / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nRUN busybox echo asleep; busybox sleep 61\n"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "ci_gitops", "build", "--engine", engine.name, *engine.options, "--no-cache",
         "--image", "example.com/web", "--tag", "1", "--no-push"],
        cwd=application, env={**cli.env, **engine.variables, "TMPDIR": str(temporary)}, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr
    stopper = threading.Timer(60, process.kill)
    stopper.start()
    for line in process.stderr:
        if line.rstrip().endswith("asleep") and "echo" not in line:
            process.send_signal(signal.SIGTERM)
            break
    rest = process.stderr.read()
    process.stderr.close()
    stopper.cancel()
    assert process.wait(30) == 130, rest
    assert "Interrupted" in rest
    assert [path.name for path in temporary.iterdir() if path.name.startswith("ci-gitops")] == []
