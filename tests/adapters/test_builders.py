"""The parts of the engines that need no image to be built: choice, configuration, reading of failures."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ci_gitops.adapters.builders import open_engine
from ci_gitops.adapters.builders.base import BuildRequest, BuildSecret
from ci_gitops.adapters.builders.docker_client import context_host, find_client
from ci_gitops.adapters.builders.failures import build_error, read_failure
from ci_gitops.adapters.builders.trouble import registry_trouble
from ci_gitops.adapters.builders.workshop import RegistryAccess, Workshop, client_config, workshop
from ci_gitops.adapters.registry_login import Login
from ci_gitops.errors import BuildError, UsageError
from ci_gitops.output import Output

HOST = "registry.example.com"
ACCESS = RegistryAccess(HOST, Login(HOST, "the test", "alice", "rabbit-hole"))


def place(folder: Path, **environ: str) -> Workshop:
    return Workshop({"PATH": "/nonexistent", "HOME": str(folder), **environ}, folder, ACCESS, lambda _: None)


def request_for(folder: Path) -> BuildRequest:
    return BuildRequest(f"{HOST}/web", ("1",), folder, folder / "Dockerfile")


def program(folder: Path, script: str) -> Path:
    folder.mkdir()
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_machine_without_engines_is_told_what_is_missing(tmp_path: Path) -> None:
    here = place(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    with pytest.raises(BuildError) as caught:
        open_engine(None, request_for(tmp_path), here)
    for said in ("docker: no Docker daemon listens", "buildkit: no docker client", "buildah: buildah is not on PATH"):
        assert said in caught.value.message
    with pytest.raises(BuildError, match="buildah is not on PATH"):
        open_engine("buildah", request_for(tmp_path), here)


def test_a_daemon_at_an_address_may_need_some_seconds(tmp_path: Path) -> None:
    """A service beside a job is often not up yet when the job begins."""
    waited: list[float] = []
    here = Workshop({"DOCKER_HOST": "tcp://127.0.0.1:9"}, tmp_path, ACCESS, lambda _: None, wait=waited.append)
    with pytest.raises(BuildError, match=r"tcp://127\.0\.0\.1:9"):
        open_engine("docker", request_for(tmp_path), here)
    assert waited == [1.0, 4.0, 16.0]


def test_a_newer_client_without_buildx_gives_way_to_an_older_one(tmp_path: Path) -> None:
    newer = "[ $1 = --version ] && echo 'Docker version 28.2.2, build e6534b4' && exit 0; exit 1"
    older = "[ $1 = --version ] && echo 'Docker version 20.10.24+dfsg1, build 297e128' && exit 0; exit 1"
    first, second = program(tmp_path / "first", newer), program(tmp_path / "second", older)
    here = place(tmp_path, PATH=f"{first.parent}:{second.parent}:/usr/bin:/bin")
    client = find_client(here)
    assert client
    assert (client.program, client.version, client.buildx) == (str(second), (20, 10), None)
    second.unlink()
    assert find_client(place(tmp_path, PATH=str(first.parent))) is None


def test_the_users_configuration_is_kept_but_for_our_registry() -> None:
    """Other registries keep their helpers; ours gets the login of this run and no helper in its way."""
    theirs = {
        "auths": {"other.example.com": {"auth": "eA=="}, f"https://{HOST}": {"auth": "old"}},
        "credHelpers": {"ecr.example.com": "ecr-login", HOST: "old"},
        "credsStore": "desktop",
        "proxies": {"default": {"httpProxy": "http://proxy.example.com"}},
    }
    config = client_config({"DOCKER_AUTH_CONFIG": json.dumps(theirs)}, ACCESS)
    assert config["auths"] == {
        "other.example.com": {"auth": "eA=="},
        HOST: {"auth": base64.b64encode(b"alice:rabbit-hole").decode()},
    }
    assert config["credHelpers"] == {"ecr.example.com": "ecr-login", HOST: ""}
    assert (config["credsStore"], config["proxies"]) == ("desktop", theirs["proxies"])


def test_a_workshop_is_private_and_goes_away(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "TOKEN": "jabberwocky"}
    with workshop(environ, ACCESS, Output()) as here:
        folder = here.folder
        secret = here.secret_file(BuildSecret("token", variable="TOKEN"))
        assert secret.read_text() == "jabberwocky"
        for path in (secret, folder / "config.json", here.auth_file()):
            assert path.stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0
        assert "TOKEN" not in here.environment()
        assert here.environment()["DOCKER_CONFIG"] == str(folder)
    assert not folder.exists()


def test_build_arguments_from_variables_stay_out_of_the_command_line(tmp_path: Path) -> None:
    here = place(tmp_path, TOKEN="jabberwocky")
    wanted = BuildRequest(f"{HOST}/web", ("1",), tmp_path, tmp_path / "Dockerfile",
                          build_args=(("TOKEN", None), ("LEVEL", "2")))  # fmt: skip
    assert here.build_arguments(wanted) == ["--build-arg", "TOKEN", "--build-arg", "LEVEL=2"]
    assert here.environment(wanted)["TOKEN"] == "jabberwocky"
    missing = BuildRequest(f"{HOST}/web", ("1",), tmp_path, tmp_path / "Dockerfile", build_args=(("NONE", None),))
    with pytest.raises(UsageError, match="NONE"):
        here.build_arguments(missing)


def test_contexts(tmp_path: Path) -> None:
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert context_host(environ) is None
    (tmp_path / "config.json").write_text('{"currentContext": "gone"}')
    assert context_host(environ) is None
    assert context_host({**environ, "DOCKER_HOST": "unix:///run/x.sock", "DOCKER_CONTEXT": "gone"}) is None


@pytest.mark.parametrize(
    ("said", "code", "shown"),
    [
        ('Get "https://r/v2/": dial tcp 10.0.0.1:443: connect: connection refused', 75, "cannot be reached"),
        ("dial tcp: lookup registry.example.com: no such host", 75, "cannot be reached"),
        ("net/http: TLS handshake timeout", 75, "cannot be reached"),
        ("received unexpected HTTP status: 503 Service Unavailable", 75, "cannot be reached"),
        ("toomanyrequests: You have reached your pull rate limit", 75, "cannot be reached"),
        ("x509: certificate signed by unknown authority", 1, "not known here"),
        ("x509: certificate has expired or is not yet valid", 1, "has expired"),
        ("http: server gave HTTP response to HTTPS client", 1, "does not speak TLS"),
        ("denied: requested access to the resource is denied", 1, "refused the login as alice from the test"),
        ("unauthorized: authentication required", 1, "refused the login as alice from the test"),
    ],
)
def test_what_engines_say_of_registries(said: str, code: int, shown: str) -> None:
    trouble = registry_trouble(said, ACCESS)
    assert trouble
    assert (trouble.exit_code, shown in trouble.message) == (code, True)


def test_what_is_no_trouble_of_a_registry() -> None:
    assert registry_trouble("failed to export image: no space left on device", ACCESS) is None


PARALLEL = """\
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#5 [web 2/3] RUN npm ci
#6 [api 2/3] RUN make all
#5 0.101 added 1 package
#6 0.201 cc -c main.c
#6 0.300 main.c:1: error: expected ';'
#6 0.301 make: *** [main.o] Error 1
#6 ERROR: process "/bin/sh -c make all" did not complete successfully: exit code: 2
#5 CANCELED
------
 > [api 2/3] RUN make all:
0.300 main.c:1: error: expected ';'
------
Dockerfile:4
--------------------
   4 | >>> RUN make all
--------------------
ERROR: failed to solve: process "/bin/sh -c make all" did not complete successfully: exit code: 2
"""


def test_of_two_stages_at_once_the_one_that_failed_is_shown() -> None:
    dockerfile = "FROM scratch AS web\nRUN npm ci\nFROM scratch AS api\nRUN make all\n"
    error = build_error(read_failure(PARALLEL.splitlines()), dockerfile, "Dockerfile")
    assert error.message.splitlines() == [
        "The image did not build: Dockerfile line 4 failed.",
        "4 | RUN make all",
        "Its last lines:",
        "  cc -c main.c",
        "  main.c:1: error: expected ';'",
        "  make: *** [main.o] Error 1",
        'process "/bin/sh -c make all" did not complete successfully: exit code: 2',
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "something else altogether", "#1 ", "Error: building at STEP"])
def test_failures_without_sense_are_shown_as_they_are(text: str) -> None:
    assert build_error(read_failure(text.splitlines()), "FROM scratch\n", "Dockerfile").exit_code == 1
