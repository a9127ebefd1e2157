"""`build` on every real engine and a real registry."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import tarfile
import termios
from pathlib import Path

import pytest

from tests.rig.cli import Cli, Ran
from tests.rig.engine import ENGINES, DockerEngine, Engine, on_engines
from tests.rig.registry import PASSWORD, USER, RegistryServer

DOCKERFILE = """\
FROM scratch AS base
ARG GREETING=hello
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY files /files
RUN busybox echo $GREETING > /greeting

FROM base AS extra
ENV STAGE=extra
"""
SECRET = "the-cheshire-cat-grins"


@pytest.fixture
def application(tmp_path: Path, busybox: Path) -> Path:
    folder = tmp_path / "application"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "wanted").write_text("wanted")
    (folder / "files" / "unwanted.log").write_text("unwanted")
    (folder / ".dockerignore").write_text("**/*.log\n")
    shutil.copy(busybox, folder / "busybox")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


def files_of(registry: RegistryServer, repository: str, tag: str) -> dict[str, bytes]:
    """Every file in every layer of the image that the registry has."""
    found = {}
    for layer in registry.manifest(repository, tag)[1]["layers"]:
        with tarfile.open(fileobj=io.BytesIO(registry.blob(repository, layer["digest"]))) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content:
                    found[member.name.lstrip("./")] = content.read()
    return found


def build(cli: Cli, engine: Engine, folder: Path, *arguments: object, **variables: str) -> Ran:
    return cli("build", "--engine", engine.name, *engine.options, *arguments, cwd=folder,
               env={**engine.variables, **variables})  # fmt: skip


@on_engines(*ENGINES, others=3)
def test_an_image_is_built_pushed_and_handed_on(
    cli: Cli, application: Path, engine: Engine, registry: RegistryServer, repository: str
) -> None:
    image = registry.image(repository)
    ran = build(
        cli, engine, application, "--image", image, "--tag", "1.0", "--tag", "latest", "--target", "base",
        "--build-arg", "GREETING", "--label", "team=wonderland", "--dotenv", "build.env", "--result", "image.json",
        GREETING="good day",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    digest, _ = registry.manifest(repository, "1.0")
    assert registry.manifest(repository, "latest")[0] == digest
    expected = [
        f"CI_GITOPS_IMAGE={image}",
        "CI_GITOPS_TAG=1.0",
        f"CI_GITOPS_DIGEST={digest}",
        f"CI_GITOPS_IMAGE_REF={image}:1.0@{digest}",
    ]
    assert ran.out.splitlines() == expected
    assert (application / "build.env").read_text().splitlines() == expected
    result = json.loads((application / "image.json").read_text())
    assert (result["kind"], result["ref"]) == ("BuildResult", f"{image}:1.0@{digest}")
    assert result["tags"] == ["1.0", "latest"]
    files = files_of(registry, repository, "1.0")
    assert files["greeting"] == b"good day\n"
    assert files["files/wanted"] == b"wanted"
    assert "files/unwanted.log" not in files
    config = registry.config(repository, "1.0")["config"]
    assert config["Labels"]["team"] == "wonderland"
    assert "STAGE=extra" not in config["Env"]


@on_engines(*ENGINES, others=3)
def test_a_failing_step_is_shown_with_its_line_and_last_words(
    cli: Cli, application: Path, engine: Engine, registry: RegistryServer, repository: str
) -> None:
    broken = DOCKERFILE.replace(
        "RUN busybox echo $GREETING > /greeting",
        "# the next one fails\nRUN busybox echo $GREETING && \\\n    busybox echo curiouser && \\\n"
        "    busybox cat /no/such/file",
    )
    (application / "Dockerfile").write_text(broken)
    ran = build(cli, engine, application, "--image", registry.image(repository), "--tag", "1", "--target", "base")
    assert ran.code == 1
    error = ran.err[ran.err.rindex("Error: The image did not build") :]
    assert "Dockerfile line 7 failed" in error
    assert "9 |     busybox cat /no/such/file" in error
    assert "  curiouser\n" in error
    assert "No such file or directory" in error
    assert registry.tags(repository) == []


@on_engines(*ENGINES, others=1)
def test_a_file_that_is_not_in_the_context_is_named(cli: Cli, application: Path, engine: Engine) -> None:
    (application / "Dockerfile").write_text("FROM scratch\n\nCOPY missing /there\n")
    ran = build(cli, engine, application, "--image", "example.com/web", "--tag", "1", "--no-push")
    assert ran.code == 1
    assert "Dockerfile line 3 failed" in ran.err
    assert "3 | COPY missing /there" in ran.err
    assert ".dockerignore" in ran.err


@on_engines("docker", "buildah", "buildkit", "modern-docker", "modern-buildkit", others=1)
def test_secrets_reach_the_step_and_nothing_else(
    cli: Cli, application: Path, engine: Engine, registry: RegistryServer, repository: str, tmp_path: Path
) -> None:
    """Not the layers, the image's history or the log, not even where a step prints them."""
    file = tmp_path / "net,rc"  # engines take comma-separated values there
    file.write_text(f"password {SECRET}\n")
    other = "dormouse-in-the-teapot"
    (application / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n"
        "RUN --mount=type=secret,id=netrc --mount=type=secret,id=TOKEN busybox cut -c 10- /run/secrets/netrc && "
        "busybox cat /run/secrets/TOKEN && busybox wc -c /run/secrets/netrc /run/secrets/TOKEN > /sizes\n"
    )
    ran = build(
        cli, engine, application, "--image", registry.image(repository), "--tag", "1", "--no-cache",
        "--secret", f'id=netrc,"src={file}"', "--secret", "id=TOKEN,env=REGISTRY_TOKEN",
        REGISTRY_TOKEN=other,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    files = files_of(registry, repository, "1")
    assert f"{len(SECRET) + 10} /run/secrets/netrc" in files["sizes"].decode()
    everything = b"".join(files.values()) + json.dumps(registry.config(repository, "1")).encode()
    for secret in (SECRET, other):
        assert secret not in ran.err + ran.out
        assert secret.encode() not in everything
    assert "[masked]" in ran.err


@on_engines(*ENGINES, others=1)
def test_what_an_engine_cannot_do_it_refuses_by_name(
    cli: Cli, application: Path, engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a secret")
    asked = {
        "--secret": (engine.secrets, [f"id=a,src={tmp_path / 'secret'}"]),
        "--platform": (engine.several_platforms, ["linux/amd64,linux/arm64"]),
        "--timestamp": (engine.timestamps, ["0"]),
    }
    for flag, (able, values) in asked.items():
        words = [word for value in values for word in (flag, value)]
        if able:
            continue
        ran = build(cli, engine, application, "--image", "example.com/web", "--tag", "1", "--no-push", *words)
        assert ran.code == 2, ran.err
        assert "cannot honour" in ran.err
        assert flag in ran.err
        assert "--engine buildah" in ran.err


@on_engines(*ENGINES, others=1)
def test_without_push_nothing_leaves_the_engine(
    cli: Cli, application: Path, engine: Engine, registry: RegistryServer, repository: str
) -> None:
    ran = build(
        cli, engine, application, "--image", registry.image(repository), "--tag", "1", "--no-push", "-o", "json"
    )
    assert ran.code == 0, ran.err
    assert (ran.json["digest"], ran.json["pushed"]) == (None, False)
    assert ran.json["ref"] == f"{registry.image(repository)}:1"
    assert registry.tags(repository) == []


@on_engines(*ENGINES, others=1)
def test_the_login_comes_from_ci_variables(
    cli: Cli, application: Path, engine: Engine, guarded_registry: RegistryServer, repository: str
) -> None:
    """The pipeline's own names, nothing else said: image, tag, login and labels."""
    job = {
        "GITLAB_CI": "true", "CI_COMMIT_SHA": "a" * 40, "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_TIMESTAMP": "2026-11-20T10:00:00+01:00", "CI_PROJECT_URL": "https://gitlab.example.com/shop/web",
        "DOCKER_REGISTRY_HOST": guarded_registry.host, "DOCKER_REGISTRY_IMAGE": repository,
        "DOCKER_REGISTRY_USER": USER, "DOCKER_REGISTRY_PWD": PASSWORD,
    }  # fmt: skip
    ran = build(cli, engine, application, **job)
    assert ran.code == 0, ran.err
    assert guarded_registry.tags(repository) == ["a" * 40]
    labels = guarded_registry.config(repository, "a" * 40)["config"]["Labels"]
    assert labels["org.opencontainers.image.source"] == "https://gitlab.example.com/shop/web"
    assert labels["org.opencontainers.image.revision"] == "a" * 40
    assert labels["org.opencontainers.image.created"] == "2026-11-20T10:00:00+01:00"
    assert labels["org.opencontainers.image.ref.name"] == "main"
    assert PASSWORD not in ran.err + ran.out
    assert "\x1b[0Ksection_start:" in ran.err
    home = Path(cli.env["HOME"])
    assert not (home / ".docker" / "config.json").exists()


def test_docker_is_taken_where_it_works_and_buildah_where_it_does_not(
    cli: Cli, application: Path, docker_engine: DockerEngine, buildah_variables: dict[str, str], tmp_path: Path
) -> None:
    words = ("build", "--image", "example.com/web", "--tag", "1", "--no-push")
    ran = cli(*words, "--network", "none", cwd=application, env=docker_engine.variables)
    assert ran.code == 0, ran.err
    assert "Engine: Docker" in ran.err
    ran = cli(*words, cwd=application, env={**buildah_variables, "DOCKER_HOST": f"unix://{tmp_path}/none"})
    assert ran.code == 0, ran.err
    assert "Engine: buildah" in ran.err


def test_the_first_engine_that_can_do_all_of_it_is_taken(
    cli: Cli, application: Path, docker_engine: DockerEngine, buildah_variables: dict[str, str],
    registry: RegistryServer, repository: str,
) -> None:  # fmt: skip
    (application / "Dockerfile").write_text("FROM scratch\nCOPY files /files\n")
    ran = cli("build", "--image", registry.image(repository), "--tag", "1", "--platform", "linux/amd64,linux/arm64",
              cwd=application, env={**docker_engine.variables, **buildah_variables})  # fmt: skip
    assert ran.code == 0, ran.err
    assert "Engine: buildah" in ran.err
    index = registry.manifest(repository, "1")[1]
    assert {item["platform"]["architecture"] for item in index["manifests"]} == {"amd64", "arm64"}


@on_engines("buildah", "modern-buildkit")
def test_the_same_sources_give_the_same_digest(
    cli: Cli, application: Path, engine: Engine, registry: RegistryServer, repository: str
) -> None:
    """Two platforms, built anew each time: SOURCE_DATE_EPOCH rules all times."""
    (application / "Dockerfile").write_text("FROM scratch\nCOPY files /files\nLABEL kind=reproducible\n")
    digests = set()
    for tag in ("1", "2", "3"):
        (application / "files" / "wanted").touch()
        ran = build(
            cli, engine, application, "--image", registry.image(repository), "--tag", tag, "--no-cache",
            "--platform", "linux/amd64", "--platform", "linux/arm64", SOURCE_DATE_EPOCH="0",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        digests.add(registry.manifest(repository, tag)[0])
    assert len(digests) == 1
    architectures = {
        json.loads(registry.blob(repository, registry.manifest(repository, item["digest"])[1]["config"]["digest"]))[
            "architecture"
        ]
        for item in registry.manifest(repository, "1")[1]["manifests"]
    }
    assert architectures == {"amd64", "arm64"}


@on_engines("buildah", "modern-buildkit", others=0)
def test_a_cache_in_the_registry_is_filled_and_used(
    cli: Cli, application: Path, engine: Engine, registry: RegistryServer, repository: str
) -> None:
    cache = registry.image(f"{repository}-cache")
    ran = build(cli, engine, application, "--image", registry.image(repository), "--tag", "1",
                "--cache-from", cache, "--cache-to", cache)  # fmt: skip
    assert ran.code == 0, ran.err
    assert registry.tags(f"{repository}-cache")


def test_building_again_says_that_nothing_has_changed(
    cli: Cli, application: Path, docker_engine: DockerEngine, registry: RegistryServer, repository: str
) -> None:
    words = ("build", "--image", registry.image(repository), "--tag", "1", "--network", "none")
    first = cli(*words, cwd=application, env=docker_engine.variables)
    second = cli(*words, cwd=application, env=docker_engine.variables)
    assert first.out == second.out
    assert "nothing has changed" not in first.err
    assert "nothing has changed" in second.err


@on_engines("docker", "buildah", others=0)
def test_a_registry_that_is_away_is_tried_three_times(cli: Cli, application: Path, engine: Engine) -> None:
    ran = cli("-o", "json", "build", "--engine", engine.name, *engine.options, "--image", "127.0.0.1:9/web",
              "--tag", "1", cwd=application, env=engine.variables)  # fmt: skip
    assert ran.code == 75
    assert "Try 2 of 3" in ran.err
    assert "cannot be reached" in ran.err
    assert (ran.json["kind"], ran.json["digest"], ran.json["error"]["code"]) == ("BuildResult", None, 75)


@on_engines("docker", "buildah", "classic", "buildkit", "modern-docker")
def test_a_base_image_that_is_not_there_or_out_of_reach(
    cli: Cli, application: Path, engine: Engine, registry: RegistryServer
) -> None:
    for image, code in ((registry.image("nobody/has:1"), 1), ("127.0.0.1:9/base:1", 75)):
        (application / "Dockerfile").write_text(f"# a base\nFROM {image}\nENV LEVEL=2\n")
        ran = build(cli, engine, application, "--image", "example.com/web", "--tag", "1", "--no-push")
        assert ran.code == code, ran.err
        error = ran.err[ran.err.rindex("Error: ") :]
        if code == 1:
            assert "Dockerfile line 2 failed" in error
            assert f"2 | FROM {image}" in error
        else:
            assert "A base image or cache cannot be reached" in error


def test_refused_credentials_are_told_before_the_build_with_their_source(
    cli: Cli, application: Path, docker_engine: DockerEngine, guarded_registry: RegistryServer, repository: str
) -> None:
    job = {"CI_REGISTRY": guarded_registry.host, "CI_REGISTRY_IMAGE": guarded_registry.image(repository),
           "CI_REGISTRY_USER": "alice", "CI_REGISTRY_PASSWORD": "drink-me-not", "CI_COMMIT_TAG": "v1"}  # fmt: skip
    ran = cli("build", "--network", "none", cwd=application, env={**docker_engine.variables, **job})
    assert ran.code == 1
    assert "CI_REGISTRY_USER and CI_REGISTRY_PASSWORD" in ran.err
    assert "drink-me-not" not in ran.err
    assert "COPY busybox" not in ran.err
    ran = cli("build", "--network", "none", cwd=application, env=docker_engine.variables,
              CI_REGISTRY_IMAGE=guarded_registry.image(repository), CI_COMMIT_TAG="v1")  # fmt: skip
    assert ran.code == 1
    assert "none was found" in ran.err


def test_on_a_terminal_one_line_moves_and_in_ci_every_line_stays(
    cli: Cli, application: Path, docker_engine: DockerEngine
) -> None:
    argv = [sys.executable, "-m", "ci_gitops", "build", "--network", "none", "--image", "example.com/web",
            "--tag", "1", "--no-push"]  # fmt: skip
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(argv, cwd=application, env={**cli.env, **docker_engine.variables, "TERM": "xterm"},
                               stderr=end, stdout=subprocess.DEVNULL)  # fmt: skip
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is gone when the program is
        while data := os.read(terminal, 65536):
            shown += data
    os.close(terminal)
    assert process.wait(60) == 0
    stays = [line.rpartition("\x1b[2K")[2] for line in shown.decode().replace("\r\n", "\n").split("\n")]
    assert b"COPY busybox" in shown
    assert not any("COPY busybox" in line for line in stays)
    assert [line.split(" ")[0] for line in stays if line.strip()] == ["Engine:", "Built"]
    job = cli(*argv[3:], cwd=application, env=docker_engine.variables, GITLAB_CI="true")
    assert any("COPY busybox" in line for line in job.err.splitlines())
    assert "\x1b[2K" not in job.err


def test_a_dry_run_builds_nothing(cli: Cli, application: Path, tmp_path: Path) -> None:
    ran = cli("build", "--image", "example.com/web", "--tag", "1", "--dry-run", "--dotenv", "x.env",
              cwd=application, DOCKER_HOST=f"unix://{tmp_path}/none")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "Would build example.com/web:1" in ran.out
    assert not (application / "x.env").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--image NAME"),
        (["--image", "example.com/web"], "--tag TAG"),
        (["--image", "example.com/Web", "--tag", "1"], "example.com/Web"),
        (["--image", "example.com/web", "--tag", "no/slash"], "no/slash"),
        (["--image", "example.com/web", "--tag", "-v"], "-v"),
        (["--image", f"example.com/web@sha256:{'a' * 64}", "--tag", "1"], "has a digest"),
        (["--image", "a/b", "--tag", "1", "--engine", "dokcer"], "'docker'"),
        (["--image", "a/b", "--tag", "1", "--file", "Nofile"], "Nofile"),
        (["--image", "a/b", "--tag", "1", "--secret", "hunter2-the-secret"], "id=ID"),
        (["--image", "a/b", "--tag", "1", "--secret", "id=a\nid=b"], "id=ID"),
        (["--image", "a/b", "--tag", "1", "--secret", "id=a,src=nowhere"], "nowhere"),
        (["--image", "a/b", "--tag", "1", "--secret", "id=a,env=NOT_SET"], "NOT_SET"),
        (["--image", "a/b", "--tag", "1", "--build-arg", "NOT_SET"], "NOT_SET"),
        (["--image", "a/b", "--tag", "1", "--label", "novalue"], "KEY=VALUE"),
        (["--image", "a/b", "--tag", "1", "--timeout", "soon"], "90s"),
        (["--image", "a/b", "--tag", "1", "--dotenv", "no/folder/x.env"], "no/folder/x.env"),
        (["--image", "a/b", "--tag", "1", "--ca-file", "no.pem"], "no.pem"),
        (["--image", "a/b", "--tag", "1", "--registry-user", "alice"], "no password"),
    ],
)
def test_what_cannot_be_is_refused_before_an_engine_is_asked(
    cli: Cli, application: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    before = sorted(path.name for path in application.iterdir())
    ran = cli("build", *words, cwd=application, DOCKER_HOST=f"unix://{tmp_path}/none")
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert "hunter2-the-secret" not in ran.err
    assert sorted(path.name for path in application.iterdir()) == before
