"""A deploy that is frozen half-way (SIGSTOP, as a suspended machine) while the next one goes by."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.commands.test_deploy import commit, git
from tests.commands.test_status import WORKLOAD, Place, config_map, make  # noqa: F401 - a fixture


@pytest.mark.full  # a Lease lasts 15 seconds
def test_a_frozen_run_writes_nothing_over_what_came_after_it(
    make: Callable[[str, str], Place], namespace: str  # noqa: F811 - the fixture
) -> None:  # fmt: skip
    place = make("acme", namespace)
    commit(place.checkout, {"environments/staging/shop/web.yaml": WORKLOAD})
    frozen = subprocess.Popen(
        [sys.executable, "-m", "ci_gitops", "deploy", "--environment", "staging", "--timeout", "300s"],
        cwd=place.checkout, env={**place.cli.env, "KUBECONFIG": str(place.cluster.kubeconfig)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert frozen.stderr
        assert any("waits for" in line for line in frozen.stderr)
        os.kill(frozen.pid, signal.SIGSTOP)
        git(place.checkout, "rm", "-q", "environments/staging/shop/web.yaml")
        newer = commit(place.checkout, {"environments/staging/shop/settings.yaml": config_map("settings", "wild")})
        place.deploy("--prune", "--timeout", "60s")
        os.kill(frozen.pid, signal.SIGCONT)
        out, err = frozen.communicate(timeout=60)
    finally:
        frozen.kill()
    assert frozen.returncode in (0, 75), (out, err)
    records = place.items("history", "--environment", "staging")
    assert [(each["revision"] == newer, each["outcome"]) for each in records] == [
        (True, "succeeded"),
        (False, "failed"),
    ]
    assert "The run ended without a word" in records[1]["failure"]["message"]
    shop = place.state("shop")
    assert (shop["sync"], shop["revision"], shop["images"]) == ("synced", newer, [])
