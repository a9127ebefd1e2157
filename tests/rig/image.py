"""Our own image, built from this tree by a real engine, from a Debian that `make parts` made; no registry is reached.

image = images("full")                   # built once and pushed to a registry of the tests
image.run("kubectl version --client")    # a job's line in it, as its own user
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ci_gitops import __version__
from tests.rig.engine import DockerEngine
from tests.rig.parts import missing, program
from tests.rig.registry import RegistryServer

ROOT = Path(__file__).parents[2]
HOW = "`make parts` makes it, as root on Debian"
TOOLS = ("kubectl", "helm", "kustomize", "sops", "cosign")
CREATED = "2026-01-02T03:04:05Z"
REPOSITORY = "ci-gitops/ci-gitops"


@dataclass(frozen=True)
class Image:
    """One variant, in a registry."""

    engine: DockerEngine
    registry: RegistryServer
    variant: str
    tag: str
    said: list[str] = field(default_factory=list)  # what its build printed

    @property
    def name(self) -> str:
        return f"{self.registry.host}/{REPOSITORY}:{self.tag}"

    @property
    def size(self) -> int:
        """Bytes that are pulled."""
        return sum(layer["size"] for layer in self.registry.manifest(REPOSITORY, self.tag)[1]["layers"])

    def docker(self, *words: object, stdin: str = "", code: int = 0, timeout: int = 200) -> str:
        argv = [self.engine.client, *map(str, words)]
        done = subprocess.run(argv, env=environment(self.engine), input=stdin, capture_output=True, text=True,
                              check=False, timeout=timeout)  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def run(
        self, script: str, *options: object, network: str = "none", shell: Sequence[str] = ("bash",), timeout: int = 200
    ) -> str:
        """What these lines print, given to a shell of the image as GitLab's runner does."""
        words = ("run", "--rm", "-i", "--network", network, *options, self.name, *shell)
        return self.docker(*words, stdin=script, timeout=timeout)


Images = Callable[[str], Image]


def environment(engine: DockerEngine) -> dict[str, str]:
    """A client with buildx that asks no keyring of this machine: one login, if only somewhere, keeps it from that."""
    plugins = Path(engine.with_buildx["DOCKER_CONFIG"]) / "cli-plugins"
    folder = engine.folder / "image-client"
    if not folder.is_dir():
        folder.mkdir()
        (folder / "config.json").write_text('{"auths": {"registry.invalid": {"auth": "YTpi"}}}')
        (folder / "cli-plugins").symlink_to(plugins)
    variables = {**engine.with_buildx, "DOCKER_CONFIG": str(folder)}
    return {"PATH": os.environ["PATH"], "HOME": str(engine.folder), **variables}


@pytest.fixture(scope="session")
def image_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `docker build` is given: this tree with the wheels and programs that lie on this machine."""
    parts = image_parts()
    folder = tmp_path_factory.mktemp("image")
    for name in ("Dockerfile", ".dockerignore", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    for name in ("ci_gitops", "image"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(parts / "wheels", folder / "dist" / "wheels")
    tools = folder / "dist" / "tools" / "amd64"
    tools.mkdir(parents=True)
    for name in TOOLS:
        shutil.copy(program(name, "the cluster kit has it, or put its release on PATH"), tools)
    return folder


@pytest.fixture(scope="session")
def images(modern_docker_engine: DockerEngine, registry: RegistryServer, image_context: Path) -> Images:
    """Each variant, built when it is first asked for."""
    built: dict[str, Image] = {}

    def ask(variant: str) -> Image:
        if variant not in built:
            built[variant] = build_image(modern_docker_engine, registry, image_context, variant)
        return built[variant]

    return ask


def build_image(
    engine: DockerEngine, registry: RegistryServer, context: Path, variant: str, *more: str, tag: str | None = None,
    network: str = "none", ok: bool = True, **settings: str,
) -> Image:  # fmt: skip
    """By default from a base with all of Debian that the variant needs; `settings` are build arguments."""
    image = Image(engine, registry, variant, tag or variant)
    given = arguments(settings.get("BASE") or imported_base(engine, variant), **settings)
    exporter = f"type=image,name={image.name},push=true,unpack=false,store=false,rewrite-timestamp=true"
    words = [engine.client, "buildx", "build", "--target", variant, "--network", network, "--provenance=false", *given,
             "--progress", "plain", "--output", exporter, *more, str(context)]  # fmt: skip
    done = subprocess.run(words, env=environment(engine), capture_output=True, text=True, check=False, timeout=1200)
    assert (done.returncode == 0) is ok, done.stderr[-4000:]
    image.said.append(done.stderr)
    return image


def arguments(base: str, **settings: str) -> list[str]:
    """The words of an engine's command for the build arguments."""
    given = {"BASE": base, "TOOLS": "local", "VERSION": __version__, "REVISION": "0" * 40, "CREATED": CREATED,
             "SOURCE_DATE_EPOCH": "0", **settings}  # fmt: skip
    return [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]


def imported_base(engine: DockerEngine, made: str, platform: str = "linux/amd64") -> str:
    """One of the bases of `make parts`, as an image of this engine."""
    base = f"ci-gitops-base:{made}"
    if not engine.docker("images", "-q", base):
        engine.docker("import", "--platform", platform, image_parts(made) / "bases" / made / "root.tar", base)
    return base


def image_parts(made: str = "full") -> Path:
    """The folder of `make parts`, which has put its programs on PATH."""
    for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
        needed = ("wheels/installed.lock", f"bases/{made}/made-of")
        if all((folder.parent / name).exists() for name in needed):
            return folder.parent
    missing(f"Debian for our image ({made})", HOW)
    raise AssertionError
