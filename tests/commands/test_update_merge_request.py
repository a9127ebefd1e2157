"""`update --write merge-request` on the local forge, over HTTP and in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters.forges import open_forge
from ci_gitops.adapters.forges.base import NewMergeRequest
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.core.mergerequest_text import Block, put_block
from ci_gitops.core.messages import commit_message
from ci_gitops.core.trailers import ImageMove, Trailers
from tests.commands.test_update import DIGEST, LAYOUT, PIPELINE, PRODUCTION, STAGING, WEB, Config
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer, run_git

API = "registry.example.com/shop/api"


def settings(text: str) -> bytes:
    return f"environments:\n  staging: {{}}\n  production: {{write: merge-request, {text}}}\n".encode()


class Requests(Config):
    """Merge requests for production."""

    def __init__(self, cli: Cli, server: GitServer, text: str = "merge: manual") -> None:
        two = {path.replace("apps/shop", "apps/pay"): content for path, content in LAYOUT.items()}
        super().__init__(cli, server, {**two, **LAYOUT, ".ci-gitops.yaml": settings(text)})

    def production(self, *arguments: object, env: dict[str, str] | None = None, **options: object) -> Ran:
        return self.update(*arguments, "--environment", "production", "--forge", "local", env=env, **options)

    def merge(self, *arguments: object) -> Ran:
        given = {"CI_GITOPS_TOKEN": self.server.password}
        return self.cli("-o", "json", "merge", "--repo", self.url, "--forge", "local", *arguments, env=given)

    @property
    def branches(self) -> list[str]:
        refs = self.server.refs(self.name)
        return sorted(ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/ci-gitops/"))

    @property
    def numbers(self) -> list[str]:
        refs = self.server.refs(self.name)
        return sorted(ref.split("/")[3] for ref in refs if ref.endswith("/record"))


@pytest.fixture
def requests(cli: Cli, git_server: GitServer) -> Requests:
    return Requests(cli, git_server)


def test_a_merge_request_is_opened_and_nothing_else_moves(requests: Requests, tmp_path: Path) -> None:
    before = requests.head()
    ran = requests.production(f"{WEB}:1.2@{DIGEST}", "--app", "shop", "--dotenv", tmp_path / "env", env=PIPELINE)
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "opened"
    assert ran.json["mergeRequest"]["iid"] == 1
    assert ran.json["mergeRequest"]["source"] == "ci-gitops/production/shop"
    assert requests.head() == before
    assert requests.branches == ["ci-gitops/production/shop"]
    assert '"1.2"' in requests.read(PRODUCTION, "ci-gitops/production/shop")
    assert (tmp_path / "env").read_text() == "CI_GITOPS_MERGE_REQUEST=1\n"


def test_the_same_call_again_opens_and_pushes_nothing(requests: Requests) -> None:
    requests.production(f"{WEB}:1.2", "--app", "shop")
    refs = requests.server.refs(requests.name)
    ran = requests.production(f"{WEB}:1.2", "--app", "shop")
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "unchanged"
    assert ran.json["mergeRequest"]["iid"] == 1
    assert requests.server.refs(requests.name) == refs


def test_a_newer_version_updates_the_open_one(requests: Requests) -> None:
    requests.production(f"{WEB}:1.2", "--app", "shop")
    ran = requests.production(f"{WEB}:1.3", "--app", "shop")
    assert ran.json["outcome"] == "updated"
    assert ran.json["mergeRequest"]["iid"] == 1
    assert ran.json["mergeRequest"]["title"].endswith("to 1.3")
    assert '"1.3"' in requests.read(PRODUCTION, "ci-gitops/production/shop")


def test_two_images_of_one_app_share_its_merge_request(requests: Requests) -> None:
    requests.production(f"{WEB}:1.2", "--app", "shop")
    ran = requests.production(f"{API}:v8", "--app", "shop")
    assert (ran.json["outcome"], requests.numbers) == ("updated", ["1"])
    text = requests.read(PRODUCTION, "ci-gitops/production/shop")
    assert '"1.2"' in text
    assert "v8" in text


def test_several_apps_of_one_call_share_one(requests: Requests) -> None:
    ran = requests.production(f"{WEB}:1.2")
    assert ran.json["mergeRequest"]["source"].startswith("ci-gitops/production/batch-")
    again = requests.production(f"{WEB}:1.3", "--app", "pay")
    assert (again.json["outcome"], again.json["mergeRequest"]["iid"]) == ("updated", 1)
    branch = ran.json["mergeRequest"]["source"]
    assert '"1.2"' in requests.read(PRODUCTION, branch)
    assert '"1.3"' in requests.read(PRODUCTION.replace("shop", "pay"), branch)


def test_the_target_moving_on_makes_the_branch_anew(requests: Requests) -> None:
    requests.production(f"{WEB}:1.2", "--app", "shop")
    requests.production(f"{API}:v8", "--app", "shop")
    moved = requests.read(PRODUCTION).replace("who changes this?", "who else?").replace('"1.1"', '"1.1.1"')
    requests.server.commit(requests.name, {PRODUCTION: moved.encode()})
    ran = requests.production(f"{WEB}:1.3", "--app", "shop")
    assert ran.code == 0, ran.err
    text = requests.read(PRODUCTION, "ci-gitops/production/shop")
    assert "who else?" in text
    assert '"1.3"' in text
    assert "v8" in text
    assert requests.merge("--mr", 1).json["merged"]
    assert '"1.3"' in requests.read(PRODUCTION)


def test_a_branch_made_anew_keeps_the_build_of_each_image(requests: Requests) -> None:
    def pipeline(number: int) -> dict[str, str]:
        return {**PIPELINE, "CI_PIPELINE_ID": str(number)}

    requests.production(f"{WEB}:1.2", "--app", "shop", env=pipeline(5))
    requests.server.commit(requests.name, {PRODUCTION: requests.read(PRODUCTION).replace("who", "Who").encode()})
    requests.production(f"{API}:v9", "--app", "shop", env=pipeline(9))
    ran = requests.production(f"{WEB}:1.3", "--app", "shop", env=pipeline(7))
    assert (ran.code, ran.json["outcome"]) == (0, "updated"), ran.err
    assert requests.merge("--mr", 1).json["merged"]
    later = requests.production(f"{WEB}:1.2.1", "--app", "shop", env=pipeline(6))
    assert later.json["outcome"] == "unchanged"
    assert "newer pipeline 7" in later.json["notes"][0]
    assert '"1.3"' in requests.read(PRODUCTION)
    assert "v9" in requests.read(PRODUCTION)


def test_one_that_the_target_has_overtaken_is_closed(cli: Cli, git_server: GitServer) -> None:
    requests = Requests(cli, git_server, "merge: when-green, gates: {approvals: 1}")
    requests.production(f"{WEB}:1.2", "--app", "shop")
    requests.server.commit(requests.name, {PRODUCTION: requests.read(PRODUCTION).replace('"1.1"', '"1.3"').encode()})
    ran = requests.production(f"{WEB}:1.3", "--app", "shop")
    assert ran.code == 0, ran.err
    assert (ran.json["outcome"], ran.json["mergeRequest"]["state"]) == ("unchanged", "closed")
    assert "holds all of it already" in ran.json["notes"][0]
    assert requests.branches == []


def test_a_branch_that_somebody_deleted_is_pushed_again(requests: Requests) -> None:
    requests.production(f"{WEB}:1.2", "--app", "shop")
    run_git("--git-dir", requests.server.bare(requests.name), "branch", "-D", "ci-gitops/production/shop")
    ran = requests.production(f"{WEB}:1.3", "--app", "shop")
    assert (ran.code, ran.json["mergeRequest"]["iid"]) == (0, 1), ran.err
    assert ran.json["mergeRequest"]["title"].endswith("to 1.3")
    assert requests.branches == ["ci-gitops/production/shop"]


def test_a_persons_commit_on_the_branch_stops_it(requests: Requests) -> None:
    requests.production(f"{WEB}:1.2", "--app", "shop")
    branch = "ci-gitops/production/shop"
    theirs = requests.server.commit(requests.name, {"README.md": b"mine\n"}, "My fix", branch)
    ran = requests.production(f"{WEB}:1.3", "--app", "shop")
    assert ran.code == 5
    assert "Somebody" in ran.json["error"]["message"]
    assert "close it and delete its branch" in ran.json["error"]["hint"]
    with Repository.open(str(requests.server.bare(requests.name)), GitAccess()) as repository:
        open_forge("local", repository, Person("alice", "alice@example.com")).close(1)
    left = requests.production(f"{WEB}:1.3", "--app", "shop")
    assert "No merge request is open for it: delete" in left.json["error"]["hint"]
    assert requests.head(branch) == theirs


def test_merged_now_where_the_rule_says_so(cli: Cli, git_server: GitServer, tmp_path: Path) -> None:
    requests = Requests(cli, git_server, "merge: now")
    ran = requests.production(f"{WEB}:1.2", "--app", "shop", "--dotenv", tmp_path / "env", env=PIPELINE)
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "merged"
    assert '"1.2"' in requests.read(PRODUCTION)
    assert requests.branches == []
    assert (tmp_path / "env").read_text().startswith(f"CI_GITOPS_COMMIT={requests.head()}\n")
    older = requests.production(f"{WEB}:1.1.9", "--app", "shop", env={**PIPELINE, "CI_PIPELINE_ID": "811"})
    assert older.json["outcome"] == "unchanged"
    assert "pipeline 812" in older.json["notes"][0]


def test_refused_now_where_a_gate_does_not_hold(cli: Cli, git_server: GitServer) -> None:
    requests = Requests(cli, git_server, "merge: now, gates: {approvals: 1}")
    ran = requests.production(f"{WEB}:1.2", "--app", "shop")
    assert ran.code == 5
    assert "approval" in ran.json["error"]["message"]
    assert requests.merge("--mr", 1, "--approve").json["merged"]
    assert '"1.2"' in requests.read(PRODUCTION)


def test_armed_where_it_is_to_be_merged_when_green(cli: Cli, git_server: GitServer) -> None:
    requests = Requests(cli, git_server, "merge: when-green, gates: {approvals: 1}")
    ran = requests.production(f"{WEB}:1.2", "--app", "shop")
    assert (ran.code, ran.json["outcome"]) == (0, "armed"), ran.err


def test_waiting_ends_at_the_deadline(requests: Requests) -> None:
    ran = requests.production(f"{WEB}:1.2", "--app", "shop", "--wait", "merged", "--timeout", "1s")
    assert ran.code == 75
    assert requests.numbers == ["1"]


@pytest.mark.parametrize(("rule", "words"), [("queue", "supersede: queue"), ("manual", "supersede: manual")])
def test_an_open_one_may_be_left_as_it_is(cli: Cli, git_server: GitServer, rule: str, words: str) -> None:
    requests = Requests(cli, git_server, f"supersede: {rule}")
    requests.production(f"{WEB}:1.2", "--app", "shop")
    ran = requests.production(f"{WEB}:1.3", "--app", "shop")
    assert (ran.code, ran.json["outcome"]) == (0, "waiting"), ran.err
    assert words in ran.json["notes"][0]
    assert '"1.2"' in requests.read(PRODUCTION, "ci-gitops/production/shop")


def test_a_branch_left_over_by_a_run_that_was_cut_off_is_taken_up(requests: Requests) -> None:
    requests.production(f"{WEB}:1.2", "--app", "shop")
    left = requests.head("ci-gitops/production/shop")
    for ref in requests.server.refs(requests.name):
        if ref.startswith("refs/ci-gitops/"):
            (requests.server.bare(requests.name) / ref).unlink()
    ran = requests.production(f"{WEB}:1.2", "--app", "shop")
    assert (ran.code, ran.json["outcome"]) == (0, "opened"), ran.err
    assert requests.head("ci-gitops/production/shop") == left


def test_a_dry_run_opens_nothing(requests: Requests) -> None:
    refs = requests.server.refs(requests.name)
    ran = requests.production(f"{WEB}:1.2", "--app", "shop", "--dry-run")
    assert (ran.code, ran.json["outcome"]) == (0, "planned"), ran.err
    assert requests.server.refs(requests.name) == refs


def test_a_folder_is_a_config_repository_too(requests: Requests) -> None:
    folder = requests.server.bare(requests.name)
    ran = requests.update(f"{WEB}:1.2", "--app", "shop", "--environment", "production", repo=folder)
    assert (ran.code, ran.json["outcome"]) == (0, "opened"), ran.err


def test_two_that_overlap_become_one(requests: Requests) -> None:
    """A batch and a single one, opened by two runs that did not see each other: the later number gives way."""
    requests.production(f"{WEB}:1.2")
    branch = "ci-gitops/production/shop"
    changed = requests.read(PRODUCTION).replace('"1.1"', '"1.3"').encode()
    trailers = Trailers((ImageMove("production", "shop", WEB, f"{WEB}:1.1", f"{WEB}:1.3"),))
    run_git("--git-dir", requests.server.bare(requests.name), "branch", branch, "main")
    requests.server.commit(requests.name, {PRODUCTION: changed}, commit_message(None, trailers), branch)
    with Repository.open(str(requests.server.bare(requests.name)), GitAccess()) as repository:
        description = put_block("", Block((trailers,)))
        forge = open_forge("local", repository, Person("Bob", "bob@example.com"))
        assert forge.open(NewMergeRequest(branch, "main", "Another", description)).iid == 2
        ran = requests.production(f"{API}:v8", "--app", "pay")
        assert (ran.code, ran.json["mergeRequest"]["iid"]) == (0, 1), ran.err
        later = forge.get(2)
        assert (later.state, later.superseded_by) == ("closed", 1)
    assert requests.branches == [ran.json["mergeRequest"]["source"]]
    batch = ran.json["mergeRequest"]["source"]
    assert '"1.3"' in requests.read(PRODUCTION, batch)
    assert "v8" in requests.read(PRODUCTION.replace("shop", "pay"), batch)


def test_one_that_another_run_opens_at_the_same_moment_is_joined(requests: Requests) -> None:
    """It is opened between our look and our push: ours gives way, its edit moves to the other."""
    trailers = Trailers((ImageMove("production", "shop", API, f"{API}:v7", f"{API}:v8"),))
    other = "ci-gitops/production/batch-of-another-run"

    def another_run() -> None:
        run_git("--git-dir", requests.server.bare(requests.name), "branch", other, "main")
        changed = requests.read(PRODUCTION).replace("v7", "v8").encode()
        requests.server.commit(requests.name, {PRODUCTION: changed}, commit_message(None, trailers), other)
        with Repository.open(str(requests.server.bare(requests.name)), GitAccess()) as repository:
            forge = open_forge("local", repository, Person("Bob", "bob@example.com"))
            forge.open(NewMergeRequest(other, "main", "Another", put_block("", Block((trailers,)))))

    requests.server.before_push = another_run
    ran = requests.production(f"{WEB}:1.2", "--app", "shop")
    assert (ran.code, ran.json["mergeRequest"]["iid"]) == (0, 1), ran.err
    assert '"1.2"' in requests.read(PRODUCTION, other)
    assert "v8" in requests.read(PRODUCTION, other)
    with Repository.open(str(requests.server.bare(requests.name)), GitAccess()) as repository:
        forge = open_forge("local", repository, Person("Bob", "bob@example.com"))
        assert [one.iid for one in forge.find()] == [1]
        assert forge.get(2).superseded_by == 1


def test_staging_is_still_pushed(requests: Requests) -> None:
    ran = requests.update(f"{WEB}:1.2", "--environment", "staging", "--environment", "production", "--forge", "local")
    assert ran.code == 0, ran.err
    assert [each["outcome"] for each in ran.json["writes"]] == ["pushed", "opened"]
    assert '"1.2"' in requests.read(STAGING)


@pytest.mark.parametrize(
    ("staging", "outcome", "said"),
    [
        ("write: merge-request, merge: now, gates: {approvals: 1}", 5, "approvals: 0 of 1 approval"),
        ("write: merge-request", 0, "!1 changes files of staging too, and people merge those (merge: manual)"),
        ("write: push", 0, ""),
    ],
)
def test_what_others_share_is_not_merged_without_their_rules(
    cli: Cli, git_server: GitServer, staging: str, outcome: int, said: str
) -> None:
    requests = Requests(cli, git_server)
    config = f"environments:\n  staging: {{{staging}}}\n  production: {{write: merge-request, merge: now}}\n"
    shared = "apps/shop/base/deployment.yaml"
    requests.server.commit(requests.name, {
        ".ci-gitops.yaml": config.encode(), shared: b"kind: Deployment\nspec: {replicas: 1}\n",
    })  # fmt: skip
    ran = requests.production("--set", f"shop:{shared}:spec.replicas=2")
    assert ran.code == outcome, ran.err
    assert said in ran.out + ran.err
    assert ("replicas: 2" in requests.read(shared)) == (not said)
