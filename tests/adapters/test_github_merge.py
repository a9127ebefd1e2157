"""Merging at GitHub, on its fake: what its rules hold back, what it merges by itself, and races."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall
from ci_gitops.adapters.forges.github_api import AnswerError
from ci_gitops.adapters.forges.github_merge import meaning
from ci_gitops.core.gates import ApprovalRule, GateRules
from ci_gitops.steps.merging import MergePolicy, Merger
from tests.contracts.forge_rigs import GitHubRig
from tests.contracts.test_forges import SOURCE, new, pushed
from tests.fakes.faults import FAULTS, Fault
from tests.rig.git_server import GitServer

GATES = "ci-gitops/gates"


@pytest.fixture
def rig(git_server: GitServer) -> Iterator[GitHubRig]:
    with GitHubRig(git_server) as made:
        yield made


@pytest.fixture
def forge(rig: GitHubRig) -> Forge:
    return rig.forge()


def opened(rig: GitHubRig, forge: Forge, **more: object) -> tuple[int, str]:
    head = pushed(rig)
    return forge.open(new(**more)).iid, head


def test_what_the_rules_hold_back_waits_in_github_s_words(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.fake.rules.approvals = 1
    outcome = forge.merge(iid, MergeCall(head))
    assert outcome.state == "waiting"
    assert "At least 1 approving review is required" in outcome.reason
    rig.fake.review("alice", iid, "APPROVED")
    assert forge.merge(iid, MergeCall(head)).state == "merged"


def test_a_method_that_is_not_allowed_is_refused(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.fake.settings["allow_merge_commit"] = False
    outcome = forge.merge(iid, MergeCall(head, "merge"))
    assert outcome.state == "blocked"
    assert "Merge commits are not allowed on this repository" in outcome.reason


def test_a_branch_that_must_be_up_to_date_can_be_made_anew(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.fake.rules.up_to_date = True
    rig.branch("main", {"README.md": b"# Others\n"})
    outcome = forge.merge(iid, MergeCall(head))
    assert (outcome.state, outcome.behind) == ("blocked", True)
    assert sum(rig.fake.clock.slept) < 5
    assert "rebase" in outcome.reason


def test_a_push_that_github_has_not_seen_yet_is_waited_for(rig: GitHubRig, forge: Forge) -> None:
    iid, _ = opened(rig, forge)
    forge.get(iid)
    moved = pushed(rig, "web:3")
    rig.fake.lag = 6
    outcome = forge.merge(iid, MergeCall(moved))
    assert outcome.state == "merged"
    assert rig.server.read("config", "apps/shop/kustomization.yaml").startswith(b"images: [web:3]")


def test_a_merge_whose_answer_is_lost_is_found(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.fake.faults.add(FAULTS["connection lost after"], "PUT", "/merge$")
    outcome = forge.merge(iid, MergeCall(head))
    assert (outcome.state, outcome.request.merge_sha) == ("merged", rig.server.head("config"))
    assert len(rig.fake.asked("PUT", "/merge")) == 1


def test_who_never_learns_whether_it_merges_waits(
    rig: GitHubRig, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    iid, head = opened(rig, forge)
    unknown = {"mergeable": None, "mergeable_state": "unknown"}
    monkeypatch.setattr(rig.fake, "_mergeability", lambda pull: unknown)
    rig.fake.faults.add(Fault("status", 405, body=b'{"message": "Base branch was modified"}'), "PUT", times=99)
    outcome = forge.merge(iid, MergeCall(head))
    assert outcome.state == "waiting"
    assert "Base branch was modified" in outcome.reason
    assert 50 < sum(rig.fake.clock.slept) < 70


def test_what_landed_is_proved_by_history(rig: GitHubRig, forge: Forge) -> None:
    """GitHub's own word is not enough: before the merge it names a test merge, after a rebase an old commit."""
    iid, head = opened(rig, forge)
    forge.merge(iid, MergeCall(head, "merge"))
    rig.fake.pull(iid).merge_commit = "1" * 40
    assert forge.get(iid).merge_sha == head
    rig.git("update-ref", "refs/heads/main", "refs/heads/main~1")
    assert forge.get(iid).merge_sha == ""


def test_auto_merge_is_armed_only_where_it_waits_for_our_gates(rig: GitHubRig, forge: Forge) -> None:
    """GitHub's auto-merge stays armed for whatever is pushed later; only our status ties it to a head."""
    iid, head = opened(rig, forge)
    rig.fake.rules.statuses.append("unit")
    outcome = forge.arm(iid, MergeCall(head))
    assert (outcome.state, rig.fake.pull(iid).armed) == ("waiting", None)
    assert "main does not require ci-gitops/gates" in outcome.reason
    rig.fake.rules.older_statuses.append(GATES)
    outcome = forge.arm(iid, MergeCall(head, "merge", "Merge it\n\nCi-Gitops-Actor: ci\n"))
    assert (outcome.state, outcome.request.armed_sha) == ("armed", head)
    rig.fake.check_run(head, "unit", "success")
    assert forge.get(iid).state == "open"
    forge.set_status(head, CommitStatus(GATES, "success"))
    after = forge.get(iid)
    assert (after.state, after.merge_sha) == ("merged", rig.server.head("config"))
    assert rig.server.messages("config")[0] == f"Merge it\n\nCi-Gitops-Actor: ci\n\nCi-Gitops-Head: {head}"


@pytest.mark.parametrize("reason", ["not allowed for this repository", "in clean status"])
def test_what_github_does_not_arm_waits_for_us(rig: GitHubRig, forge: Forge, reason: str) -> None:
    iid, head = opened(rig, forge)
    rig.fake.rules.statuses.append(GATES)
    if "clean" in reason:
        forge.set_status(head, CommitStatus(GATES, "success"))
    else:
        rig.fake.settings["allow_auto_merge"] = False
    outcome = forge.arm(iid, MergeCall(head))
    assert outcome.state == "waiting"
    assert reason in outcome.reason
    assert "the next `ci-gitops merge`" in outcome.reason


def test_a_merge_queue_is_joined(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.fake.rules.queue = True
    assert forge.project().trains
    outcome = forge.merge(iid, MergeCall(head))
    assert (outcome.state, outcome.reason) == ("armed", "it is in the merge queue")
    assert forge.merge(iid, MergeCall(head)).state == "armed"
    forge.disarm(iid)
    assert rig.fake.pull(iid).queued == ""
    forge.join_train(iid, MergeCall(head))
    rig.fake.settle()
    after = forge.merge(iid, MergeCall(head))
    assert (after.state, after.request.merge_sha) == ("merged", rig.server.head("config"))


def test_a_merge_queue_has_a_method_of_its_own(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.fake.rules.queue = True
    rig.settings(mergeMethod="fast-forward")
    assert forge.merge(iid, MergeCall(head, "squash")).state == "armed"


def test_a_queue_that_does_not_take_it_yet_waits(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.fake.rules.queue, rig.fake.rules.approvals = True, 1
    outcome = forge.merge(iid, MergeCall(head))
    assert outcome.state == "waiting"
    assert "the merge queue does not take it yet: At least 1 approving" in outcome.reason


def test_without_a_setting_the_branch_stays_unless_we_are_asked(rig: GitHubRig, forge: Forge) -> None:
    rig.settings(removeSourceBranch=False)
    iid, head = opened(rig, forge)
    forge.merge(iid, MergeCall(head))
    assert rig.server.head("config", SOURCE) == head
    forge.merge(iid, MergeCall(head, remove_source_branch=True))
    assert rig.server.head("config", SOURCE) is None


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Base branch was modified. Review and try the merge again.", "again"),
        ("Merge already in progress", "again"),
        ("Squash merges are not allowed on this repository.", "never"),
        ("Changes must be made through the merge queue", "queue"),
        ('Required status check "unit" is expected.', "held"),
    ],
)
def test_what_refusals_mean(words: str, kind: str) -> None:
    assert meaning(AnswerError("x", 405, words)) == kind


def test_a_head_that_moves_between_gate_and_merge_is_judged_again(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.approve("alice", iid, head)
    rig.before_merge(lambda: pushed(rig, "web:evil"))
    verdict = Merger(forge).merge(forge.get(iid), MergePolicy("now", (GateRules(approvals=ApprovalRule(1)),)))
    assert (verdict.state, verdict.unmet[0].gate) == ("waiting", "approvals")
    assert "1 approval of an older head" in verdict.reason
    assert rig.server.read("config", "apps/shop/kustomization.yaml").startswith(b"images: []")


def test_a_branch_that_is_deleted_at_the_last_moment_is_not_merged(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.before_merge(lambda: rig.git("update-ref", "-d", f"refs/heads/{SOURCE}"))
    outcome = forge.merge(iid, MergeCall(head))
    assert (outcome.state, outcome.request.state) == ("blocked", "closed")
    assert "does not exist" in outcome.reason
    assert rig.server.head("config", SOURCE) is None


def test_what_somebody_merged_at_the_last_moment_is_merged(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    rig.before_merge(lambda: rig.fake.land(rig.fake.pull(iid), "squash", "By a person", ""))
    outcome = forge.merge(iid, MergeCall(head))
    assert (outcome.state, outcome.request.merge_sha) == ("merged", rig.server.head("config"))
    assert rig.server.messages("config")[0] == "By a person"
