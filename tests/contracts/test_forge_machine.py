"""Random sequences of what we, another run of us and people do: what was promised is kept, whatever came between."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.mergerequests import MergeMethod, MergeRequest
from ci_gitops.steps import scope
from tests.contracts.forge_rigs import FORGE_RIGS
from tests.contracts.forge_world import APPS, ENVIRONMENTS, TARGETS, Hold, World
from tests.rig.git_server import BareRepositories, GitServer

environments = st.sampled_from(ENVIRONMENTS)
some_apps = st.lists(st.sampled_from(APPS), min_size=1, max_size=3, unique=True).map(sorted)


class Machine(RuleBasedStateMachine):
    forge: ClassVar[str] = "local"
    running: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        server: Any = BareRepositories(folder)
        if self.forge != "local":
            server = self.stack.enter_context(GitServer(folder))
        self.world = type(self).running = World(FORGE_RIGS[self.forge](server), folder)

    def teardown(self) -> None:
        self.world.close()
        self.stack.close()

    def one(self, data: st.DataObject) -> MergeRequest:
        requests = self.world.open
        return data.draw(st.sampled_from(requests), label="merge request")

    def any_open(self) -> bool:
        return bool(self.world.open)

    # We

    @rule(environment=environments, apps=some_apps)
    def update(self, environment: str, apps: list[str]) -> None:
        self.world.write(environment, apps)

    @rule(environment=environments, apps=some_apps)
    def a_late_update(self, environment: str, apps: list[str]) -> None:
        self.world.write(environment, apps, late=True)

    @rule(environment=environments, apps=some_apps, late=st.booleans())
    def another_run(self, environment: str, apps: list[str], late: bool) -> None:
        self.world.another_run(environment, apps, late=late)

    @rule(environment=environments, override=st.booleans())
    def merge(self, environment: str, override: bool) -> None:
        self.world.merge(environment, override=override)

    # People

    @precondition(any_open)
    @rule(data=st.data())
    def a_person_adds_a_commit(self, data: st.DataObject) -> None:
        self.world.person_commits(self.one(data), {"notes/by-hand.md": b"by hand\n"})

    @precondition(any_open)
    @rule(data=st.data())
    def a_person_changes_what_is_written(self, data: st.DataObject) -> None:
        self.world.person_edits(self.one(data), "by-hand")

    @precondition(any_open)
    @rule(data=st.data())
    def a_person_forges_one_of_ours(self, data: st.DataObject) -> None:
        self.world.person_forges(self.one(data), b"replicas: []\n")

    @precondition(any_open)
    @rule(data=st.data())
    def a_person_closes(self, data: st.DataObject) -> None:
        self.world.person_closes(self.one(data))

    @precondition(any_open)
    @rule(data=st.data())
    def a_person_deletes_the_branch(self, data: st.DataObject) -> None:
        self.world.person_deletes(self.one(data))

    @precondition(any_open)
    @rule(data=st.data(), method=st.sampled_from(["merge", "squash"]))
    def a_person_merges(self, data: st.DataObject, method: MergeMethod) -> None:
        self.world.person_merges(self.one(data), method)

    @precondition(any_open)
    @rule(data=st.data())
    def a_person_approves(self, data: st.DataObject) -> None:
        self.world.approve(self.one(data))

    @precondition(any_open)
    @rule(data=st.data())
    def an_approval_is_withdrawn(self, data: st.DataObject) -> None:
        self.world.withdraw(self.one(data))

    @precondition(any_open)
    @rule(data=st.data(), passed=st.booleans())
    def a_scanner_speaks(self, data: st.DataObject, passed: bool) -> None:
        self.world.status(self.one(data), passed)

    @rule(where=st.sampled_from(TARGETS))
    def a_person_pushes_another_tag(self, where: str) -> None:
        self.world.person_pushes(where, "hotfix")

    @rule(where=st.none() | st.sampled_from(TARGETS))
    def the_target_branch_moves(self, where: str | None) -> None:
        self.world.elsewhere(where)

    @rule(environment=environments, app=st.none() | st.sampled_from(APPS), data=st.data())
    def a_person_holds(self, environment: str, app: str | None, data: st.DataObject) -> None:
        tags = sorted({tag for tag, _ in self.world.promised.values()})
        self.world.hold(Hold(environment, app, data.draw(st.sampled_from([None, *tags]), label="tag")))

    @precondition(lambda self: bool(self.world.holds))
    @rule(data=st.data())
    def a_person_releases(self, data: st.DataObject) -> None:
        self.world.release(data.draw(st.sampled_from(sorted(self.world.holds, key=str)), label="hold"))

    # What must be true

    @invariant()
    def nothing_is_lost(self) -> None:
        self.world.is_kept()

    @invariant()
    def nobody_s_work_is_overwritten(self) -> None:
        self.world.people_s_work_stays()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """For sequences that were found and are kept."""
    made = World(FORGE_RIGS["local"](BareRepositories(tmp_path)), tmp_path)  # type: ignore[arg-type]
    yield made
    made.close()


def test_what_gives_way_does_not_undo_a_newer_build(world: World) -> None:
    world.write("production", ["shop"])
    world.another_run("production", ["shop", "cart"], late=True)
    world.write("production", ["cart"])
    world.is_kept()
    assert [sorted(one.targets) for one in world.open] == [["production/shop"], ["production/cart"]]


def test_a_branch_made_anew_does_not_undo_a_newer_build(world: World) -> None:
    world.write("production", ["shop"])
    world.another_run("production", ["shop", "cart"], late=True)
    world.merge("production", override=True)
    world.write("production", ["cart"])
    world.merge("production", override=True)
    world.is_kept()
    assert (world.main["production/shop"], world.open) == ("v1", [])


def run(forge: str, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int) -> None:
    """On a server's fake `merge` speaks over the rig's line, whose clock does not tick in real time."""
    machine = type("Machine", (Machine,), {"forge": forge})
    if forge != "local":
        monkeypatch.setattr(scope, "forge_for", lambda run, repository, *more, **named: current(machine))
    long = bool(os.environ.get("CI_GITOPS_TEST_FULL"))
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None, derandomize=not long,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=chosen)


def current(machine: Any) -> Forge:
    """The forge of the example that is being run, as a fresh process sees it."""
    world: World = machine.running
    return world.rig.forge()


@pytest.mark.parametrize(("forge", "examples", "steps"), [("local", 4, 12), ("gitlab", 1, 8), ("github", 1, 8)])
def test_promises_are_kept(monkeypatch: pytest.MonkeyPatch, forge: str, examples: int, steps: int) -> None:
    run(forge, monkeypatch, examples, steps)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("forge", "examples", "steps"), [("local", 80, 30), ("gitlab", 20, 20), ("github", 20, 20)])
def test_promises_are_kept_for_long(monkeypatch: pytest.MonkeyPatch, forge: str, examples: int, steps: int) -> None:
    run(forge, monkeypatch, examples, steps)
