"""Gates: what holds, what does not, and why."""

from __future__ import annotations

import pytest

from ci_gitops.core.gates import (
    Approval,
    Checks,
    CheckState,
    CiRule,
    CommitStatus,
    GateFacts,
    GateRules,
    evaluate,
    strictest,
    waiting,
)

HEAD, OLD = "a" * 40, "b" * 40


def ci(rule: CiRule, checks: Checks, now: int = 1000) -> tuple[bool, str]:
    (state,) = evaluate(GateRules(ci=rule), GateFacts(HEAD, checks=checks, now=now))
    return state.ok, state.reason


def test_approvals_count_people_at_this_head() -> None:
    approvals = (Approval("alice", HEAD), Approval("alice", HEAD), Approval("bob", OLD))
    (unmet,) = waiting(evaluate(GateRules(approvals=2), GateFacts(HEAD, approvals)))
    assert (unmet.gate, unmet.reason) == ("approvals", "1 of 2 approvals (alice); 1 approval of an older head")
    assert waiting(evaluate(GateRules(approvals=1), GateFacts(HEAD, approvals))) == ()
    assert [state.gate for state in evaluate(GateRules(), GateFacts(HEAD))] == ["ci"]


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
    nothing = Checks(HEAD, has_ci=True, committed_at=900)
    assert ci("auto", nothing) == (False, "no pipeline, status or check is there yet for this head")
    assert ci("auto", Checks(HEAD, has_ci=False)) == (True, "the project has no CI")
    assert not ci("required", Checks(HEAD, has_ci=False))[0]
    assert not ci("optional", nothing, now=1019)[0]
    assert ci("optional", nothing, now=1020)[0]
    own = Checks(HEAD, statuses=(CommitStatus("ci-gitops", "success"),), has_ci=True)
    assert not ci("auto", own)[0]


def test_a_gate_that_cannot_be_evaluated_does_not_hold_unless_overridden() -> None:
    rules = GateRules(unknown=("soak",))
    (unmet,) = waiting(evaluate(rules, GateFacts(HEAD)))
    assert (unmet.gate, unmet.overridden) == ("soak", False)
    states = evaluate(rules, GateFacts(HEAD), {"soak": "hotfix", "ci": "not needed"})
    assert [(state.gate, state.ok, state.overridden) for state in states] == [("ci", True, False), ("soak", True, True)]
    assert "hotfix" in states[1].reason


def test_several_environments_take_the_strictest() -> None:
    rules = strictest([GateRules(1, "optional", ("soak",)), GateRules(2, "auto", ("soak", "http"))])
    assert rules == GateRules(2, "auto", ("soak", "http"))
