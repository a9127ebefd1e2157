"""What only GitHub does, on its fake; what every forge does is in tests/contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall
from ci_gitops.adapters.forges.github_api import api_address
from ci_gitops.adapters.patience import AwayError
from ci_gitops.core.comment_keys import marked
from ci_gitops.errors import CiGitopsError, ForgeError, RefusedError, UsageError
from tests.contracts.forge_rigs import GitHubRig
from tests.contracts.test_forges import SOURCE, new, pushed
from tests.fakes.faults import Fault
from tests.fakes.github_state import Pull
from tests.rig.git_server import GitServer

GATES = "ci-gitops/gates"
BY_LIMIT = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}'


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


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://octo.ghe.com", "https://api.octo.ghe.com"),
        ("https://git.example.com:8443", "https://git.example.com:8443/api/v3"),
        ("https://git.example.com/api/v3", "https://git.example.com/api/v3"),
        ("https://api.github.com/", "https://api.github.com"),
    ],
)
def test_where_the_api_is(server: str, address: str) -> None:
    assert api_address(server) == address


def test_a_repository_has_an_owner(rig: GitHubRig) -> None:
    with pytest.raises(UsageError, match="'group/sub/config' names no repository of GitHub"):
        rig.forge(project="group/sub/config").find()


# Who may do what


def test_only_people_who_may_write_approve_and_the_latest_opinion_counts(rig: GitHubRig, forge: Forge) -> None:
    iid, head = opened(rig, forge)
    assert forge.approvals(iid) == ()
    rig.fake.token("stranger", "read")
    rig.fake.token("robot[bot]", bot=True)
    for login, *states in (
        ("alice", "APPROVED", "COMMENTED"), ("bob", "APPROVED", "CHANGES_REQUESTED"),
        ("carol", "APPROVED", "DISMISSED"),
        ("stranger", "APPROVED"), ("robot[bot]", "APPROVED"), ("dave", "CHANGES_REQUESTED", "APPROVED"),
    ):  # fmt: skip
        for state in states:
            rig.fake.review(login, iid, state)
    assert {(one.user, one.sha) for one in forge.approvals(iid)} == {("alice", head), ("dave", head)}


def test_reviewers_whom_github_does_not_take_are_told(rig: GitHubRig, forge: Forge) -> None:
    rig.fake.teams["sre"] = ["alice", "bob"]
    iid, _ = opened(rig, forge, reviewers=("bob", "nobody", "octo/sre", "robot"), assignees=("octo/sre", "ghost"))
    request = forge.get(iid)
    assert set(request.reviewers) == {"bob", "octo/sre"}
    assert set(request.assignees) == {"alice", "bob"}
    assert [line.split(":")[0] for line in rig.told] == [f"nobody is not a reviewer of !{iid}",
                                                        f"ghost is not an assignee of !{iid}"]  # fmt: skip
    asked = len(rig.fake.asked("POST", "/requested_reviewers"))
    forge.update(iid, reviewers=("bob", "octo/sre"), assignees=("alice",))
    assert len(rig.fake.asked("POST", "/requested_reviewers")) == asked
    assert forge.people("octo/sre") == ("alice", "bob")
    assert forge.people("octo/none") == forge.people("none") == ()


def test_who_acts_is_known_for_every_kind_of_token(rig: GitHubRig) -> None:
    person = rig.forge("alice").whoami()
    assert (person.login, person.name, person.kind, person.scopes) == (
        "alice", "Alice", "a classic personal access token", ("repo", "read:org"),
    )  # fmt: skip
    token = rig.fake.token("promoter[bot]", bot=True)
    assert rig.forge(token=token).whoami().login == "promoter[bot]"
    with pytest.raises(RefusedError, match="does not take the token from CI_GITOPS_TOKEN") as caught:
        rig.forge(token="ghp_wrong").whoami()
    assert "expired" in (caught.value.hint or "")


def test_what_a_token_lacks_is_named(rig: GitHubRig) -> None:
    pushed(rig)
    with pytest.raises(RefusedError, match="403") as caught:
        rig.forge("reader", token=rig.fake.token("reader", "read")).open(new())
    assert caught.value.hint == "Grant the token or workflow: contents=write; pull_requests=write."
    sso = Fault("status", 403, {"X-GitHub-SSO": "required; url=https://github.com/orgs/octo/sso"})
    rig.fake.faults.add(sso, "GET", "/pulls$")
    with pytest.raises(RefusedError) as caught:
        rig.forge().find()
    assert "single sign-on" in (caught.value.hint or "")


def test_a_workflow_s_own_token_starts_no_checks(rig: GitHubRig) -> None:
    pushed(rig)
    rig.forge(source="GITHUB_TOKEN").open(new())
    assert "no workflow runs for it" in rig.told[0]


# What is ours


def test_a_fork_s_branch_is_not_taken_for_ours(rig: GitHubRig, forge: Forge) -> None:
    """Anybody may open a pull request from a branch of this name in a fork."""
    head = pushed(rig)
    rig.fake.token("mallory", "none")
    theirs = Pull(1, SOURCE, "main", "Mine", "", "mallory", False, head, 0.0, owner="mallory")
    rig.fake.pulls.append(theirs)
    assert forge.find(source=SOURCE) == ()
    assert [(one.source, one.targets) for one in forge.find()] == [(f"mallory:{SOURCE}", frozenset())]
    assert forge.get(1).environments == frozenset()
    assert forge.open(new()).iid == 2


def test_a_renamed_repository_is_followed_and_told(rig: GitHubRig) -> None:
    rig.fake.old_names.append("octo/old")
    forge = rig.forge(project="octo/old")
    iid, head = opened(rig, forge)
    assert forge.find(source="other") == ()
    assert forge.merge(iid, MergeCall(head)).state == "merged"
    assert rig.told == ["octo/old is called octo/config now: change its address where it is configured."]


def test_our_settings_stay_unseen_at_the_end_of_the_text(rig: GitHubRig, forge: Forge) -> None:
    iid, _ = opened(rig, forge, squash=True)
    assert rig.fake.pull(iid).body == 'Text\n\n<!-- ci-gitops:wishes {"squash": true} -->'
    assert forge.get(iid).description == "Text"
    forge.update(iid, description="Other")
    assert rig.fake.pull(iid).body == 'Other\n\n<!-- ci-gitops:wishes {"squash": true} -->'
    asked = len(rig.fake.asked("PATCH"))
    forge.update(iid, description="Other", title="Update shop")
    assert len(rig.fake.asked("PATCH")) == asked


def test_nothing_to_merge_is_said(rig: GitHubRig, forge: Forge) -> None:
    rig.git("update-ref", f"refs/heads/{SOURCE}", "refs/heads/main")
    with pytest.raises(ForgeError, match="there is nothing to merge"):
        forge.open(new())


def test_a_second_comment_of_a_race_is_taken_away(rig: GitHubRig, forge: Forge) -> None:
    iid, _ = opened(rig, forge)
    other = rig.forge("other")
    pages = forge._api.pages  # type: ignore[attr-defined]
    looks: list[str] = []

    def meanwhile(path: str, **query: object) -> list[object]:
        found: list[object] = pages(path, **query)
        if path.endswith("/comments") and not looks:
            looks.append(path)
            other.comment(iid, "gates", "theirs")
        return found

    forge._api.pages = meanwhile  # type: ignore[attr-defined]
    forge.comment(iid, "gates", "ours")
    assert [(one.author, one.text) for one in forge.comments(iid)] == [("other", "ours")]


def test_a_stranger_s_comment_is_not_taken_for_ours(rig: GitHubRig, forge: Forge) -> None:
    iid, _ = opened(rig, forge)
    rig.fake.token("mallory", "read")
    forged = {"body": marked("plan", "sha256:forged"), "user": rig.fake.people["mallory"].json}
    rig.fake.pull(iid).comments.append({**forged, "id": 99, "author_association": "CONTRIBUTOR"})
    forge.comment(iid, "plan", "sha256:real")
    assert [(one.key, one.author) for one in forge.comments(iid)] == [("", "mallory"), ("plan", "robot")]


def test_a_long_comment_is_cut(rig: GitHubRig, forge: Forge) -> None:
    iid, _ = opened(rig, forge)
    forge.comment(iid, "plan", "x" * 100_000)
    assert len(rig.fake.pull(iid).comments[0]["body"]) == 65_536
    assert forge.comments(iid)[0].text.endswith("GitHub takes no longer comment._")


# What ran for a commit


def test_statuses_and_check_runs_are_read_together(rig: GitHubRig, forge: Forge) -> None:
    head = pushed(rig)
    for name, conclusion in (
        ("unit", "success"), ("lint", "neutral"), ("docs", "skipped"), ("e2e", "failure"), ("slow", "timed_out"),
        ("old", "stale"), ("stopped", "cancelled"), ("running", None),
    ):  # fmt: skip
        rig.fake.check_run(head, name, conclusion)
    forge.set_status(head, CommitStatus("scan", "canceled", "x" * 200, "https://scan.example.com"))
    found = {one.name: one.state for one in forge.checks(head).statuses}
    assert found == {
        "unit": "success", "lint": "success", "docs": "skipped", "e2e": "failed", "slow": "failed", "old": "canceled",
        "stopped": "canceled", "running": "running", "scan": "failed",
    }  # fmt: skip


def test_more_checks_than_a_page_are_all_read(rig: GitHubRig, forge: Forge) -> None:
    head = pushed(rig)
    for number in range(230):
        rig.fake.check_run(head, f"check {number}", "success")
    assert len(forge.checks(head).statuses) == 230


def test_the_same_status_is_posted_once(rig: GitHubRig, forge: Forge) -> None:
    """GitHub takes a thousand for one commit and name."""
    head = pushed(rig)
    for _ in range(3):
        forge.set_status(head, CommitStatus(GATES, "success", "passed: ci"))
    assert len(rig.fake.asked("POST", head)) == 1


def test_our_own_job_is_not_waited_for(rig: GitHubRig) -> None:
    head = pushed(rig)
    for run, name in ((7, "merge"), (7, "test"), (8, "merge")):
        rig.fake.check_run(head, name, details_url=f"https://github.com/octo/config/actions/runs/{run}/job/1")
    forge = rig.forge(environ={"GITHUB_RUN_ID": "7", "GITHUB_JOB": "merge"})
    waited_for = {(one.name, one.url.split("/")[-3]) for one in forge.checks(head).statuses}
    assert waited_for == {("test", "7"), ("merge", "8")}


def test_whether_there_is_ci_at_all(rig: GitHubRig, forge: Forge) -> None:
    head = pushed(rig)
    checks = forge.checks(head)
    assert (checks.has_ci, checks.statuses) == (False, ())
    assert checks.committed_at
    forge.set_status(head, CommitStatus(GATES, "success"))
    assert not rig.forge().checks(head).has_ci
    rig.fake.check_run(rig.server.head("config") or "", "unit", "success")
    assert rig.forge().checks(head).has_ci
    with_workflow = rig.branch("other", {".github/workflows/ci.yml": b"on: push\n"})
    rig.fake.check_runs.clear()
    assert rig.forge().checks(with_workflow).has_ci


# Deployments


def test_a_deployment_s_branch_and_outcome_outlive_the_next_one(rig: GitHubRig, forge: Forge) -> None:
    head = pushed(rig)
    rig.fake.statuses.append({"sha": head, "context": "unit", "state": "failure"})
    one = forge.record_deployment("production", head, SOURCE, "success")
    two = forge.record_deployment("production", head, SOURCE, "canceled")
    three = forge.record_deployment("production", head, SOURCE, "success")
    found = forge.deployments("production")
    assert [(item.number, item.state, item.ref) for item in found] == [
        (three.number, "success", SOURCE), (two.number, "canceled", SOURCE), (one.number, "success", SOURCE),
    ]  # fmt: skip
    assert found[2].finished_at == one.finished_at
    told = len(rig.fake.asked("POST", "/statuses"))
    forge.record_deployment("production", head, SOURCE, "success", number=three.number)
    assert len(rig.fake.asked("POST", "/statuses")) == told


# Limits


@pytest.mark.parametrize(
    ("headers", "waited"),
    [({"Retry-After": "30"}, 30), ({}, 60), ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "+20"}, 20)],
    ids=["secondary", "secondary without a time", "primary"],
)
def test_limits_are_waited_for_within_bounds(rig: GitHubRig, headers: dict[str, str], waited: int) -> None:
    pushed(rig)
    given = {name: str(int(rig.fake.clock.now()) + 20) if value == "+20" else value for name, value in headers.items()}
    rig.fake.faults.add(Fault("status", 403, given, BY_LIMIT), "POST", "/pulls$")
    assert rig.forge().open(new()).iid == 1
    assert max(rig.fake.clock.slept) == pytest.approx(waited, abs=2)


def test_an_hour_s_limit_ends_the_run(rig: GitHubRig, forge: Forge) -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(rig.fake.clock.now()) + 3000)}
    rig.fake.faults.add(Fault("status", 403, reset, b'{"message": "API rate limit exceeded for user ID 1."}'))
    with pytest.raises(AwayError, match="asks to wait 3000 s"):
        forge.find()
    graphql = b'{"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}'
    rig.fake.faults.add(Fault("status", 200, body=graphql), "POST", "/graphql$")
    with pytest.raises(CiGitopsError, match="rate limit") as caught:
        forge.project()
    assert caught.value.exit_code == 75


def test_an_answer_of_another_shape_is_no_answer(rig: GitHubRig, forge: Forge) -> None:
    iid, _ = opened(rig, forge)
    for body in (b'{"number": 1}', b'[{"number": 1}]', b'"yes"', b"null"):
        rig.fake.faults.add(Fault("status", 200, body=body), "GET", r"/pulls/\d+$")
        with pytest.raises(ForgeError):
            forge.get(iid)
