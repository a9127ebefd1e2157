"""The release jobs of the project's own pipeline, run as their scripts stand.

Not here are a runner with docker:dind and the identity of GitLab's jobs: the engine is on a socket, with this machine's
platform alone, and signatures are by key.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ci_gitops import __version__
from tests.rig.cosign import Signing
from tests.rig.engine import DockerEngine
from tests.rig.git_server import GitServer, run_git
from tests.rig.image import TOOLS, environment, image_parts, imported_base
from tests.rig.mirror import Mirror, running_mirror
from tests.rig.parts import program
from tests.rig.pipelines import Project, said
from tests.rig.registry import PASSWORD, USER, RegistryServer

pytestmark = [pytest.mark.full, pytest.mark.timeout(3000)]
ROOT = Path(__file__).parents[2]
VERSION = "9.8.7"
TAG = {"CI_COMMIT_TAG": f"v{VERSION}", "CI_COMMIT_BRANCH": None}
PARTS = (
    ".ci", ".dockerignore", ".gitignore", "Dockerfile", "ci_gitops", "image", "requirements-dev.lock",
    "requirements.lock", "tests/__init__.py", "tests/rig",
)  # fmt: skip
# Done by the machine itself, or not to be had on it: packages, emulation, and BuildKit in a container.
STAND_INS = {
    "apt-get": "exit 0",
    "docker": """case "$1 $2 $3" in
      "run --rm --privileged" | "context create dind" | "buildx create --use") exit 0 ;;
    esac
    exec "{docker}" "$@\"""",
}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    with running_mirror(tmp_path_factory.mktemp("mirror")) as server:
        yield server


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, mirror: Mirror, modern_docker_engine: DockerEngine,
    guarded_registry: RegistryServer, signing: Signing, remote: GitServer,
) -> Project:  # fmt: skip
    """This repository at a tag, and what a maintainer has set for its pipelines."""
    folder, home = tmp_path_factory.mktemp("release") / "project", tmp_path_factory.mktemp("home")
    for name in PARTS:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target)
    mirror.release(folder / "image", {name: Path(program(name, "…")).read_bytes() for name in TOOLS}, "amd64")
    pipeline = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    del pipeline["release"]["services"]
    made = Project.make(folder, home, yaml.safe_dump(pipeline))
    for name, script in STAND_INS.items():
        stand_in(home / "bin" / name, script.replace("{docker}", modern_docker_engine.client))
    signing.key("releaser")
    made.variables |= {
        **{name: value for name, value in environment(modern_docker_engine).items() if name.startswith("DOCKER")},
        "DOCKER_CONFIG": str(client(environment(modern_docker_engine)["DOCKER_CONFIG"], home)),
        "DOCKER_TLS_VERIFY": "",
        "CI_REGISTRY_USER": USER, "CI_REGISTRY_PASSWORD": PASSWORD,
        "BASE": imported_base(modern_docker_engine, "full"), "PLATFORMS": "linux/amd64",
        "BUILD_OPTIONS": f"--network host --allow network.host --build-arg TOOLS_MIRROR={mirror.address}",
        "COSIGN_KEY": str(signing.folder / "releaser.key"), "COSIGN_PASSWORD": "",
        "COSIGN_OPTIONS": "--use-signing-config=false --tlog-upload=false",
        "PIP": f"{sys.executable} {next((image_parts() / 'wheels').glob('pip-*.whl'))}/pip",
        "RELEASE_URL": remote.create("released"), "RELEASE_TOKEN": remote.password,
    }  # fmt: skip
    return made


def stand_in(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def client(settings: str, home: Path) -> Path:
    """The plugins of the engine's client, with logins of its own."""
    folder = home / "docker"
    shutil.copytree(settings, folder, symlinks=True)
    return folder


def test_a_tag_releases_signed_images_with_their_materials(
    project: Project, mirror: Mirror, guarded_registry: RegistryServer, signing: Signing
) -> None:
    place = {"CI_REGISTRY": guarded_registry.host, "CI_REGISTRY_IMAGE": guarded_registry.image("ci-gitops/released")}
    told = project.run({**TAG, **place}, "wheels", "release")
    assert PASSWORD not in told
    released = re.findall(r"(?m)^release +> (\S+/released):(\S+)@(sha256:[0-9a-f]{64})$", said(told, "release"))
    assert [tag for _, tag, _ in released] == [VERSION, f"{VERSION}-cluster"]
    assert len(mirror.asked) == len(TOOLS)
    environ = {"PATH": signing.path("3"), "HOME": str(project.home), "DOCKER_CONFIG": str(project.home / "docker")}
    for name, tag, digest in released:
        assert guarded_registry.manifest("ci-gitops/released", tag)[0] == digest
        demand = ["--key", "releaser.pub", "--insecure-ignore-tlog", f"{name}@{digest}"]
        for words in (["verify", *demand], ["verify-attestation", "--type", "cyclonedx", *demand]):
            subprocess.run(["cosign", *words], cwd=signing.folder, env=environ, check=True, capture_output=True)
    config = guarded_registry.config("ci-gitops/released", VERSION)["config"]
    assert config["Labels"]["org.opencontainers.image.version"] == VERSION
    for variant, (_, _, digest) in zip(("full", "cluster"), released, strict=True):
        document = project.artifact("release", f"sbom-{variant}-amd64.cdx.json")
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None
        listed = json.loads(document)
        assert listed["metadata"]["component"]["version"] == digest
        inside = {each["name"]: each for each in listed["components"]}
        assert inside["ci-gitops"]["version"] == __version__
        assert {"click", "git", *TOOLS} <= set(inside)
        assert re.search(re.escape(inside["kubectl"]["version"]), kubectl())


def kubectl() -> str:
    done = subprocess.run([program("kubectl", "…"), "version", "--client"], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_tag_releases_the_components_once(project: Project, remote: GitServer) -> None:
    bare = remote.bare("released")
    for _ in range(2):
        told = project.run(TAG, "components", "--no-needs")
        assert remote.password not in told
    assert "is there already" in told
    listed = run_git("--git-dir", bare, "ls-tree", "-r", "--name-only", VERSION).splitlines()
    templates = {path.name for path in (ROOT / "ci-templates").glob("*.yml")}
    assert {name.removeprefix("templates/") for name in listed if name.startswith("templates/")} == templates
    for name in templates:
        text = run_git("--git-dir", bare, "show", f"{VERSION}:templates/{name}")
        assert text.replace(VERSION, __version__) == (ROOT / "ci-templates" / name).read_text()


def test_the_tag_of_the_components_publishes_them(project: Project) -> None:
    tag = {**TAG, "CI_COMMIT_TAG": VERSION}
    assert "catalogue" in project.jobs(tag)
    assert not {"release", "components"} & set(project.jobs(tag))
    assert f"Publishing the components of {VERSION}" in project.run(tag, "catalogue")
