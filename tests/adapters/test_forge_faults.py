"""Every call to a forge's server failing in every way: the right result or a clear error, and never anything twice.

An operation is run once to see which calls it makes and what it leaves behind. Then each of its calls fails in each
way; the operation is repeated as the next job would do it, and what is there must be as if nothing had happened.
"""

from __future__ import annotations

import itertools
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall, NewMergeRequest
from ci_gitops.adapters.git import GitAccess, Repository
from ci_gitops.core.mergerequests import State
from ci_gitops.errors import CiGitopsError
from tests.contracts.forge_rigs import GitHubRig, GitLabRig
from tests.fakes.clock import Clock
from tests.fakes.faults import FAULTS, FaultPlan
from tests.fakes.github_state import Rules as GitHubRules
from tests.fakes.gitlab_state import Rules as GitLabRules
from tests.rig.git_server import GitServer

STATES: tuple[State, ...] = get_args(State)
#: Trouble that passes by itself: nobody hears of it.
PASSING = (
    "500", "502", "503", "429 for 5 s", "500 after the effect", "502 after the effect", "connection lost before",
    "connection lost after", "no answer", "no answer, but done", "cut off",
)  # fmt: skip
#: What may also become of a call to merge that was turned away: the next run merges it.
LATER = ("merge", "squash", "arm", "join a train", "merge by a train")
#: Where the status is an answer and no trouble: the branch is gone, nobody has that name, the token does not tell.
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "whoami": ("401", "403", "404"),
    "find": ("404",),
    "open": ("403", "404", "422"),
    "update": ("403", "404", "422"),
    **dict.fromkeys(("merge", "squash", "arm", "join a train", "merge by a train", "leave a train"), ("404",)),
    "disarm": ("404", "405", "406"),  # it cannot be taken back now, and the answer says that it is armed
    "record_deployment": ("409",),  # another run has just made the environment
    "comment again": ("404",),  # it is gone: another one is written
    "approvals": ("404",),  # who approved has left
    "people": ("403", "404"),
    "people of a group": ("403", "404"),
}
SAMPLE = 20  # of each forge's some 5,000 cases in a short run


class Bench(ABC):
    """One project of a forge that all its cases share. Git is in a folder, which is faster: what fails is the API."""

    forge: Callable[..., Forge]
    project: str
    group: str
    faults: FaultPlan
    calls: list[Any]
    clock: Clock
    server: GitServer
    name: str

    def repository(self) -> Repository:
        return Repository.open(str(self.server.bare(self.name)), GitAccess())

    @abstractmethod
    def train(self) -> None:
        """The target branch has a merge train."""

    def count(self, case: Case) -> int:
        """How many merge requests there are of its branch."""
        return sum(one.source == case.branch for state in STATES for one in self.forge().find(state=state))

    @abstractmethod
    def left(self, case: Case) -> list[object]:
        """What must be the same however often an operation was tried."""

    @abstractmethod
    def clear(self, case: Case) -> None:
        """Nothing of the case is in the way of the next one."""


class GitLabBench(Bench, GitLabRig):
    project, group = "group/config", "group/sre"

    def __init__(self, server: GitServer) -> None:
        GitLabRig.__init__(self, server)
        self.faults, self.calls = self.gitlab.faults, self.gitlab.calls
        self.gitlab.state.groups["group/sre"] = ["bob", "carol"]

    def busy(self, head_sha: str) -> None:
        super().busy(head_sha)
        self.gitlab.state.pipelines[-1].ref = "busy"

    def train(self) -> None:
        self.gitlab.rules.trains = True

    def left(self, case: Case) -> list[object]:
        state = self.gitlab.state
        mine = [one for one in state.requests if one.source == case.branch]
        return [
            [(one.state, one.title, one.labels, one.description, one.reviewers, one.assignees) for one in mine],
            [(one.armed is not None, one.train) for one in mine],
            sorted(note.body for one in mine for note in one.notes if not note.system),
            [(one.name, one.state) for one in state.statuses if one.sha == case.head],
            [(one.sha == case.head, one.status) for one in state.deployments if one.environment == case.app],
            [one.url for one in state.environments if one.name == case.app],
        ]

    def clear(self, case: Case) -> None:
        for one in self.gitlab.state.requests:
            one.state = "closed" if one.state == "opened" else one.state
        self.gitlab.state.pipelines.clear()
        self.gitlab.state.rules = GitLabRules()


class GitHubBench(Bench, GitHubRig):
    project, group = "octo/config", "octo/sre"

    def __init__(self, server: GitServer) -> None:
        GitHubRig.__init__(self, server)
        self.faults, self.calls, self.clock = self.fake.faults, self.fake.calls, self.fake.clock
        self.fake.teams["sre"] = ["bob", "carol"]

    def train(self) -> None:
        self.fake.rules.queue = True

    def left(self, case: Case) -> list[object]:
        fake = self.fake
        mine = [pull for pull in fake.pulls if pull.head == case.branch]
        made = [one for one in fake.deployments if one["environment"] == case.app]
        return [
            [(one.state, one.title, one.labels, one.body, one.reviewers, one.teams, one.assignees) for one in mine],
            [(one.draft, one.armed is not None, bool(one.queued), bool(one.merged)) for one in mine],
            sorted(comment["body"] for one in mine for comment in one.comments),
            [(one["context"], one["state"]) for one in fake.statuses if one["sha"] == case.head],
            [(one["sha"] == case.head, [told["state"] for told in fake.deployment_statuses.get(one["id"], [])])
             for one in made],
        ]  # fmt: skip

    def clear(self, case: Case) -> None:
        for pull in self.fake.pulls:
            pull.state = "closed"
        self.fake.rules = GitHubRules()


@dataclass
class Case:
    """A branch of its own, and its merge request where there is one."""

    bench: Any  # both a bench and its rig
    app: str
    branch: str = field(init=False)
    head: str = field(init=False)
    iid: int = 0

    def __post_init__(self) -> None:
        self.branch = f"ci-gitops/production/{self.app}"
        self.head = self.bench.branch(self.branch, {f"apps/{self.app}/kustomization.yaml": b"images: [web:2]\n"})

    @property
    def new(self) -> NewMergeRequest:
        return NewMergeRequest(self.branch, "main", "Update", "Text", ("a",), ("bob",), ("carol",))

    @property
    def forge(self) -> Forge:
        """As the next job has it, with nothing remembered."""
        made: Forge = self.bench.forge()
        return made

    def call(self, message: str = "", method: Any = None) -> MergeCall:
        return MergeCall(self.head, method, message and f"{message} {self.app}")

    @property
    def left(self) -> str:
        """What there is now, without what differs between cases."""
        subjects = self.bench.git("log", "--format=%s", "main").splitlines()
        merged = [subject for subject in subjects if subject.endswith(f" {self.app}")]
        branch = self.bench.server.head(self.bench.name, self.branch) is not None
        return plain([*self.bench.left(self), merged, branch], self)


def plain(told: object, case: Case) -> str:
    """Without numbers, hashes and the name of the case."""
    text = repr(told).replace(case.app, "APP")
    return re.sub(r"\d+", "N", re.sub(r"\b[0-9a-f]{12,40}\b", "SHA", text))


def _deployed(forge: Forge, case: Case) -> object:
    """As a job does it that looks first, and goes on with what a job that was cut off has begun."""
    there = forge.deployments(case.app)
    number = there[0].number if there else None
    return forge.record_deployment(case.app, case.head, "main", "success", number=number, url="https://a.b/")


def _next_state(forge: Forge, case: Case) -> object:
    number = case.forge.deployments(case.app)[0].number
    return forge.record_deployment(case.app, case.head, "main", "success", number=number)


@dataclass(frozen=True)
class Operation:
    do: Callable[[Forge, Case], object]
    opened: bool = True
    prepare: Callable[[Case], object] = lambda case: None


OPERATIONS = {
    "whoami": Operation(lambda forge, case: forge.whoami()),
    "project": Operation(lambda forge, case: forge.project()),
    "find": Operation(lambda forge, case: forge.find(target="main")),
    "find merged": Operation(
        lambda forge, case: [one for one in forge.find(state="merged") if one.source == case.branch],
        prepare=lambda case: case.forge.merge(case.iid, case.call("Merge")),
    ),
    "get": Operation(lambda forge, case: forge.get(case.iid)),
    "get a closed one": Operation(
        lambda forge, case: forge.get(case.iid), prepare=lambda case: case.forge.close(case.iid, superseded_by=1)
    ),
    "open": Operation(lambda forge, case: forge.open(case.new), opened=False),
    "update": Operation(
        lambda forge, case: forge.update(
            case.iid,
            title="New",
            description="More",
            add_labels=("b",),
            remove_labels=("a",),
            reviewers=("alice",),
            assignees=("bob",),
            draft=True,
        )
    ),
    "ready": Operation(
        lambda forge, case: forge.update(case.iid, draft=False),
        prepare=lambda case: case.forge.update(case.iid, draft=True),
    ),
    "comment": Operation(lambda forge, case: forge.comment(case.iid, "gates", "waiting")),
    "comment again": Operation(
        lambda forge, case: forge.comment(case.iid, "gates", "green"),
        prepare=lambda case: case.forge.comment(case.iid, "gates", "waiting"),
    ),
    "comments": Operation(
        lambda forge, case: forge.comments(case.iid),
        prepare=lambda case: case.forge.comment(case.iid, "gates", "green"),
    ),
    "approvals": Operation(
        lambda forge, case: forge.approvals(case.iid),
        prepare=lambda case: case.bench.approve("alice", case.iid, case.head),
    ),
    "approve": Operation(lambda forge, case: forge.approve(case.iid, case.head)),
    "close": Operation(lambda forge, case: forge.close(case.iid, superseded_by=1)),
    "merge": Operation(lambda forge, case: forge.merge(case.iid, case.call("Merge", "merge"))),
    "squash": Operation(lambda forge, case: forge.merge(case.iid, case.call("Squash", "squash"))),
    "arm": Operation(
        lambda forge, case: forge.arm(case.iid, case.call()), prepare=lambda case: case.bench.busy(case.head)
    ),
    "disarm": Operation(
        lambda forge, case: forge.disarm(case.iid),
        prepare=lambda case: (case.bench.busy(case.head), case.forge.arm(case.iid, case.call())),
    ),
    "join a train": Operation(
        lambda forge, case: forge.join_train(case.iid, case.call()), prepare=lambda case: case.bench.train()
    ),
    "merge by a train": Operation(
        lambda forge, case: forge.merge(case.iid, case.call("Merge")), prepare=lambda case: case.bench.train()
    ),
    "leave a train": Operation(
        lambda forge, case: forge.disarm(case.iid),
        prepare=lambda case: (case.bench.train(), case.forge.join_train(case.iid, case.call())),
    ),
    "checks": Operation(
        lambda forge, case: forge.checks(case.head),
        prepare=lambda case: case.forge.set_status(case.head, CommitStatus("scan", "running"), ref=case.branch),
    ),
    "checks of a pipeline": Operation(
        lambda forge, case: forge.checks(case.head), prepare=lambda case: case.bench.busy(case.head)
    ),
    "set_status": Operation(
        lambda forge, case: forge.set_status(case.head, CommitStatus("ci-gitops/gates", "success"), ref=case.branch)
    ),
    "record_deployment": Operation(_deployed),
    "the next state of a deployment": Operation(
        _next_state, prepare=lambda case: case.forge.record_deployment(case.app, case.head, "main", "running")
    ),
    "deployments": Operation(
        lambda forge, case: forge.deployments(case.app),
        prepare=lambda case: case.forge.record_deployment(case.app, case.head, "main", "success"),
    ),
    "people": Operation(lambda forge, case: forge.people("alice")),
    "people of a group": Operation(lambda forge, case: forge.people(case.bench.group)),
    "freezes": Operation(lambda forge, case: forge.freezes()),
}


@dataclass(frozen=True)
class Tried:
    """What came of one try: the calls that it took, and its result or its error."""

    calls: int
    result: str
    error: CiGitopsError | None = None


@dataclass
class Matrix:
    """All cases of one forge."""

    bench: Any
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    known: dict[str, tuple[Tried, str]] = field(default_factory=dict)

    def case(self, operation: Operation) -> Case:
        case = Case(self.bench, f"app{next(self.numbers)}x")
        if operation.opened:
            case.iid = case.forge.open(NewMergeRequest(case.branch, "main", "Update", "Text", ("a",))).iid
        operation.prepare(case)
        return case

    def tried(self, operation: Operation, case: Case, seconds: float = 20.0) -> Tried:
        self.bench.seconds = seconds
        forge = case.forge
        before = len(self.bench.calls)
        try:
            result, error = plain(operation.do(forge, case), case), None
        except CiGitopsError as failure:
            result, error = type(failure).__name__, failure
        return Tried(len(self.bench.calls) - before, result, error)

    def expected(self, name: str) -> tuple[Tried, str]:
        """Without trouble, and what is there when it was done twice."""
        if name not in self.known:
            operation = OPERATIONS[name]
            case = self.case(operation)
            first = self.tried(operation, case)
            once = case.left
            self.tried(operation, case)
            assert case.left == once, f"{name} is not the same when it is done twice"
            self.bench.clear(case)
            self.known[name] = (first, once)
        return self.known[name]

    def run(self, name: str, fault: str, at: int) -> None:
        """Operation `name` whose call number `at` fails."""
        wanted, left = self.expected(name)
        operation, case = OPERATIONS[name], self.case(OPERATIONS[name])
        where = f"{name}, {fault} at {at} of {wanted.calls}"
        self.bench.faults.add(FAULTS[fault], skip=at)
        slept = sum(self.bench.clock.slept)
        met = self.tried(operation, case, 0.3 if FAULTS[fault].kind == "hang" else 20.0)
        assert not any(one.times for one in self.bench.faults.planned), f"{where}: not met"
        self.bench.faults.planned.clear()
        assert sum(self.bench.clock.slept) - slept < 120, where
        if met.error and met.result != wanted.result:
            assert fault not in PASSING, f"{where}: {met.error.message}"
            self.is_clear(met.error, where)
        else:
            later = name in LATER and met.result.startswith(
                ("MergeOutcome(state='waiting'", "MergeOutcome(state='armed'")
            )
            assert later or met.result == wanted.result or fault in ANSWERS.get(name, ()), where
        self.tried(operation, case)
        assert case.left == left or (fault in ANSWERS.get(name, ()) and self.bench.count(case) == 1), where
        self.bench.clear(case)

    def is_clear(self, error: CiGitopsError, where: str) -> None:
        """What was asked, of which project, and the next step."""
        assert error.exit_code in (1, 5, 75), where
        assert error.message.endswith("."), f"{where}: {error.message}"
        named = (self.bench.project, "!", str(self.bench.server.bare(self.bench.name)))
        assert any(one in error.message for one in named), f"{where}: {error.message}"
        assert error.hint, f"{where}: {error.message}"


@pytest.fixture(scope="module", params=[GitLabBench, GitHubBench], ids=["gitlab", "github"])
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with ExitStack() as stack:
        server = stack.enter_context(GitServer(tmp_path_factory.mktemp("git")))
        yield Matrix(stack.enter_context(request.param(server)))


def test_calls_that_fail(matrix: Matrix, rng: random.Random) -> None:
    for _ in range(SAMPLE):
        name = rng.choice([*OPERATIONS])
        if calls := matrix.expected(name)[0].calls:
            matrix.run(name, rng.choice([*FAULTS]), rng.randrange(calls))


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_failing_in_every_way(matrix: Matrix, name: str) -> None:
    wrong: list[str] = []
    for at, fault in itertools.product(range(matrix.expected(name)[0].calls), FAULTS):
        try:
            matrix.run(name, fault, at)
        except AssertionError as error:
            wrong.append(str(error))
            matrix.bench.faults.planned.clear()
    assert not wrong, "\n".join(wrong)
