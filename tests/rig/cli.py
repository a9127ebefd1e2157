"""Run the command line as a user does, in a process of its own, or faster in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cli:
    """`cli("update", "web:1.2", cwd=..., NAME="value")` runs `python -m ci_gitops update web:1.2`."""

    env: dict[str, str]

    def __call__(
        self,
        *arguments: object,
        cwd: Path | None = None,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
        **variables: str,
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "ci_gitops", *map(str, arguments)],
            cwd=cwd, env={**self.env, **(env or {}), **variables}, capture_output=True, text=True,
            timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    home = tmp_path_factory.mktemp("home")
    root = Path(__file__).parents[2]
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return Cli({**keep, "HOME": str(home), "PYTHONPATH": str(root), "PYTHONWARNINGS": "error"})
