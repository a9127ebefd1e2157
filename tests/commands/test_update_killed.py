"""A run that is killed at any moment leaves something whole; the same call again ends in the right state."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands.test_update import LAYOUT, PIPELINE, PRODUCTION, WEB
from tests.rig.cli import Cli
from tests.rig.git_server import GitServer, run_git

SETTINGS = b"environments:\n  staging: {}\n  production: {merge: now}\n"
MOMENTS = [pytest.param(0, 2), pytest.param(1, 30, marks=pytest.mark.full)]


class Killer:
    """`update` on a new config repository each time, killed after a while, then run again."""

    def __init__(self, cli: Cli, server: GitServer, folder: Path) -> None:
        self.cli, self.server, self.folder = cli, server, folder
        self.environ = {**cli.env, **PIPELINE, "CI_GITOPS_TOKEN": server.password, "TMPDIR": str(folder)}
        self.count = 0

    def begin(self, write: str) -> list[str]:
        self.count += 1
        url = self.server.create(f"config{self.count}", {**LAYOUT, ".ci-gitops.yaml": SETTINGS})
        return [sys.executable, "-m", "ci_gitops", "-o", "json", "update", f"{WEB}:1.2", "--environment", "production",
                "--repo", url, "--forge", "local", "--write", write]  # fmt: skip

    def run(self, command: list[str], seconds: float | None = None) -> float:
        """How long it took; killed with its whole group after `seconds`."""
        started = time.monotonic()
        with subprocess.Popen(
            command, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            try:
                process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            else:
                assert process.returncode == 0
        return time.monotonic() - started

    def git(self, *arguments: str) -> str:
        return run_git("--git-dir", self.server.bare(f"config{self.count}"), *arguments)


@pytest.fixture
def killer(cli: Cli, git_server: GitServer, tmp_path: Path) -> Killer:
    return Killer(cli, git_server, tmp_path)


@pytest.mark.parametrize("write", ["push", "merge-request"])
@pytest.mark.parametrize(("offset", "times"), MOMENTS)
def test_killed_and_run_again(killer: Killer, rng: random.Random, write: str, offset: int, times: int) -> None:
    rng.seed(rng.random() + offset)
    whole = killer.run(killer.begin(write))
    for _ in range(times):
        command = killer.begin(write)
        moment = rng.uniform(0, whole)
        killer.run(command, moment)
        killer.run(command)
        said = f"killed after {moment:.3f} s of {whole:.3f}"
        assert '"1.2"' in killer.git("show", f"main:{PRODUCTION}"), said
        ours = killer.git("log", "--no-merges", "--format=%s", "main").splitlines()
        assert ours == ["deploy(production): web 1.1 -> 1.2", "First"], said
        refs = killer.git("for-each-ref", "--format=%(refname)").split()
        records = [ref for ref in refs if ref.endswith("/record")]
        assert records == (["refs/ci-gitops/merge-requests/1/record"] if write == "merge-request" else []), said
        assert [ref for ref in refs if ref.startswith("refs/heads/")] == ["refs/heads/main"], said
