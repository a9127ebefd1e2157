"""The merge rules that `update --merge` and `merge` share, on the local forge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ci_gitops.adapters.forges.base import CommitStatus, NewMergeRequest
from ci_gitops.core.gates import ApprovalRule, GateRules
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.settings import parse_config, resolve
from ci_gitops.steps.merging import MergePolicy, Merger, Patience, Rule, Verdict, joined, policy_of, settle
from tests.contracts.forge_rigs import LocalHttpRig
from tests.rig.git_server import GitServer

SOURCE = "ci-gitops/production/shop"


@pytest.fixture
def rig(git_server: GitServer) -> Iterator[LocalHttpRig]:
    with LocalHttpRig(git_server) as made:
        yield made


def opened(rig: LocalHttpRig) -> MergeRequest:
    rig.branch(SOURCE, {"a": b"1\n"}, "Change")
    return rig.forge().open(NewMergeRequest(SOURCE, "main", "Update shop"))


def policy(rule: Rule, approvals: int = 0) -> MergePolicy:
    return MergePolicy(rule, (GateRules(approvals=ApprovalRule(approvals)),))


@pytest.mark.parametrize("rule", ["when-green", "now"])
def test_what_is_green_is_merged_at_once(rig: LocalHttpRig, rule: Rule) -> None:
    verdict = Merger(rig.forge()).merge_by_rule(opened(rig), policy(rule))
    assert verdict.state == "merged"
    assert rig.server.read("config", "a") == b"1\n"


def test_manual_leaves_it_to_people(rig: LocalHttpRig) -> None:
    verdict = Merger(rig.forge()).merge_by_rule(opened(rig), policy("manual"))
    assert (verdict.state, verdict.request.state) == ("waiting", "open")
    assert "people merge it" in verdict.reason


def test_when_green_arms_what_waits(rig: LocalHttpRig) -> None:
    request = opened(rig)
    verdict = Merger(rig.forge()).merge_by_rule(request, policy("when-green", 1))
    assert (verdict.state, verdict.request.armed_sha) == ("armed", request.head_sha)
    assert verdict.unmet[0].gate == "approvals"
    rig.forge("alice").approve(1, request.head_sha)
    assert Merger(rig.forge()).merge(verdict.request, policy("when-green", 1)).state == "merged"


def test_now_refuses_what_waits(rig: LocalHttpRig) -> None:
    verdict = Merger(rig.forge()).merge_by_rule(opened(rig), policy("now", 1))
    assert verdict.state == "refused"
    assert "approvals: 0 of 1 approval" in verdict.reason
    assert rig.forge().get(1).armed_sha == ""


def test_a_dry_run_arms_nothing(rig: LocalHttpRig) -> None:
    request = opened(rig)
    before = rig.server.refs("config")
    assert Merger(rig.forge(), dry_run=True).merge_by_rule(request, policy("when-green", 1)).state == "waiting"
    assert Merger(rig.forge(), dry_run=True).merge_by_rule(request, policy("when-green")).state == "ready"
    assert rig.server.refs("config") == before


def test_a_status_of_others_must_have_passed(rig: LocalHttpRig) -> None:
    request = opened(rig)
    rig.forge().set_status(request.head_sha, CommitStatus("scan", "failed"))
    verdict = Merger(rig.forge()).merge(request, policy("now"))
    assert (verdict.state, verdict.unmet[0].reason) == ("waiting", "scan is failed")
    rig.forge().set_status(request.head_sha, CommitStatus("scan", "success"))
    assert Merger(rig.forge()).merge(request, policy("now")).state == "merged"


def test_a_head_that_moves_between_gate_and_merge_is_judged_again(rig: LocalHttpRig) -> None:
    request = opened(rig)
    rig.forge("alice").approve(1, request.head_sha)
    rig.server.before_push = lambda: rig.branch(SOURCE, {"a": b"evil\n"}, "Slipped in")
    verdict = Merger(rig.forge()).merge(request, policy("now", 1))
    assert verdict.state == "waiting"
    assert "1 approval of an older head" in verdict.unmet[0].reason
    assert "a" not in rig.git("ls-tree", "--name-only", "main").split()


def test_waiting_has_growing_pauses_and_an_end() -> None:
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    told: list[str] = []
    waits = Verdict(MergeRequest(3, SOURCE, "main", "t"), "waiting", reason="for a person")
    patience = Patience(90.0, lambda: now[0], sleep, told.append)
    assert settle(lambda: [waits], patience) == [waits]
    assert now[0] == pytest.approx(90.0)
    assert pauses[:3] == [1.0, 1.5, 2.25]
    assert max(pauses) <= 15.0
    assert told[0] == "Waiting for !3: merge: for a person (90 s left)"
    assert len(told) == 2
    pauses.clear()
    assert settle(lambda: [waits], Patience()) == [waits]
    assert pauses == []


def test_the_policy_is_the_environment_s() -> None:
    text = """
environments:
  staging: {merge: now, squash: true}
  production: {merge: when-green, removeSourceBranch: false, ci: required,
               gates: {approvals: 2, soak: 30m, healthy: true}}
"""
    settings = resolve(parse_config(text, "x"), ["apps/a/overlays/staging/kustomization.yaml"])
    staging, production = (policy_of(settings.environment(name)) for name in ("staging", "production"))
    assert (staging.rule, staging.method) == ("now", "squash")
    assert production.gates == (
        GateRules(
            environment="production", ci="required", approvals=ApprovalRule(2), healthy=True, soak=1800,
            source="staging",
        ),
    )  # fmt: skip
    both = joined([staging, production])
    assert (both.rule, both.gates, both.method, both.remove_source_branch) == (
        "when-green", (*staging.gates, *production.gates), "squash", False,
    )  # fmt: skip
    assert policy_of(settings.environment("production"), "manual").rule == "manual"
