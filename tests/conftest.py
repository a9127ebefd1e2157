from __future__ import annotations

import datetime
import os
import random
import signal
from typing import NoReturn

import pytest
from xdist import workermanage

from ci_gitops import masking

pytest.register_assert_rewrite("tests.contracts.forge_rigs")

pytest_plugins = [
    "tests.rig.cli",
    "tests.rig.cluster",
    "tests.rig.corpus",
    "tests.rig.engine",
    "tests.rig.git_server",
    "tests.rig.ssh_server",
    "tests.rig.helm",
    "tests.rig.registry",
    "tests.rig.cosign",
    "tests.rig.deploying",
    "tests.rig.image",
    "tests.rig.surroundings",
    "tests.rig.team",
]

#: Rigs that are dear to start: tests that use one run in one worker, so that it starts once.
SHARED_RIGS = ("cluster", "docker_engine", "images")
#: What is drawn is the same each time, and another thing each day in the full run: a change fails for what it did.
_DAY = datetime.datetime.now(datetime.UTC).date().toordinal() if os.environ.get("CI_GITOPS_TEST_FULL") else 739_576
SEED = int(os.environ.get("CI_GITOPS_TEST_SEED") or _DAY)


def pytest_configure() -> None:
    """A run that is ended from outside ends what it started, as one that is interrupted by hand."""

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, lambda *_: None)  # once is enough
        raise KeyboardInterrupt("ended by SIGTERM")

    signal.signal(signal.SIGTERM, end)
    workermanage.NodeManager.EXIT_TIMEOUT = 60  # seconds, after which workers are killed


def pytest_report_header() -> list[str]:
    lines = [f"seed: {SEED} (the same samples again: CI_GITOPS_TEST_SEED={SEED})"]
    if not os.environ.get("CI_GITOPS_TEST_SPECS"):
        lines.append(
            "the fakes of forges are not held against the forges' descriptions: CI_GITOPS_TEST_SPECS is not set"
        )
    return lines


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        callspec = getattr(item, "callspec", None)
        if (
            callspec and "kubernetes" in callspec.params.values()
        ):  # a contract's rig that asks for the cluster by itself
            used.add("cluster")
        if os.environ.get("KUBECONFIG"):
            used.discard("cluster")  # one that is there already is shared by all workers
        for rig in SHARED_RIGS:
            if rig in used:
                item.add_marker(pytest.mark.xdist_group(rig))
                break


@pytest.fixture
def rng() -> random.Random:
    """Random choices that can be had again."""
    return random.Random(SEED)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say which variables they need: nothing of this job's CI, Git or registry settings reaches them."""
    for name in os.environ:
        ours = name.startswith("CI_GITOPS_TEST")
        if name.startswith(("CI_", "GITLAB_", "GIT_", "DOCKER_", "GITHUB_", "SSH_")) and not ours:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_secrets_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier test registered as a secret is none for this one."""
    monkeypatch.setattr(masking, "_secrets", set())
    monkeypatch.setattr(masking, "_pattern", None)
