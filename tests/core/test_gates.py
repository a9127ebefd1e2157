"""Gates: what holds, what does not, and why."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ci_gitops.adapters.git import Person
from ci_gitops.core.approvals import Push, approvals_gate, barred, pushed_by
from ci_gitops.core.gates import (
    Approval,
    ApprovalRule,
    Checks,
    CheckState,
    CiRule,
    CommitStatus,
    GateState,
    ci_gate,
    hold_gate,
    statuses_gate,
    together,
    waiting,
)
from ci_gitops.core.holds import parse_holds
from ci_gitops.core.running import Running, nothing
from ci_gitops.core.source_gates import Brought, healthy_gate, held_things, no_source, soak_gate
from ci_gitops.core.targets import Target

HEAD, OLD = "a" * 40, "b" * 40
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def ci(rule: CiRule, checks: Checks, now: int = 1000) -> tuple[bool, str]:
    state = ci_gate(rule, checks, now)
    return state.ok, state.reason


def approved(
    count: int, *users: str, groups: tuple[str, ...] = (), members: dict[str, tuple[str, ...]] | None = None,
    not_counted: dict[str, str] | None = None,
) -> tuple[bool, str]:  # fmt: skip
    given = [Approval(user, HEAD) for user in users]
    state = approvals_gate(ApprovalRule(count, groups), HEAD, given, not_counted=not_counted, members=members)
    return state.ok, state.reason


def test_approvals_count_people_at_this_head() -> None:
    approvals = (Approval("alice", HEAD), Approval("alice", HEAD), Approval("bob", OLD))
    state = approvals_gate(ApprovalRule(2), HEAD, approvals)
    assert (state.ok, state.reason) == (False, "1 of 2 approvals (alice); 1 approval of an older head")
    assert approvals_gate(ApprovalRule(1), HEAD, approvals).ok
    assert approved(2, "alice", "bob") == (True, "2 of 2 approvals (alice, bob)")


def test_nobody_approves_one_s_own() -> None:
    own = {"robot": "robot opened it"}
    assert approved(1, "robot", not_counted=own) == (
        False, "0 of 1 approval; that of robot does not count: robot opened it",
    )  # fmt: skip
    assert not approved(1, "Robot", not_counted=own)[0]
    assert approved(1, "robot", "alice", not_counted=own)[0]


def test_approvals_of_groups() -> None:
    members = {"release-managers": ("Carol",), "sre": ()}
    rule = ("release-managers",)
    assert approved(1, "carol", groups=rule, members=members) == (True, "1 of 1 approval of release-managers (carol)")
    ok, reason = approved(1, "alice", groups=("release-managers", "sre"), members=members)
    assert not ok
    assert "that of alice does not count: in none of release-managers, sre" in reason
    assert "sre has no members that can be read" in reason


FORGE = Person("GitHub", "noreply@github.com")


@dataclass(frozen=True)
class Commit:
    author: str
    email: str
    committer: Person = FORGE
    sha: str = OLD


def test_whose_own_it_is() -> None:
    assert barred("robot") == {"robot": "robot opened it"}
    theirs = [
        Commit("Alice", "alice.a@example.com"),
        Commit("B", "123+bob@users.noreply.github.com"),
        Commit("C", "77-carol@users.noreply.gitlab.com", Person("Dan", "dan@example.com")),
    ]
    told = barred("", theirs, {HEAD: ["Erin"], OLD: ["alice"]})
    assert set(told) == {"alice", "alice.a", "b", "bob", "c", "carol", "dan", "erin", "github", "noreply"}
    assert (told["erin"], told["alice"]) == (f"Erin pushed {HEAD[:12]}", f"the commit {OLD[:12]} is theirs")


def test_who_pushed_a_commit() -> None:
    own = ["d", "c", "b", "a"]  # the newest first
    pushes = [Push("carol", "c", "d"), Push("bob", "x", "y"), Push("alice", "a", "c"), Push("robot", "", "a")]
    assert pushed_by(own, pushes) == {
        "d": {"carol"}, "c": {"alice"}, "b": {"alice"}, "a": {"robot"},
    }  # fmt: skip
    assert pushed_by(own, [Push("carol", "gone", "d")]) == {one: {"carol"} for one in own}  # by force: all is anew
    assert pushed_by(own, []) == {}


def test_a_commit_of_nobody_knows_whom_wants_one_approval_more() -> None:
    def told(*users: str) -> tuple[bool, str]:
        given = [Approval(user, HEAD) for user in users]
        state = approvals_gate(ApprovalRule(1), HEAD, given, unknown=[OLD])
        return state.ok, state.reason

    more = f"one more than usual, since the forge does not tell who pushed {OLD[:12]}"
    assert told("alice") == (False, f"1 of 2 approvals (alice); {more}")
    assert told("alice", "bob") == (True, f"2 of 2 approvals (alice, bob); {more}")


@pytest.mark.parametrize("rule", ["auto", "required", "optional"])
@pytest.mark.parametrize(
    ("pipeline", "statuses", "green"),
    [
        ("success", [], True),
        ("skipped", [], True),
        ("running", [], False),
        ("failed", [], False),
        (None, [("scan", "success", True)], True),
        (None, [("scan", "pending", True)], False),
        ("success", [("scan", "failed", True)], False),
        ("success", [("scan", "failed", False)], True),
        ("success", [("ci-gitops/gates", "pending", True)], True),
    ],
)
def test_green(rule: CiRule, pipeline: CheckState, statuses: list[tuple[str, CheckState, bool]], green: bool) -> None:
    made = tuple(CommitStatus(name, state, blocking=blocking) for name, state, blocking in statuses)
    assert ci(rule, Checks(HEAD, pipeline, made, has_ci=True))[0] is green


def test_nothing_there_yet() -> None:
    nothing_ran = Checks(HEAD, has_ci=True, committed_at=900)
    assert ci("auto", nothing_ran) == (False, "no pipeline, status or check is there yet for this head")
    assert ci("auto", Checks(HEAD, has_ci=False)) == (True, "the project has no CI")
    assert not ci("required", Checks(HEAD, has_ci=False))[0]
    assert not ci("optional", nothing_ran, now=1019)[0]
    assert ci("optional", nothing_ran, now=1020)[0]
    own = Checks(HEAD, statuses=(CommitStatus("ci-gitops", "success"),), has_ci=True)
    assert not ci("auto", own)[0]


@pytest.mark.parametrize(
    ("statuses", "ok", "reason"),
    [
        ([], False, "scan is not there yet; e2e is not there yet"),
        ([("scan", "success"), ("e2e", "running")], False, "e2e is running"),
        ([("scan", "failed"), ("e2e", "success")], False, "scan has failed: two holes"),
        ([("scan", "success"), ("e2e", "skipped")], True, "passed: scan, e2e"),
        ([("scan", "failed"), ("scan", "success"), ("e2e", "success")], True, "passed: scan, e2e"),
    ],
)
def test_statuses_that_are_named(statuses: list[tuple[str, CheckState]], ok: bool, reason: str) -> None:
    said = {"failed": "two\nholes"}
    made = [CommitStatus(name, state, said.get(state, ""), blocking=False, at=at)
            for at, (name, state) in enumerate(statuses)]  # fmt: skip
    state = statuses_gate(["scan", "e2e"], made)
    assert (state.ok, state.reason) == (ok, reason)


def test_an_override_makes_a_gate_hold_and_no_other() -> None:
    states = [("p", GateState("soak", False, "not yet", until=7)), ("p", GateState("http", False, "down"))]
    soak, http = together(states, {"soak": "hotfix", "ci": "not needed"})
    assert (soak.ok, soak.overridden, soak.reason, soak.until) == (True, True, "overridden: hotfix", 0)
    assert not http.ok
    assert waiting([soak, http]) == (http,)


def test_the_gates_of_all_environments_must_hold() -> None:
    late, early = GateState("soak", False, "b", until=9), GateState("soak", False, "a", until=5)
    (soak,) = together([("x", early), ("y", late), ("z", GateState("soak", True, "c"))])
    assert (soak.ok, soak.reason, soak.until) == (False, "x: a; y: b", 9)
    (same,) = together([("x", early), ("y", early)])
    assert same.reason == "a"
    gates = [GateState("http", True, "up"), GateState("ci", True, "green")]
    assert [state.gate for state in together([("x", gate) for gate in gates])] == ["ci", "http"]


SHOP = Target("shop", "staging", "apps/shop/staging")


def running(*images: str, healthy: bool = True, since: int = 1000) -> Running:
    return Running(
        target=SHOP, revision="c" * 40, images=images, healthy=healthy,
        reason="Healthy since then." if healthy else "Its pods crash.", since=since, evidence="records",
    )  # fmt: skip


def brought(*images: str, charts: tuple[tuple[str, str], ...] = ()) -> list[Brought]:
    return [Brought(Target("shop", "production", "apps/shop/production"), images, charts)]


@pytest.mark.parametrize(
    ("wanted", "runs", "ok"),
    [
        ("web:2", "web:2", True),
        ("web:2", "docker.io/library/web:2", True),
        ("web:2", f"web:2@{ONE}", True),
        (f"web:2@{ONE}", f"web:2@{ONE}", True),
        (f"web:2@{ONE}", f"web:2@{TWO}", False),
        (f"prod.example.com/web:2@{ONE}", f"dev.example.com/web:2@{ONE}", True),
        ("prod.example.com/web:2", "dev.example.com/web:2", False),
        (f"web@{ONE}", "web:2", False),
        ("web:2", "web:1", False),
        ("PLACEHOLDER_x", "PLACEHOLDER_x", True),
        ("PLACEHOLDER_x", "web:1", False),
    ],
)
def test_the_source_runs_exactly_this(wanted: str, runs: str, ok: bool) -> None:
    state = healthy_gate("staging", brought(wanted), [running("other:9", runs)])
    assert state.ok is ok
    if not ok and wanted == "web:2":
        assert state.reason == "staging runs web:1 in shop, not web:2"


def test_what_the_source_must_show() -> None:
    assert healthy_gate("staging", brought("web:2"), []).reason == "staging has no shop"
    never = nothing(SHOP, "Nothing of it was deployed to staging yet.", "records")
    assert healthy_gate("staging", brought("web:2"), [never]).reason == (
        "shop in staging: Nothing of it was deployed to staging yet"
    )
    sick = healthy_gate("staging", brought("web:2"), [running("web:2", healthy=False)])
    assert (sick.ok, sick.reason) == (False, "shop in staging: Its pods crash")
    chart = brought(charts=(("redis", "7.1"),))
    assert not healthy_gate("staging", chart, [running()], {"shop": {"redis": "7.0"}}).ok
    assert healthy_gate("staging", chart, [running()], {"shop": {"redis": "7.1"}}).ok
    assert healthy_gate("staging", [], []).ok
    assert "environments.first.from" in no_source("soak", "first").reason


def test_soak_is_counted_from_the_record() -> None:
    begun = 1_795_300_000
    here = [running("web:2", since=begun)]
    waits = soak_gate("staging", 1800, begun + 60, brought("web:2"), here)
    assert (waits.ok, waits.until) == (False, begun + 1800)
    assert waits.reason == (
        "shop is healthy in staging since 2026-11-21T22:26:40Z; 30m are over at 2026-11-21T22:56:40Z, in 29m"
    )
    over = soak_gate("staging", 1800, begun + 1800, brought("web:2"), here)
    assert over.ok
    assert over.reason.endswith("30m (soak: 30m)")
    other = soak_gate("staging", 1800, begun + 9999, brought("web:3"), here)
    assert (other.ok, other.reason) == (False, "has not begun: staging runs web:2 in shop, not web:3")
    assert not soak_gate("staging", 1800, begun + 9999, brought("web:2"), [running("web:2", since=0)]).ok


def test_what_is_held_is_not_merged() -> None:
    holds = parse_holds(f"- {{image: 'web:2@{ONE}', reason: it leaks, by: bob}}\n", "x")
    held = held_things(brought(f"web:2@{ONE}"), holds)
    release = f"ci-gitops release --environment production --image web:2@{ONE} --reason TEXT"
    assert held == (f"web:2@{ONE} in shop is held by bob: it leaks; `{release}` lifts it",)
    assert held_things(brought(f"web:3@{TWO}"), holds) == ()
    assert not hold_gate(held).ok
    assert hold_gate(()).ok
    assert held_things(brought(), parse_holds("- {app: shop, reason: no}\n", "x"))
    assert held_things(brought("web:3"), parse_holds("- {image: web, reason: no}\n", "x"))
    assert not held_things(brought("web:3"), parse_holds("- {app: cart, reason: no}\n", "x"))
