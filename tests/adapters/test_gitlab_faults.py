"""Every call to GitLab failing in every way: the right result or a clear error, and never anything twice.

An operation is run once to see which calls it makes. Then each of them fails in each way, on a fresh project each
time; the operation is repeated as the next job would, and the project must be as if nothing had happened.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall, NewMergeRequest
from ci_gitops.errors import CiGitopsError
from tests.contracts.forge_rigs import GitLabRig
from tests.fakes.faults import FAULTS
from tests.rig.git_server import GitServer

SOURCE = "ci-gitops/production/shop"
#: Trouble that passes by itself: nobody hears of it.
PASSING = (
    "500", "502", "503", "429 for 5 s", "500 after the effect", "502 after the effect", "connection lost before",
    "connection lost after", "no answer", "no answer, but done", "cut off",
)  # fmt: skip
CASES = 20  # of about 2,500 in each run; the seed changes daily


class Project:
    """A fresh project with one merge request, where `opened`."""

    def __init__(self, rig: GitLabRig, opened: bool = True) -> None:
        self.rig = rig
        self.head = rig.branch(SOURCE, {"apps/shop/kustomization.yaml": b"images: [web:2]\n"})
        if opened:
            rig.forge().open(NewMergeRequest(SOURCE, "main", "Update shop", "Text"))
        rig.gitlab.calls.clear()
        self.forge: Forge = rig.forge()

    @property
    def gitlab_state(self) -> list[object]:
        """What must be the same however often an operation was tried."""
        state = self.rig.gitlab.state
        return [
            [(one.source, one.state, one.title, one.labels, one.description) for one in state.requests],
            sorted(note.body for one in state.requests for note in one.notes if not note.system),
            [one.armed is not None for one in state.requests],
            [(one.name, one.state) for one in state.statuses],
            [(one.environment, one.sha == self.head, one.status) for one in state.deployments],
            [(one.name, one.url) for one in state.environments],
            self.rig.git("log", "--format=%s %P", "main").count("\n"),
        ]


@dataclass(frozen=True)
class Operation:
    do: Callable[[Project], object]
    opened: bool = True
    prepare: Callable[[Project], object] = lambda project: None


def _deployed(project: Project) -> object:
    """As a job does it that looks first."""
    there = project.forge.deployments("production")
    return there or project.forge.record_deployment("production", project.head, "main", "success", url="https://a.b/")


def _newest(project: Project) -> int:
    return project.forge.deployments("production")[0].number


OPERATIONS = {
    "whoami": Operation(lambda p: p.forge.whoami()),
    "project": Operation(lambda p: p.forge.project()),
    "find": Operation(lambda p: p.forge.find(target="main")),
    "get": Operation(lambda p: p.forge.get(1)),
    "approvals": Operation(lambda p: p.forge.approvals(1), prepare=lambda p: p.rig.approve("alice", 1, p.head)),
    "checks": Operation(lambda p: p.forge.checks(p.head)),
    "people": Operation(lambda p: p.forge.people("alice")),
    "freezes": Operation(lambda p: p.forge.freezes()),
    "open": Operation(
        lambda p: p.forge.open(NewMergeRequest(SOURCE, "main", "Update", "Text", ("a",), ("bob",))), opened=False
    ),
    "update": Operation(lambda p: p.forge.update(1, title="New", add_labels=("b",), assignees=("carol",), draft=True)),
    "comment": Operation(lambda p: p.forge.comment(1, "gates", "waiting")),
    "comment again": Operation(
        lambda p: p.forge.comment(1, "gates", "green"), prepare=lambda p: p.forge.comment(1, "gates", "waiting")
    ),
    "close": Operation(lambda p: p.forge.close(1, superseded_by=7)),
    "merge": Operation(lambda p: p.forge.merge(1, MergeCall(p.head, message="Merge it"))),
    "arm": Operation(lambda p: p.forge.arm(1, MergeCall(p.head)), prepare=lambda p: p.rig.busy(p.head)),
    "disarm": Operation(
        lambda p: p.forge.disarm(1), prepare=lambda p: (p.rig.busy(p.head), p.forge.arm(1, MergeCall(p.head)))
    ),
    "status": Operation(lambda p: p.forge.set_status(p.head, CommitStatus("ci-gitops/gates", "success"), ref=SOURCE)),
    "deploy": Operation(_deployed),
    "deployed": Operation(
        lambda p: p.forge.record_deployment("production", p.head, "main", "success", number=_newest(p)),
        prepare=lambda p: p.forge.record_deployment("production", p.head, "main", "running"),
    ),
}


@pytest.fixture
def projects(git_server: GitServer) -> Iterator[Callable[[Operation], Project]]:
    rigs: list[GitLabRig] = []

    def fresh(operation: Operation) -> Project:
        rig = GitLabRig(git_server, f"config{len(rigs)}")
        rigs.append(rig)
        project = Project(rig, operation.opened)
        operation.prepare(project)
        rig.gitlab.calls.clear()
        project.forge = rig.forge()
        return project

    yield fresh
    for rig in rigs:
        rig.__exit__(None, None, None)


def run_case(projects: Callable[[Operation], Project], name: str, fault: str, at: int) -> None:
    """Operation `name` whose call number `at` fails."""
    operation = OPERATIONS[name]
    expected = projects(operation)
    operation.do(expected)
    calls = len(expected.rig.gitlab.calls)
    wanted = expected.gitlab_state
    project = projects(operation)
    if FAULTS[fault].kind == "hang":
        project.rig.seconds = 1.0
        project.forge = project.rig.forge()
    faults = project.rig.gitlab.faults
    faults.add(FAULTS[fault], skip=at % calls)
    where = f"{name}, {fault} at {at % calls} of {calls}"
    error = failure(lambda: operation.do(project))
    if error:
        assert fault not in PASSING, f"{where}: {error.message}"
        assert error.exit_code in (1, 5, 75), where
        assert "GitLab" in error.message or "!1" in error.message or "ci-gitops" in error.message, error.message
    assert faults.met, where
    project.forge = project.rig.forge()
    operation.do(project)
    assert project.gitlab_state == wanted, where


def failure(do: Callable[[], object]) -> CiGitopsError | None:
    try:
        do()
    except CiGitopsError as error:
        return error
    return None


def test_calls_that_fail(projects: Callable[[Operation], Project], rng: random.Random) -> None:
    for _ in range(CASES):
        run_case(projects, rng.choice([*OPERATIONS]), rng.choice([*FAULTS]), rng.randrange(12))


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_failing_in_every_way(projects: Callable[[Operation], Project], name: str) -> None:
    probe = projects(OPERATIONS[name])
    OPERATIONS[name].do(probe)
    for fault in FAULTS:
        for at in range(len(probe.rig.gitlab.calls)):
            run_case(projects, name, fault, at)
