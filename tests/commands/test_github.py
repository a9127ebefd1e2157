"""`update --write merge-request` and `merge` on GitHub, as a user runs them: the command line against the fake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_gitops.core.trailers import parse_trailers
from tests.commands.test_update import DIGEST, LAYOUT, PIPELINE, PRODUCTION, WEB
from tests.fakes.faults import FAULTS, Fault
from tests.fakes.github import FakeGitHub
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer

BRANCH = "ci-gitops/production/shop"
GATES = "ci-gitops/gates"


def settings(text: str) -> bytes:
    return f"environments:\n  staging: {{}}\n  production: {{write: merge-request, {text}}}\n".encode()


class GitHub:
    """The config repository octo/config, and what a robot with a token does there."""

    def __init__(self, cli: Cli, server: GitServer) -> None:
        self.cli, self.server = cli, server
        two = {path.replace("apps/shop", "apps/pay"): content for path, content in LAYOUT.items()}
        self.url = server.create("octo/config", {**two, **LAYOUT, ".ci-gitops.yaml": settings("merge: when-green")})
        self.fake = FakeGitHub(server, "octo/config")
        for person in ("alice", "bob"):
            self.fake.token(person)
        server.user, server.password = "x-access-token", self.fake.token("robot")

    def configure(self, text: str) -> None:
        self.server.commit("octo/config", {".ci-gitops.yaml": settings(text)}, "Policy")

    def run(self, *arguments: object, **env: str) -> Ran:
        given = {"CI_GITOPS_TOKEN": self.server.password, "CI_GITOPS_FORGE": "github", **PIPELINE}
        return self.cli("-o", "json", *arguments, "--repo", self.url, env={**given, "GITLAB_CI": "", **env})

    def update(self, tag: str, *arguments: object, app: str = "shop", **env: str) -> Ran:
        return self.run("update", f"{WEB}:{tag}", "--environment", "production", "--app", app, *arguments, **env)

    def merge(self, *arguments: object) -> Ran:
        return self.run("merge", "--environment", "production", *arguments)

    def deployed(self, path: str = PRODUCTION) -> str:
        return self.server.read("octo/config", path).decode()


@pytest.fixture
def github(cli: Cli, git_server: GitServer) -> Iterator[GitHub]:
    made = GitHub(cli, git_server)
    yield made
    assert made.fake.breaches == []


def test_from_an_update_to_the_merge(github: GitHub) -> None:
    github.configure("merge: manual, labels: [promotion], reviewers: [alice], gates: {approvals: 1}")
    ran = github.update(f"1.2@{DIGEST}")
    assert ran.code == 0, ran.err
    assert (ran.json["outcome"], ran.json["mergeRequest"]["iid"]) == ("opened", 1)
    assert ran.json["mergeRequest"]["url"].endswith("/octo/config/pull/1")
    pull = github.fake.pull(1)
    assert (pull.head, pull.base, pull.author, pull.labels, pull.reviewers) == (
        BRANCH, "main", "robot", ["promotion"], ["alice"],
    )  # fmt: skip
    assert pull.title == "Update shop in production to 1.2"
    assert github.update(f"1.2@{DIGEST}").json["outcome"] == "unchanged"

    waiting = github.merge()
    assert waiting.code == 0, waiting.err
    assert waiting.json["waiting"] == [{"mr": 1, "gate": "approvals", "reason": "0 of 1 approval"}]
    github.fake.review("alice", 1, "APPROVED")
    merged = github.merge()
    assert merged.code == 0, merged.err
    assert merged.json["merged"][0]["commit"] == github.server.head("octo/config")
    assert "1.2" in github.deployed()
    trailers = parse_trailers(github.server.messages("octo/config")[0])
    assert [(move.target, move.name) for move in trailers.images] == [("production/shop", WEB)]
    assert trailers.source
    assert trailers.source.pipeline == 812
    assert github.server.head("octo/config", BRANCH) is None
    again = github.run("merge", "--mr", 1)
    assert (again.code, again.json["merged"][0]["already"]) == (0, True)


def test_a_newer_version_goes_into_the_open_one_and_an_older_pipeline_never_back(github: GitHub) -> None:
    github.configure("merge: manual")
    github.update("1.2")
    newer = github.update("1.3", CI_PIPELINE_ID="900")
    assert (newer.json["outcome"], newer.json["mergeRequest"]["iid"]) == ("updated", 1)
    assert github.fake.pull(1).title == "Update shop in production to 1.3"
    github.fake.land(github.fake.pull(1), "squash", "By a person", "")
    ran = github.update("1.2", CI_PIPELINE_ID="850")
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "unchanged"
    assert len(github.fake.pulls) == 1


def test_green_is_every_check_of_exactly_this_head(github: GitHub) -> None:
    github.configure("merge: manual")
    github.update("1.2")
    head = github.server.head("octo/config", BRANCH) or ""
    github.fake.check_run(head, "render")
    assert github.merge().json["waiting"] == [{"mr": 1, "gate": "ci", "reason": "render is running"}]
    github.fake.check_run(head, "render", "failure")
    assert github.merge().json["waiting"][0]["reason"] == "render is failed"
    github.fake.check_run(head, "render", "neutral")
    ran = github.merge()
    assert len(ran.json["merged"]) == 1, ran.err
    posted = [one for one in github.fake.statuses if one["context"] == GATES]
    assert [(one["sha"], one["state"]) for one in posted] == [(head, "success")]


def test_when_green_is_merged_in_the_same_run_where_there_is_no_ci(github: GitHub) -> None:
    ran = github.update("1.2")
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "merged"
    assert ran.json["revision" if "revision" in ran.json else "commit"]
    assert "1.2" in github.deployed()


def test_what_waits_is_armed_where_the_rules_require_our_status(github: GitHub) -> None:
    github.configure("merge: when-green, gates: {approvals: 1}")
    github.fake.rules.statuses.append(GATES)
    ran = github.update("1.2")
    assert (ran.code, ran.json["outcome"]) == (0, "armed"), ran.err
    github.fake.review("alice", 1, "APPROVED")
    assert github.fake.pull(1).state == "open"
    ran = github.merge()
    assert ran.code == 0, ran.err
    assert len(ran.json["merged"]) == 1
    assert "1.2" in github.deployed()


def test_what_waits_elsewhere_is_left_to_the_next_merge(github: GitHub) -> None:
    github.configure("merge: when-green, gates: {approvals: 1}")
    ran = github.update("1.2")
    assert (ran.code, ran.json["outcome"]) == (0, "opened"), ran.err
    assert github.fake.pull(1).armed is None
    github.fake.review("bob", 1, "APPROVED")
    assert len(github.merge().json["merged"]) == 1


def test_waiting_ends_with_75_at_the_deadline(github: GitHub) -> None:
    github.configure("merge: manual, gates: {approvals: 1}")
    github.update("1.2")
    ran = github.merge("--wait", "--timeout", "1s")
    assert ran.code == 75
    assert "!1 for approvals" in ran.json["error"]["message"]


def test_a_conflict_is_refused_with_its_paths(github: GitHub) -> None:
    github.configure("merge: manual")
    github.update("1.2")
    hotfix = LAYOUT[PRODUCTION].replace(b'"1.1"', b'"1.1.1"')
    github.server.commit("octo/config", {PRODUCTION: hotfix}, "Hotfix")
    ran = github.merge()
    assert ran.code == 5
    assert ran.json["refused"][0]["conflicts"] == [PRODUCTION]


def test_a_person_s_commit_on_the_branch_is_not_written_over(github: GitHub) -> None:
    github.configure("merge: manual")
    github.update("1.2")
    theirs = github.server.commit("octo/config", {"README.md": b"mine\n"}, "Mine", BRANCH)
    ran = github.update("1.3", CI_PIPELINE_ID="900")
    assert ran.code == 5
    assert theirs[:12] in ran.json["error"]["message"]
    assert github.server.head("octo/config", BRANCH) == theirs


def test_what_only_github_holds_back_is_armed_and_a_withdrawn_approval_takes_it_back(github: GitHub) -> None:
    github.configure("merge: manual, gates: {approvals: 1}")
    github.fake.rules.statuses.append(GATES)
    github.fake.rules.approvals = 2
    github.update("1.2")
    github.fake.review("alice", 1, "APPROVED")
    ran = github.merge()
    assert ran.code == 0, ran.err
    assert github.fake.pull(1).armed
    github.fake.review("alice", 1, "DISMISSED")
    ran = github.merge()
    assert ran.json["waiting"][0]["gate"] == "approvals"
    assert [one["state"] for one in github.fake.statuses if one["context"] == GATES] == ["success", "pending"]
    for person in ("alice", "bob"):
        github.fake.review(person, 1, "APPROVED")
    assert github.fake.pull(1).state == "open"
    assert len(github.merge().json["merged"]) == 1


def test_branches_that_must_be_up_to_date_are_made_anew_one_after_the_other(github: GitHub) -> None:
    github.configure("merge: manual")
    github.fake.rules.up_to_date = True
    github.update("1.2")
    github.update("1.2", app="pay")
    ran = github.merge()
    assert ran.code == 0, ran.err
    assert [one["mr"] for one in ran.json["merged"]] == [1, 2]
    assert "1.2" in github.deployed()
    assert "1.2" in github.deployed(PRODUCTION.replace("shop", "pay"))


def test_two_schedulers_at_once_merge_each_once(github: GitHub) -> None:
    github.configure("merge: manual")
    github.update("1.2")
    github.update("1.2", app="pay")
    env = {**github.cli.env, "CI_GITOPS_TOKEN": github.server.password, "CI_GITOPS_FORGE": "github"}
    command = [sys.executable, "-m", "ci_gitops", "merge", "--environment", "production", "--repo", github.url]
    runs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    ends = [(run.communicate(timeout=120), run.returncode) for run in runs]
    assert [code for _, code in ends] == [0, 0], ends
    assert [bool(pull.merged) for pull in github.fake.pulls] == [True, True]
    subjects = [message.splitlines()[0] for message in github.server.messages("octo/config")]
    assert subjects.count("Update shop in production to 1.2") == subjects.count("Update pay in production to 1.2") == 1


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (FAULTS["401"], 5, "does not take the token from CI_GITOPS_TOKEN"),
        (Fault("status", 403, {"X-Accepted-GitHub-Permissions": "pull_requests=write"}), 5, "answered 403"),
        (FAULTS["429 for an hour"], 75, "asks to wait 3600 s"),
        (FAULTS["HTML"], 75, "no JSON"),
    ],
    ids=["401", "403", "429", "HTML"],
)
def test_trouble_is_told_with_the_next_step_and_the_next_run_completes_it(
    github: GitHub, fault: Fault, code: int, words: str
) -> None:
    github.configure("merge: manual")
    github.fake.faults.add(fault, "POST", "/pulls$", times=9)
    ran = github.update("1.2")
    assert ran.code == code, ran.err
    assert words in ran.json["error"]["message"]
    assert ran.json["error"]["hint"]
    github.fake.faults.planned.clear()
    ran = github.update("1.2")
    assert (ran.code, ran.json["outcome"], len(github.fake.pulls)) == (0, "opened", 1), ran.err


def test_an_answer_that_is_lost_opens_no_second_one(github: GitHub) -> None:
    github.configure("merge: manual, labels: [promotion]")
    github.fake.faults.add(FAULTS["connection lost after"], "POST", "/pulls$")
    ran = github.update("1.2")
    assert (ran.code, ran.json["outcome"]) == (0, "opened"), ran.err
    assert len(github.fake.pulls) == 1
    assert github.fake.pull(1).labels == ["promotion"]


def test_a_workflow_of_the_config_repository_needs_only_its_token(github: GitHub, tmp_path: Path) -> None:
    github.configure("merge: manual")
    github.update("1.2")
    workflow = {
        "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": github.server.base, "GITHUB_REPOSITORY": "octo/config",
        "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch", "GITHUB_TOKEN": github.server.password,
    }  # fmt: skip
    ran = github.cli("-o", "json", "merge", "--environment", "production", cwd=tmp_path, env=workflow)
    assert ran.code == 0, ran.err
    assert len(ran.json["merged"]) == 1


def test_a_way_back_is_merged_with_the_gates_of_rollback(github: GitHub) -> None:
    github.configure("merge: when-green, operator: external, gates: {approvals: 1}")
    good, before = github.server.head("octo/config"), github.deployed()
    github.update("9.9", "--write", "push")
    assert "9.9" in github.deployed()
    back = github.run("rollback", "--environment", "production", "--app", "shop", "--to", good)
    assert back.code == 0, back.err
    assert back.json["outcome"] == "merged"
    assert github.deployed() == before
    assert parse_trailers(github.server.messages("octo/config")[0]).back_to == good
    # What is no way back waits, and what was wrong is held.
    assert github.update("9.9").code == 5
    assert github.update("9.8").json["outcome"] == "opened"


@pytest.mark.parametrize(
    ("scopes", "state", "words"),
    [("repo", "ok", "may ask for merges to main"), ("public_repo", "fail", "merge requests need repo")],
)
def test_doctor_says_what_the_token_may_do(github: GitHub, scopes: str, state: str, words: str) -> None:
    github.fake.scopes = scopes
    ran = github.run("doctor", "--environment", "production")
    (found,) = [one for one in ran.json["items"] if one["check"] == "forge"]
    assert (found["state"], words in found["message"]) == (state, True), found


def test_a_deploy_is_recorded_at_github_too(github: GitHub, tmp_path: Path) -> None:
    live = b"  live: {destination: {to: 'simulated:live.json', namespace: live}, createNamespace: true}\n"
    plain = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
    files = {"apps/shop/overlays/live/settings.yaml": plain, ".ci-gitops.yaml": settings("merge: manual") + live}
    head = github.server.commit("octo/config", files, "Declare")
    words = ("-o", "json", "deploy", "--environment", "live", "--app", "shop", "--repo", github.url)
    env = {"CI_GITOPS_TOKEN": github.server.password, "CI_GITOPS_FORGE": "github"}
    for _ in range(2):
        ran = github.cli(*words, cwd=tmp_path, env=env)
        assert ran.code == 0, ran.err
    (record,) = github.fake.deployments
    assert (record["environment"], record["sha"], record["payload"]["ref"]) == ("live", head, "main")
    (told,) = github.fake.deployment_statuses.values()
    assert [one["state"] for one in told][-1] == "success"
