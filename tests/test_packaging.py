"""The package that people install: it holds all that the program reads, and needs nothing but its dependencies."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_gitops.commands import COMMANDS
from tests.rig.git_server import run_git

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ci_gitops"
KUSTOMIZATION = "images:\n  - name: web\n    newTag: '1'\n"
IMPORT_ALL = """
import importlib, pkgutil, sys, ci_gitops
for module in pkgutil.walk_packages(ci_gitops.__path__, "ci_gitops."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(ci_gitops.__file__)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from the sdist alone."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t"]
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True, capture_output=True)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    subprocess.run([*build, "wheel"], cwd=source, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that has the wheel and what its lock file names: nothing of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (wheel,) = built.glob("*.whl")
    words = ["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)]
    subprocess.run([folder / "bin" / "pip", *words], check=True)
    (libraries,) = folder.glob("lib/python*/site-packages")
    for file in locked_files():
        if not (libraries / file.name).exists():
            (libraries / file.name).symlink_to(file)
    return folder / "bin"


def locked_files() -> Iterator[Path]:
    """What the dependencies have put beside each other, found where the tests run: no network is asked."""
    for name in re.findall(r"(?m)^([a-z0-9][\w.-]*)==", (ROOT / "requirements.lock").read_text()):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
        yield from (Path(str(distribution.locate_file(top))) for top in sorted(tops))


def run(programs: Path, *words: str, cwd: Path) -> str:
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(cwd), "PYTHONWARNINGS": "error"}
    done = subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    here = {
        file.relative_to(ROOT).as_posix()
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    assert names == here
    assert "ci_gitops/py.typed" in names
    assert "extra ==" not in metadata, "a plain install runs everything"


def test_the_sdist_can_be_read_and_tested(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "requirements-dev.lock", "docs/generate.py",
              "ci-templates/build.yml", "deploy/base/kustomization.yaml", "tests/test_packaging.py"}  # fmt: skip
    assert wanted <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", ".cache"))]


def test_a_plain_install_runs(installed: Path, tmp_path: Path) -> None:
    """In an environment without the tests' packages, and away from the sources."""
    assert run(installed, "ci-gitops", "--version", cwd=tmp_path).startswith("ci-gitops")
    (tmp_path / "kustomization.yaml").write_text(KUSTOMIZATION)
    run(installed, "ci-gitops", "set-image", "web:2", cwd=tmp_path)
    assert (tmp_path / "kustomization.yaml").read_text() == KUSTOMIZATION.replace("'1'", "'2'")
    imported = run(installed, "python", "-c", IMPORT_ALL, cwd=tmp_path)
    assert str(PACKAGE) not in imported
    listed = run(installed, "ci-gitops", "--help", cwd=tmp_path)
    assert not [name for name in COMMANDS if f" {name} " not in listed]


@pytest.mark.full
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_a_plain_install_says_what_it_does(installed: Path, tmp_path: Path, name: str) -> None:
    assert f"ci-gitops {name}" in run(installed, "ci-gitops", name, "--help", cwd=tmp_path)


@pytest.mark.full
def test_a_plain_install_walks_the_whole_road(installed: Path, tmp_path: Path) -> None:
    run_git("config", "--file", tmp_path / ".gitconfig", "user.name", "Ada")
    assert "What to try next" in run(installed, "ci-gitops", "demo", "--keep", "shop", cwd=tmp_path)
