"""Run the command line as a user does, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rig.warm import Warm, at_the_start

#: Arguments, folder, variables and seconds; both outputs are text.
Start = Callable[[Sequence[str], Path, Mapping[str, str], float], subprocess.CompletedProcess[str]]


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
    start: Start

    def __call__(
        self,
        *arguments: object,
        cwd: Path | None = None,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
        **variables: str,
    ) -> Ran:
        given = {**self.env, **(env or {}), **variables}
        done = self.start([*map(str, arguments)], cwd or Path.cwd(), given, timeout)
        return Ran(done.returncode, done.stdout, done.stderr)


def cold(
    arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ci_gitops", *arguments], cwd=cwd, env=env, capture_output=True,
                          text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL)  # fmt: skip


@pytest.fixture(scope="session")
def cli_variables() -> dict[str, str]:
    """What every run is given."""
    root = Path(__file__).parents[2]
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**keep, "PYTHONPATH": str(root), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="session")
def cli_start(cli_variables: dict[str, str]) -> Iterator[Start]:
    """From a process that is warm already; in the full tests each run starts from nothing."""
    if os.environ.get("CI_GITOPS_TEST_FULL"):
        yield cold
        return
    process = Warm(cli_variables)

    def start(
        arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        same = at_the_start(env) == at_the_start(cli_variables)
        return (process.run if same else cold)(arguments, cwd, env, timeout)

    try:
        yield start
    finally:
        process.close()


@pytest.fixture
def cli(tmp_path_factory: pytest.TempPathFactory, cli_variables: dict[str, str], cli_start: Start) -> Cli:
    return Cli({**cli_variables, "HOME": str(tmp_path_factory.mktemp("home"))}, cli_start)
