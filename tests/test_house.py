"""The repository itself: lock files, the package that people install, what `make` needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.rig.install import Package

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_hold_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    requirements = re.findall(r"(?m)^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.DOTALL)
    assert len(requirements) > 10
    assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_the_lock_files_agree_on_what_both_hold() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"(?m)^[a-z0-9][^ ;\\]*==[^ ;\\]+", (ROOT / name).read_text()))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = (ROOT / "requirements-dev.lock").read_text()
    for wanted in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        name = re.split(r"[><=]", wanted)[0].replace(".", "-")
        assert re.search(rf"(?m)^{re.escape(name)}==", locked), f"{name} is not locked: run `make lock`"


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("docker.io", Package("docker.io", None, None)),
        ("forky:docker-buildx", Package("docker-buildx", "forky", None)),
        ("trixie:kustomize?kustomize", Package("kustomize", "trixie", "kustomize")),
    ],
)
def test_lines_of_the_package_list(line: str, package: Package) -> None:
    assert Package.parse(line) == package


def test_every_dependency_is_justified_and_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    page = (ROOT / "docs/dependencies.md").read_text()
    runtime, development = page.split("## Of the tests")
    for text, wanted in (
        (runtime, project["project"]["dependencies"]),
        (development, project["dependency-groups"]["dev"]),
    ):
        assert set(re.findall(r"(?m)^\| ([a-z0-9.-]+) \|", text)) - {"package"} == {
            re.split(r"[><=]", name)[0] for name in wanted
        }
    modules = {
        "gitpython": "git", "pygithub": "github", "python-gitlab": "gitlab", "pyyaml": "yaml", "ruamel.yaml": "ruamel",
        "tzdata": "zoneinfo",
    }  # fmt: skip
    sources = "".join(file.read_text() for file in (ROOT / "ci_gitops").rglob("*.py"))
    for name in (re.split(r"[><=]", wanted)[0] for wanted in project["project"]["dependencies"]):
        module = modules.get(name, name)
        assert re.search(rf"(?m)^\s*(from|import) {module}\b", sources), f"nothing imports {name}"


def test_the_architecture_page_knows_every_layer_in_order() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    picture = page.split("```text")[2].split("```")[0]
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    lines = []
    for row in contract["layers"]:
        for layer in (name.removeprefix("ci_gitops.") for name in row.split(" | ")):
            found = re.search(rf"(?m)(?:^|\s{{2}}|, ){layer}(?=[/, \n])", picture)
            assert found, f"{layer} is not in the picture"
            lines.append(picture[: found.end()].count("\n"))
    assert lines == sorted(lines)
    for entry in (ROOT / "ci_gitops").iterdir():
        if entry.stem not in ("__init__", "__pycache__", "py"):
            assert entry.stem in page, f"{entry.name} is not in docs/architecture.md"


def test_the_image_has_what_jobs_of_the_usual_pipelines_call() -> None:
    packages = "".join((ROOT / f"image/packages-{variant}.txt").read_text() for variant in ("cluster", "full"))
    installed = (packages + (ROOT / "image/tools.txt").read_text()).split()
    needed = {"bash", "buildah", "docker-buildx", "docker-cli", "git", "kustomize", "make", "openssh-client"}
    assert needed <= set(installed)


def test_every_program_of_the_image_has_a_checksum_for_both_architectures() -> None:
    lines = [line.split() for line in (ROOT / "image/tools.txt").read_text().splitlines() if not line.startswith("#")]
    found: dict[tuple[str, str], set[str]] = {}
    for name, version, architecture, checksum, address, *_ in lines:
        assert re.fullmatch("[0-9a-f]{64}", checksum), name
        assert address.startswith("https://")
        assert {version, architecture} <= set(re.findall(r"[0-9.]*[0-9]|amd64|arm64", address)), address
        found.setdefault((name, version), set()).add(architecture)
    assert all(each == {"amd64", "arm64"} for each in found.values()), found
    assert len({line[3] for line in lines}) == len(lines)
