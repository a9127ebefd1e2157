"""Gates on GitLab and GitHub: freezes, groups, statuses, whose approval counts, and whose policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.commands.test_github import BRANCH, GitHub
from tests.commands.test_gitlab import CONFIG, NAME, Team
from tests.commands.test_update import PRODUCTION, WEB
from tests.fakes.faults import FAULTS
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer


@pytest.fixture
def team(cli: Cli, git_server: GitServer) -> Iterator[Team]:
    made = Team(cli, git_server)
    yield made
    assert not made.gitlab.breaches, "\n".join(made.gitlab.breaches)


@pytest.fixture
def github(cli: Cli, git_server: GitServer) -> Iterator[GitHub]:
    made = GitHub(cli, git_server)
    yield made
    assert made.fake.breaches == []


def told(ran: Ran) -> dict[str, str]:
    assert ran.code == 0, ran.err
    return {gate["gate"]: f"{gate['state']}: {gate['reason']}" for gate in ran.json["items"][0]["gates"]}


def configure(team: Team, gates: str) -> None:
    team.server.commit(NAME, {".ci-gitops.yaml": CONFIG.replace(b"{approvals: 1}", gates.encode())}, "Policy")


def test_on_gitlab(team: Team) -> None:
    configure(team, "{approvals: {count: 1, groups: [group/sre]}, freeze: true, statuses: [scan]}")
    assert team.update("2").code == 0
    team.gitlab.state.freezes.append(
        {"id": 1, "freeze_start": "* * * * *", "freeze_end": "0 0 1 1 *", "cron_timezone": "Europe/Berlin",
         "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}  # type: ignore[dict-item]
    )  # fmt: skip
    team.gitlab.approve("robot", 1)
    team.gitlab.approve("alice", 1)
    gates = told(team("gates", "--environment", "production", "--post"))
    assert gates["approvals"] == (
        "waiting: 0 of 1 approval of group/sre; that of alice does not count: in none of group/sre; "
        "that of robot does not count: robot opened it"
    )
    assert gates["freeze"].startswith("waiting: deploy freeze (* * * * * to 0 0 1 1 * Europe/Berlin); it ends ")
    assert gates["statuses"] == "waiting: scan is not there yet"
    team.gitlab.state.freezes.clear()
    team.gitlab.approve("bob", 1)
    gates = told(team("gates", "--environment", "production", "--post"))
    assert (gates["approvals"].split(";")[0], gates["freeze"]) == (
        "passed: 1 of 1 approval of group/sre (bob)", "passed: no deploy freeze is on",
    )  # fmt: skip


def test_what_gitlab_does_not_tell_makes_its_gate_wait(team: Team) -> None:
    configure(team, "{approvals: 1, freeze: true}")
    assert team.update("2").code == 0
    team.gitlab.approve("alice", 1)
    team.gitlab.faults.add(FAULTS["403"], "GET", r"/freeze_periods$", times=9)
    ran = team("merge", "--environment", "production")
    assert ran.code == 0, ran.err
    (waits,) = ran.json["waiting"]
    assert waits["gate"] == "freeze"
    assert waits["reason"].startswith("cannot be told: ")
    team.gitlab.faults.add(FAULTS["403"], "GET", r"/approvals$", times=9)
    gates = told(team("gates", "--environment", "production"))
    assert gates["approvals"].startswith("waiting: cannot be told: ")
    assert gates["ci"].startswith("passed")
    ran = team("merge", "--mr", 1, "--override", "freeze", "--override", "approvals", "--reason", "outage")
    assert [one["overridden"] for one in ran.json["merged"]] == [["approvals", "freeze"]], ran.err


def test_on_gitlab_a_merge_request_that_edits_its_own_gates_changes_nothing_for_itself(team: Team) -> None:
    assert team.update("2").code == 0
    loose = CONFIG.replace(b"gates: {approvals: 1}", b"gates: {approvals: 0}")
    team.server.commit(NAME, {".ci-gitops.yaml": loose}, "No gates", "ci-gitops/production/shop")
    ran = team("merge", "--mr", 1)
    assert ran.code == 0, ran.err
    assert [one["gate"] for one in ran.json["waiting"]] == ["approvals"]
    (note,) = [one for one in ran.json["notes"] if ".ci-gitops.yaml" in one]
    assert note == "!1 changes .ci-gitops.yaml itself: it is judged by that of main, not by its own."
    report = team("gates", "--mr", 1)
    assert note in report.json["items"][0]["notes"]


def test_what_a_person_adds_is_merged_by_nobody_but_people_where_no_approval_is_asked_for(team: Team) -> None:
    """Whoever may push a branch may name it as ours are; our account may merge where that person may not."""
    assert team.update("2", "--merge", "manual", environment="staging").code == 0
    evil = b"images:\n- name: web\n  newName: registry.example.net/miner\n  newTag: '2'\n"
    own = "ci-gitops/staging/shop"
    team.server.commit(NAME, {"apps/shop/staging/kustomization.yaml": evil}, "Update shop in staging to 2", own)
    for words in ((), ("--environment", "staging")):
        ran = team("merge", *words)
        assert ran.json["merged"] == [], ran.err
        assert "of Somebody, and no approval is asked for; name it by --mr 1" in ran.out
    assert team.tag("staging") == "1"
    assert len(team("merge", "--mr", 1).json["merged"]) == 1


def test_on_github(github: GitHub) -> None:
    github.fake.teams["sre"] = ["bob"]
    github.configure(
        "merge: manual, gates: {approvals: {count: 1, groups: [octo/sre]}, freeze: true, statuses: [scan]}"
    )
    assert github.update("1.2").code == 0
    head = github.server.head("octo/config", BRANCH) or ""
    github.fake.review("robot", 1, "APPROVED")
    github.fake.review("alice", 1, "APPROVED")
    github.fake.check_run(head, "scan", "failure", output={"title": "two holes", "summary": ""})
    gates = told(github.run("gates", "--environment", "production"))
    assert gates["approvals"] == (
        "waiting: 0 of 1 approval of octo/sre; that of alice does not count: in none of octo/sre; "
        "that of robot does not count: robot opened it"
    )
    assert gates["statuses"].startswith("waiting: scan has failed")
    assert gates["freeze"].startswith("passed: the github forge keeps no deploy freezes")
    github.fake.review("bob", 1, "APPROVED")
    github.fake.check_run(head, "scan", "success")
    ran = github.run("gates", "--environment", "production", "--post")
    assert ran.json["items"][0]["ready"] is True, ran.json
    assert told(ran)["statuses"] == "passed: passed: scan"
    merged = github.merge()
    assert [one["mr"] for one in merged.json["merged"]] == [1], merged.err


FORGED = "Update shop\n\nCi-Gitops-Image: production/shop {image} {image}:{old} -> {image}:{new}\n"


def test_on_gitlab_a_forged_commit_is_the_work_of_who_pushed_it(team: Team) -> None:
    """It says what ours say and changes more. Neither its author's nor its pusher's approval counts."""
    assert team.update("2").code == 0
    branch = team.gitlab.state.requests[0].source
    path = "apps/shop/production/kustomization.yaml"
    text = team.server.read(NAME, path, branch).replace(b"newTag: '2'", b"newTag: '3'")
    message = FORGED.format(image="web", old=2, new=3)
    forged = team.server.commit(NAME, {path: text + b"namePrefix: evil-\n"}, message, branch)
    team.gitlab.state.pushers[forged] = "bob"
    team.gitlab.approve("bob", 1)
    team.gitlab.approve("somebody", 1)  # the name in the commit
    ran = team("gates", "--environment", "production")
    assert told(ran)["approvals"] == (
        f"waiting: 0 of 1 approval; that of bob does not count: bob pushed {forged[:12]}; "
        f"that of somebody does not count: the commit {forged[:12]} is theirs"
    )
    (note,) = ran.json["items"][0]["notes"]
    assert note.startswith(f"!1 holds the commit {forged[:12]} of Somebody (it looks like ours, but ")
    refused = team.update("4")
    assert refused.code == 5
    assert f"{forged[:12]} of Somebody (it looks like ours, but what its message says, done again, gives" in refused.err
    assert team.server.head(NAME, branch) == forged
    team.gitlab.faults.add(FAULTS["403"], "GET", r"/events$", times=9)
    team.gitlab.approve("alice", 1)
    merge = team("merge", "--environment", "production")
    assert [one["mr"] for one in merge.json["merged"]] == [1]


def test_on_github_who_pushed_what_ours_would_have_written_does_not_approve_it(github: GitHub) -> None:
    """Done again, it gives exactly what it holds; all the same it was a person who chose the image."""
    github.configure("merge: manual, gates: {approvals: 1}")
    assert github.update("1.2").code == 0
    text = github.server.read("octo/config", PRODUCTION, BRANCH).replace(b"1.2", b"6.6.6")
    chosen = github.server.commit(
        "octo/config", {PRODUCTION: text}, FORGED.format(image=WEB, old="1.2", new="6.6.6"), BRANCH
    )
    github.fake.pushers[chosen] = "alice"
    github.fake.review("alice", 1, "APPROVED", chosen)
    ran = github.run("gates", "--environment", "production")
    assert told(ran)["approvals"] == (
        f"waiting: 0 of 1 approval; that of alice does not count: alice pushed {chosen[:12]}"
    )
    assert ran.json["items"][0]["notes"] == []
    github.fake.review("bob", 1, "APPROVED", chosen)
    assert [one["mr"] for one in github.merge().json["merged"]] == [1]
