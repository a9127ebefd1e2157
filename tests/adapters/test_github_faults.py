"""Every call to GitHub, failing in every way: the right outcome or an error with a sentence, and nothing done twice."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall
from ci_gitops.adapters.git import GitAccess, Repository
from ci_gitops.errors import CiGitopsError
from tests.contracts.forge_rigs import GitHubRig
from tests.contracts.test_forges import new, pushed
from tests.fakes.faults import FAULTS, Fault
from tests.rig.git_server import GitServer

SAMPLE = 3  # of each action in a short run
LONG = {"429 for an hour"}


class Rig(GitHubRig):
    """Git in a folder, which is faster; what fails here is the API."""

    def repository(self) -> Repository:
        return Repository.open(str(self.server.bare(self.name)), GitAccess())


@dataclass
class Case:
    """One merge request of its own in a repository that all cases share."""

    rig: GitHubRig
    branch: str
    head: str
    iid: int = 0

    def forge(self, fault: Fault | None = None) -> Forge:
        return self.rig.forge(seconds=0.5 if fault and fault.kind == "hang" else 20.0)

    @property
    def pulls(self) -> int:
        return sum(pull.head == self.branch for pull in self.rig.fake.pulls)

    @property
    def deployments(self) -> int:
        return sum(one["environment"] == self.branch for one in self.rig.fake.deployments)

    def ends(self) -> None:
        """What must be so once the same was asked for again without a fault."""
        assert self.pulls == 1
        pull = next(pull for pull in self.rig.fake.pulls if pull.head == self.branch)
        assert len(pull.comments) <= 1
        assert pull.assignees in ([], ["carol"])
        if pull.merged:
            subjects = self.rig.git("log", "--format=%s", "main").splitlines()
            assert subjects.count(f"Merge {self.branch}") == 1


Action = Callable[[Forge, Case], object]
ACTIONS: dict[str, Action] = {
    "open": lambda forge, case: forge.open(new(case.branch, reviewers=("bob",), assignees=("carol",))),
    "update": lambda forge, case: forge.update(case.iid, title="New", add_labels=("more",), draft=True),
    "comment": lambda forge, case: forge.comment(case.iid, "gates", "all green"),
    "close": lambda forge, case: forge.close(case.iid, superseded_by=1),
    "merge": lambda forge, case: forge.merge(case.iid, MergeCall(case.head, "merge", f"Merge {case.branch}")),
    "arm": lambda forge, case: forge.arm(case.iid, MergeCall(case.head)),
    "status": lambda forge, case: forge.set_status(case.head, CommitStatus("scan", "success")),
    "deployment": lambda forge, case: forge.record_deployment(case.branch, case.head, "main", "success"),
    "deployments": lambda forge, case: forge.deployments(case.branch),
    "checks": lambda forge, case: forge.checks(case.head),
    "approvals": lambda forge, case: forge.approvals(case.iid),
    "find": lambda forge, case: forge.find(target="main"),
    "project": lambda forge, case: (forge.project(), forge.whoami(), forge.people("bob")),
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubRig]:
    with GitServer(tmp_path_factory.mktemp("git")) as server, Rig(server) as made:
        yield made


_numbers = itertools.count(1)


def prepared(rig: GitHubRig, action: str) -> Case:
    name = f"app{next(_numbers)}"
    rig.fake.faults.planned.clear()
    branch = f"ci-gitops/production/{name}"
    case = Case(rig, branch, pushed(rig, branch=branch, path=f"apps/{name}/kustomization.yaml"))
    if action != "open":
        case.iid = rig.forge().open(new(branch)).iid
    return case


def calls_of(rig: GitHubRig, action: str) -> list[tuple[str, str]]:
    case = prepared(rig, action)
    before = len(rig.fake.calls)
    ACTIONS[action](case.forge(), case)
    return [(call.method, call.path) for call in rig.fake.calls[before:]]


def failure_of(action: str, case: Case, fault: Fault) -> CiGitopsError | None:
    try:
        ACTIONS[action](case.forge(fault), case)
    except CiGitopsError as error:
        return error
    return None


def fails(rig: GitHubRig, action: str, at: int, name: str) -> None:
    """The call number `at` of the action meets a fault; the action is then asked for again."""
    case = prepared(rig, action)
    fault: Fault = FAULTS[name]
    rig.fake.faults.add(fault, skip=at)
    slept = sum(rig.fake.clock.slept)
    error = failure_of(action, case, fault)
    assert error is None or (error.message.endswith(".") and error.exit_code in (1, 5, 75)), error
    assert case.deployments <= 1
    assert name not in LONG or sum(rig.fake.clock.slept) - slept < 10
    rig.fake.faults.planned.clear()
    if action != "deployment":
        ACTIONS[action](case.forge(), case)
    if action == "open" or case.iid:
        case.ends()


@pytest.mark.parametrize("action", ACTIONS)
def test_some_faults_of_each_call(rig: GitHubRig, action: str, rng: random.Random) -> None:
    every = list(itertools.product(range(len(calls_of(rig, action))), FAULTS))
    for at, name in rng.sample(every, SAMPLE):
        fails(rig, action, at, name)


@pytest.mark.full
@pytest.mark.parametrize("action", ACTIONS)
def test_every_fault_of_each_call(rig: GitHubRig, action: str) -> None:
    for at in range(len(calls_of(rig, action))):
        for name in FAULTS:
            fails(rig, action, at, name)
