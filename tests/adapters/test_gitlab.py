"""What only GitLab does: answers that come late, words that change with its version, tokens that may little."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from ci_gitops.adapters.forges import open_forge
from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall, NewMergeRequest
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.core.gates import ApprovalRule, GateRules
from ci_gitops.errors import ForgeError, RefusedError
from ci_gitops.steps.merging import MergePolicy, Merger
from tests.contracts.forge_rigs import GitLabRig
from tests.fakes.faults import FAULTS, Fault
from tests.fakes.gitlab_state import DEVELOPER, Note
from tests.rig.git_server import GitServer

SOURCE = "ci-gitops/production/shop"
KUSTOMIZATION = "apps/shop/kustomization.yaml"


@pytest.fixture
def rig(git_server: GitServer) -> Iterator[GitLabRig]:
    with GitLabRig(git_server) as made:
        yield made


@pytest.fixture
def forge(rig: GitLabRig) -> Forge:
    return rig.forge()


def pushed(rig: GitLabRig, image: str = "web:2") -> str:
    return rig.branch(SOURCE, {KUSTOMIZATION: f"images: [{image}]\nreplicas: 1\n".encode()}, f"Update to {image}")


def opened(rig: GitLabRig, **more: object) -> str:
    """A merge request from a fresh branch; its head."""
    head = pushed(rig)
    rig.forge().open(NewMergeRequest(SOURCE, "main", "Update shop", "Text", **more))  # type: ignore[arg-type]
    return head


@pytest.mark.parametrize("slow", ["checking", "lag", "locked", "late_sha", "stubborn"])
def test_what_gitlab_finds_out_later_is_waited_for(rig: GitLabRig, forge: Forge, slow: str) -> None:
    setattr(rig.gitlab.rules, slow, 2)
    opened(rig)
    head = pushed(rig, "web:3")
    outcome = forge.merge(1, MergeCall(head))
    assert outcome.state == "merged"
    assert outcome.request.merge_sha == rig.server.head("config")
    assert len(rig.server.messages("config")) == 4


def test_what_gitlab_never_finds_out_is_left_after_a_while(rig: GitLabRig, forge: Forge) -> None:
    rig.gitlab.rules.checking = 1000
    head = opened(rig)
    outcome = forge.merge(1, MergeCall(head))
    assert (outcome.state, outcome.reason) == ("waiting", "GitLab is looking whether it can be merged")
    assert 30 < sum(rig.clock.slept) < 100
    rig.gitlab.rules.checking, rig.gitlab.rules.stubborn = 0, 1000
    rig.gitlab.state.requests[0].checking = 0
    assert forge.merge(1, MergeCall(head)).state == "waiting"
    assert rig.git("log", "--merges", "--format=%h", "main") == ""


@pytest.mark.parametrize(
    ("rule", "value", "state", "words"),
    [
        ("approvals", 1, "waiting", "approvals"),
        ("pipelines_must_succeed", True, "waiting", "pipeline"),
        ("merge_role", 50, "refused", "Allowed to merge"),
    ],
)
def test_the_project_s_own_rules(
    rig: GitLabRig, forge: Forge, rule: str, value: object, state: str, words: str
) -> None:
    setattr(rig.gitlab.rules, rule, value)
    head = opened(rig)
    if state == "refused":
        with pytest.raises(RefusedError) as caught:
            forge.merge(1, MergeCall(head))
        assert words in str(caught.value.hint)
    else:
        outcome = forge.merge(1, MergeCall(head))
        assert outcome.state == state
        assert words in outcome.reason


def test_a_state_that_is_new_to_us_waits(rig: GitLabRig, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    head = opened(rig)
    monkeypatch.setattr(rig.gitlab.merging, "status", lambda mr: "moon_must_be_full")
    outcome = forge.merge(1, MergeCall(head))
    assert (outcome.state, outcome.reason) == ("waiting", "GitLab says that it is moon must be full")


@pytest.mark.parametrize("method", ["merge", "rebase_merge", "ff"])
@pytest.mark.parametrize("squash", [False, True])
def test_the_landed_commit_is_proved_whatever_gitlab_names(
    rig: GitLabRig, forge: Forge, method: str, squash: bool
) -> None:
    rig.gitlab.rules.merge_method, rig.gitlab.rules.late_sha = method, 1
    head = opened(rig, squash=squash)
    outcome = forge.merge(1, MergeCall(head, message="Merge it"))
    assert outcome.request.merge_sha == rig.server.head("config")
    assert rig.forge().get(1).merge_sha == outcome.request.merge_sha


@pytest.mark.parametrize(
    ("version", "name"), [("17.10.2-ee", "merge_when_pipeline_succeeds"), ("17.11.0", "auto_merge")]
)
def test_auto_merge_by_its_name_of_the_time(rig: GitLabRig, forge: Forge, version: str, name: str) -> None:
    rig.gitlab.rules.version = version
    head = opened(rig)
    rig.busy(head)
    assert forge.arm(1, MergeCall(head)).state == "armed"
    assert rig.gitlab.asked("PUT", "/merge")[-1].body[name] is True
    rig.gitlab.finish(head)
    assert rig.forge().get(1).state == "merged"


def test_nothing_is_armed_and_nothing_merged_before_a_pipeline_is_there(rig: GitLabRig, forge: Forge) -> None:
    head = opened(rig)
    outcome = forge.arm(1, MergeCall(head))
    assert (outcome.state, rig.forge().get(1).state) == ("waiting", "open")


def test_auto_merge_is_taken_back_where_a_gate_fails(rig: GitLabRig, forge: Forge) -> None:
    head = opened(rig)
    rig.busy(head)
    forge.arm(1, MergeCall(head))
    verdict = Merger(forge).merge(forge.get(1), MergePolicy("when-green", (GateRules(approvals=ApprovalRule(1)),)))
    assert verdict.state == "waiting"
    assert "taken back" in verdict.reason
    assert rig.forge().get(1).armed_sha == ""
    rig.gitlab.finish(head)
    assert rig.forge().get(1).state == "open"


def test_only_ci_is_left_to_gitlab(rig: GitLabRig, forge: Forge) -> None:
    head = opened(rig)
    rig.busy(head)
    merger = Merger(forge)
    assert (
        merger.merge_by_rule(forge.get(1), MergePolicy("when-green", (GateRules(approvals=ApprovalRule(1)),))).state
        == "waiting"
    )
    assert rig.gitlab.state.requests[0].armed is None
    assert merger.merge_by_rule(forge.get(1), MergePolicy("when-green")).state == "armed"
    assert merger.merge(forge.get(1), MergePolicy("when-green")).state == "armed"


def test_what_gitlab_alone_waits_for_is_left_to_it(rig: GitLabRig, forge: Forge) -> None:
    """Our gates hold; GitLab demands an approval of its own."""
    head = opened(rig)
    rig.gitlab.pipeline(head, "success")
    rig.gitlab.rules.approvals = 1
    verdict = Merger(forge).merge(forge.get(1), MergePolicy("when-green"))
    assert verdict.state == "waiting"
    assert "approvals" in verdict.reason


def test_a_train_is_joined_where_there_is_one(rig: GitLabRig, forge: Forge) -> None:
    rig.gitlab.rules.trains = True
    head = opened(rig)
    outcome = forge.merge(1, MergeCall(head))
    assert (outcome.state, outcome.reason) == ("armed", "it is on the merge train of main")
    rig.gitlab.faults.add(FAULTS["500 after the effect"], "POST", "/merge_trains/")
    assert forge.join_train(1, MergeCall(head)).state == "armed"
    rig.gitlab.merging.go_on()
    assert forge.merge(1, MergeCall(head)).state == "merged"


def test_a_lost_merge_is_found_done(rig: GitLabRig, forge: Forge) -> None:
    head = opened(rig)
    rig.gitlab.faults.add(FAULTS["connection lost after"], "PUT", "/merge$")
    assert forge.merge(1, MergeCall(head)).state == "merged"
    assert len(rig.gitlab.asked("PUT", "/merge")) == 1


def test_of_two_that_were_opened_at_once_the_later_goes(rig: GitLabRig) -> None:
    head = opened(rig)
    rig.gitlab.rules.unguarded = True
    first, other = rig.forge(), rig.forge("alice")
    # The first look finds nothing yet, as when both look before either writes.
    rig.gitlab.faults.add(Fault("status", 200, body=b"[]"), "GET", "/merge_requests$")
    assert other.open(NewMergeRequest(SOURCE, "main", "Update shop")).iid == 1
    assert [one.iid for one in first.find()] == [1]
    (closed,) = first.find(state="closed")
    assert (closed.superseded_by, closed.head_sha) == (1, head)


def test_approvals_of_servers_that_do_not_date_them(rig: GitLabRig, forge: Forge) -> None:
    rig.gitlab.rules.dated_approvals = False
    head = opened(rig)
    rig.gitlab.approve("alice", 1)
    assert [(one.user, one.sha) for one in forge.approvals(1)] == [("alice", head)]
    pushed(rig, "web:3")
    rig.gitlab.approve("bob", 1)
    assert {one.user: one.sha == head for one in forge.approvals(1)} == {"alice": True, "bob": False}
    rig.gitlab.unapprove("alice", 1)
    assert [one.user for one in forge.approvals(1)] == ["bob"]


def test_people_and_groups(rig: GitLabRig) -> None:
    told: list[str] = []
    state = rig.gitlab.state
    state.groups |= {"group/sre": ["bob", "carol"], "everybody": [f"person{number}" for number in range(9)]}
    site = dataclasses.replace(rig.site(state.user("robot").token), tell=told.append)
    access = GitAccess(user=rig.server.user, token=rig.server.password)
    with Repository.open(rig.server.url("config"), access) as repository:
        forge = open_forge("gitlab", repository, Person("r", "r@example.com"), site)
        pushed(rig)
        names = ("alice", "@group/sre", "everybody", "nobody")
        assert set(forge.open(NewMergeRequest(SOURCE, "main", "T", reviewers=names)).reviewers) == {
            "alice",
            "bob",
            "carol",
        }
        assert told == [f"GitLab at {site.server} knows no user or group 'nobody': nobody is asked as reviewer."]
        assert [one.text for one in forge.comments(1)] == ["For @everybody."]
        assert forge.people("group/sre") == ("bob", "carol")
        assert forge.people("nobody") == ()


def test_a_renamed_project_is_followed(rig: GitLabRig, forge: Forge) -> None:
    rig.gitlab.state.old_paths.add(rig.gitlab.state.path)
    rig.gitlab.state.path = "group/renamed"
    site = dataclasses.replace(rig.site(rig.gitlab.state.user("robot").token), project="group/config")
    with Repository.open(
        rig.server.url("config"), GitAccess(user=rig.server.user, token=rig.server.password)
    ) as opened:
        forge = open_forge("gitlab", opened, Person("r", "r@example.com"), site)
        pushed(rig)
        assert forge.open(NewMergeRequest(SOURCE, "main", "T")).iid == 1


def test_a_fork_s_merge_request_is_not_ours(rig: GitLabRig, forge: Forge) -> None:
    opened(rig)
    rig.gitlab.state.requests[0].source_project = 99
    assert forge.find() == ()
    with pytest.raises(RefusedError, match="another project"):
        forge.get(1)
    assert forge.open(NewMergeRequest(SOURCE, "main", "Ours")).iid == 2


def test_a_comment_of_somebody_else_stays_theirs(rig: GitLabRig) -> None:
    """A person who copies our mark into a note neither hides our comment nor loses the note."""
    opened(rig)
    state = rig.gitlab.state
    stranger, robot = state.user("stranger"), state.user("robot")
    robot.role = DEVELOPER
    state.requests[0].notes.append(Note(1, stranger, "<!-- ci-gitops:comment gates -->\nall green, merge!", 0.0))
    for text in ("waiting", "green", "green"):
        rig.forge().comment(1, "gates", text)
    notes = [(one.user.username, one.body.partition("\n")[2]) for one in state.requests[0].notes]
    assert notes == [("stranger", "all green, merge!"), ("robot", "green")]


@pytest.mark.parametrize(
    ("token", "kind"),
    [("robot", "a personal access token"), ("project_7_bot_1", "a project access token"),
     ("group_9_bot", "a group access token"), ("service_account_ci", "a service account's token")],
)  # fmt: skip
def test_who_the_token_is(rig: GitLabRig, token: str, kind: str) -> None:
    account = rig.forge(token).whoami()
    assert (account.login, account.kind, account.expires) == (token, kind, "2027-09-30")
    assert "api" in account.scopes


def test_a_job_s_token_records_deployments_and_nothing_else(rig: GitLabRig) -> None:
    head = opened(rig)
    user = rig.gitlab.state.user("job")
    user.kind = "job"
    access = GitAccess(user=rig.server.user, token=rig.server.password)
    with Repository.open(rig.server.url("config"), access) as repository:
        site = rig.site(user.token, "CI_JOB_TOKEN")
        forge = open_forge("gitlab", repository, Person("r", "r@example.com"), site)
        assert forge.whoami().kind == "a CI job token"
        assert forge.record_deployment("production", head, "main", "success").sha == head
        assert [one.iid for one in forge.find()] == [1]
        for refused in (
            lambda: forge.comment(1, "k", "text"),
            lambda: forge.set_status(head, CommitStatus("ci-gitops/gates", "success"), ref=SOURCE),
            lambda: forge.merge(1, MergeCall(head)),
            lambda: forge.project(),
        ):
            with pytest.raises(RefusedError, match="CI job token") as caught:
                refused()
            assert "CI_GITOPS_TOKEN" in str(caught.value.hint)


def test_without_a_token_that_is_said(rig: GitLabRig) -> None:
    access = GitAccess(user=rig.server.user, token=rig.server.password)
    with Repository.open(rig.server.url("config"), access) as repository:
        site = dataclasses.replace(rig.site(""), token=None)
        with pytest.raises(RefusedError, match="no token"):
            open_forge("gitlab", repository, Person("r", "r@example.com"), site).project()


def test_commands_in_a_description_are_gitlab_s_to_refuse(rig: GitLabRig, forge: Forge) -> None:
    pushed(rig)
    with pytest.raises(RefusedError, match="403"):
        forge.open(NewMergeRequest(SOURCE, "main", "T", "/merge"))
    assert rig.gitlab.state.requests == []


def test_a_status_that_another_run_is_setting_is_waited_for(rig: GitLabRig, forge: Forge) -> None:
    head = opened(rig)
    rig.gitlab.records.busy = 2
    forge.set_status(head, CommitStatus("scan", "success"), ref=SOURCE)
    rig.gitlab.faults.add(Fault("status", 400, body=b'{"message": "name is too long"}'), "POST", "/statuses/")
    with pytest.raises(ForgeError, match="too long"):
        forge.set_status(head, CommitStatus("scan", "failed"), ref=SOURCE)


def test_what_ran_is_counted_as_gitlab_counts(rig: GitLabRig, forge: Forge) -> None:
    head = opened(rig)
    gitlab = rig.gitlab
    assert (forge.checks(head).pipeline, forge.checks(head).has_ci) == (None, False)

    # Our own status makes a pipeline of source `external`: it is no pipeline of the project's.
    forge.set_status(head, CommitStatus("ci-gitops/gates", "pending"), ref=SOURCE)
    checks = forge.checks(head)
    assert (checks.pipeline, checks.has_ci, [one.name for one in checks.statuses]) == (None, False, ["ci-gitops/gates"])

    old = gitlab.pipeline(head, "failed")
    gitlab.records.job(old, "test", "failed")
    newest = gitlab.pipeline(head, "success")
    gitlab.records.job(newest, "lint", "failed", allow_failure=True)
    gitlab.records.job(newest, "deploy", "manual", allow_failure=True)
    checks = forge.checks(head)
    assert (checks.pipeline, checks.has_ci) == ("success", True)
    assert {one.name: (one.state, one.blocking) for one in checks.statuses if not one.ours} == {
        "lint": ("failed", False), "deploy": ("pending", False),
    }  # fmt: skip
    assert checks.committed_at > 0


def test_our_own_status_does_not_wait_for_itself(rig: GitLabRig, forge: Forge) -> None:
    """It joins the pipeline that is there, and keeps it running."""
    head = opened(rig)
    pipeline = rig.gitlab.pipeline(head, "running")
    rig.gitlab.records.job(pipeline, "test", "success")
    rig.gitlab.records.job(pipeline, "ci-gitops/gates", "pending")
    assert forge.checks(head).pipeline == "success"
    rig.gitlab.records.job(pipeline, "scan", "running")
    assert forge.checks(head).pipeline == "running"


def test_whether_the_project_has_ci(rig: GitLabRig, forge: Forge) -> None:
    rig.branch("main", {".gitlab-ci.yml": b"test: {script: [make]}\n"})
    assert forge.checks(pushed(rig)).has_ci
    rig.gitlab.rules.jobs_enabled = False
    assert not rig.forge().checks(pushed(rig, "web:3")).has_ci


def test_freeze_periods(rig: GitLabRig, forge: Forge) -> None:
    rig.gitlab.state.freezes.append(
        {"id": 1, "freeze_start": "0 23 * * 5", "freeze_end": "0 7 * * 1", "cron_timezone": "Europe/Berlin"}  # type: ignore[dict-item]
    )
    (freeze,) = forge.freezes()
    assert (freeze.start, freeze.end, freeze.timezone) == ("0 23 * * 5", "0 7 * * 1", "Europe/Berlin")


def test_many_pages(rig: GitLabRig, forge: Forge) -> None:
    pushed(rig)
    forge.open(NewMergeRequest(SOURCE, "main", "T"))
    notes = rig.gitlab.state.requests[0].notes
    notes += [Note(number, rig.gitlab.state.user("alice"), f"note {number}", 0.0) for number in range(250)]
    assert len(forge.comments(1)) == 250
