from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.rig.cli import Cli
from tests.rig.engine import DockerEngine
from tests.rig.registry import RegistryServer

DOCKERFILE = """\
FROM scratch
ARG GREETING=hello
COPY busybox /bin/busybox
COPY busybox /bin/sh
RUN busybox echo $GREETING > /greeting
"""


@pytest.fixture
def application(tmp_path: Path, busybox: Path) -> Path:
    folder = tmp_path / "application"
    folder.mkdir()
    shutil.copy(busybox, folder / "busybox")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


def test_an_image_is_built_pushed_and_handed_on(
    cli: Cli, application: Path, docker_engine: DockerEngine, registry: RegistryServer, repository: str
) -> None:
    image = registry.image(repository)
    ran = cli(
        "build", "--image", image, "--tag", "1.0", "--tag", "latest", "--network", "none",
        "--dotenv", "build.env", "--result", "image.json", cwd=application, env=docker_engine.variables,
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
    assert result["ref"] == f"{image}:1.0@{digest}"
    assert result["tags"] == ["1.0", "latest"]
