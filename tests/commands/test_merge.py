"""`merge` on the local forge: in a folder, and on a real Git server over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from ci_gitops.adapters.forges import open_forge
from ci_gitops.adapters.forges.base import Forge, MergeRequest, NewMergeRequest
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.core.mergerequest_text import Block, put_block
from ci_gitops.core.trailers import ImageMove, Source, Trailers, format_trailers, parse_trailers
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer, run_git

CONFIG = b"""\
version: 1
apps:
  shop: {path: "apps/shop/overlays/{environment}"}
  cart: {path: "apps/cart/overlays/{environment}"}
environments:
  staging: {merge: when-green}
  production: {write: merge-request, gates: {approvals: 1}}
  careful: {write: merge-request, gates: {soak: 30m}}
"""
OVERLAY = b"images:\n- name: web\n  newTag: '1'\n"
APPS, ENVIRONMENTS = ("shop", "cart"), ("staging", "production", "careful")


def path(app: str, environment: str) -> str:
    return f"apps/{app}/overlays/{environment}/kustomization.yaml"


class Config:
    """A config repository with three environments, and merge requests in it."""

    def __init__(self, cli: Cli, server: GitServer, stack: ExitStack) -> None:
        self.cli, self.server = cli, server
        files = {path(app, environment): OVERLAY for app in APPS for environment in ENVIRONMENTS}
        self.url = server.create("config", {".ci-gitops.yaml": CONFIG, **files})
        self.folder = str(server.bare("config"))
        repository = stack.enter_context(Repository.open(self.folder, GitAccess()))
        self.forge: Forge = open_forge("local", repository, Person("robot", "robot@example.com"))

    def opened(
        self, app: str = "shop", environment: str = "production", tag: str = "2", **more: object
    ) -> MergeRequest:
        """A merge request as `update` opens it."""
        branch = f"ci-gitops/{environment}/{app}"
        trailers = Trailers(
            (ImageMove(environment, app, "web", "web:1", f"web:{tag}"),), (), Source("group/app", "c" * 40, 7)
        )
        run_git("--git-dir", self.folder, "update-ref", f"refs/heads/{branch}", "refs/heads/main")
        text = OVERLAY.replace(b"'1'", f"'{tag}'".encode())
        self.server.commit(
            "config", {path(app, environment): text}, f"deploy: web {tag}\n\n{format_trailers(trailers)}", branch
        )
        block = put_block("", Block().updated(trailers))
        return self.forge.open(NewMergeRequest(branch, "main", f"Update {app} in {environment}", block, **more))  # type: ignore[arg-type]

    def merge(self, *arguments: object, env: Mapping[str, str] | None = None, output: str = "json") -> Ran:
        return self.cli("-o", output, "merge", "--repo", self.folder, *arguments, env=env)

    def tag(self, app: str = "shop", environment: str = "production") -> str:
        return self.server.read("config", path(app, environment)).decode().split("'")[1]


@pytest.fixture
def config(cli: Cli, git_server: GitServer) -> Iterator[Config]:
    with ExitStack() as stack:
        yield Config(cli, git_server, stack)


def test_what_waits_for_approval_is_told_and_is_no_failure(config: Config) -> None:
    config.opened()
    ran = config.merge("--environment", "production")
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "MergeResult"
    assert ran.json["merged"] == []
    assert ran.json["waiting"] == [{"mr": 1, "gate": "approvals", "reason": "0 of 1 approval"}]
    assert config.tag() == "1"


def test_approved_it_is_merged_with_its_trailers(config: Config) -> None:
    request = config.opened()
    alice = {"GITLAB_USERNAME": "Alice", "GITLAB_EMAIL": "alice@example.com"}
    ran = config.merge("--mr", 1, "--approve", env=alice)
    assert ran.code == 0, ran.err
    assert "Approved !1" in ran.err
    (merged,) = ran.json["merged"]
    assert (merged["mr"], merged["head"], merged["environments"]) == (1, request.head_sha, ["production"])
    assert merged["commit"] == config.server.head("config")
    assert config.tag() == "2"
    assert config.server.head("config", request.source) is None
    message = config.server.messages("config")[0]
    assert message.startswith("Update shop in production\n")
    trailers = parse_trailers(message)
    assert trailers.images == (ImageMove("production", "shop", "web", "web:1", "web:2"),)
    assert trailers.source == Source("group/app", "c" * 40, 7)
    assert [approval.user for approval in config.forge.approvals(1)] == ["Alice"]
    assert config.forge.checks(request.head_sha).statuses[0].name == "ci-gitops/gates"


def test_again_there_is_nothing_to_do(config: Config) -> None:
    config.opened()
    config.merge("--mr", 1, "--approve")
    ran = config.merge("--mr", 1)
    assert ran.code == 0
    assert [(one["mr"], one["already"]) for one in ran.json["merged"]] == [(1, True)]
    assert config.merge("--environment", "production", output="text").out == (
        "Nothing to merge: no merge request of ours is open for production.\n"
    )


def test_over_http_the_forge_must_be_named(config: Config) -> None:
    config.opened("shop", "staging")
    env = {"CI_GITOPS_TOKEN": config.server.password}
    ran = config.cli("merge", "--repo", config.url, env=env)
    assert ran.code == 2
    assert "Nothing says which forge" in ran.err
    ran = config.cli("merge", "--repo", config.url, env={**env, "GITLAB_CI": "true"})
    assert ran.code == 5
    assert "GitLab at http://localhost" in ran.err
    ran = config.cli("merge", "--repo", config.url, env={**env, "CI_GITOPS_FORGE": "local"})
    assert ran.code == 0, ran.err
    assert ran.out.startswith("Merged !1 Update shop in staging into main as ")
    assert config.tag("shop", "staging") == "2"


def test_without_a_name_manual_environments_are_left_to_people(config: Config) -> None:
    config.opened("shop", "staging")
    config.opened("shop", "production")
    ran = config.merge("--wait", "--timeout", "1s")
    assert ran.code == 0, ran.err
    assert [one["mr"] for one in ran.json["merged"]] == [1]
    assert [(one["mr"], one["gate"]) for one in ran.json["waiting"]] == [(2, "manual")]
    assert "--mr 2" in ran.json["waiting"][0]["reason"]


def test_the_ci_branch_names_the_environment(config: Config) -> None:
    config.server.commit(
        "config", {".ci-gitops.yaml": CONFIG.replace(b"{merge: when", b"{sourceBranches: [develop], merge: when")}
    )
    config.opened("shop", "staging")
    config.opened("shop", "production")
    ran = config.merge(env={"CI_COMMIT_BRANCH": "develop"})
    assert [one["mr"] for one in ran.json["merged"]] == [1]
    assert ran.json["waiting"] == []


def test_wait_ends_with_75_at_the_deadline(config: Config) -> None:
    config.opened()
    ran = config.merge("--environment", "production", "--wait", "--timeout", "2s")
    assert ran.code == 75
    assert ran.json["waiting"][0]["gate"] == "approvals"
    assert ran.json["error"]["code"] == 75
    assert "!1 for approvals" in ran.json["error"]["message"]
    assert "Waiting for !1: approvals: 0 of 1 approval" in ran.err


def test_wait_sees_an_approval_that_comes(config: Config) -> None:
    config.opened()
    command = [sys.executable, "-m", "ci_gitops", "-o", "json", "merge", "--repo", config.folder, "--mr", "1", "--wait"]
    with subprocess.Popen(
        command, env=config.cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr
        while "Waiting for !1" not in run.stderr.readline():
            assert run.poll() is None
        config.forge.approve(1, config.forge.get(1).head_sha)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert [one["mr"] for one in json.loads(out)["merged"]] == [1]


def test_a_new_commit_takes_the_approval_away(config: Config) -> None:
    request = config.opened()
    config.forge.approve(1, request.head_sha)
    config.server.commit("config", {"README.md": b"more\n"}, "More", request.source)
    ran = config.merge("--mr", 1)
    assert ran.code == 0
    assert ran.json["waiting"][0]["reason"] == "0 of 1 approval; 1 approval of an older head"


def test_a_conflict_is_refused_with_its_paths_and_the_others_are_merged(config: Config) -> None:
    config.opened("shop", "staging")
    config.opened("cart", "staging")
    config.server.commit("config", {path("shop", "staging"): OVERLAY.replace(b"'1'", b"'hotfix'")})
    ran = config.merge("--environment", "staging")
    assert ran.code == 5
    assert [one["mr"] for one in ran.json["merged"]] == [2]
    assert [(one["mr"], one["conflicts"]) for one in ran.json["refused"]] == [(1, [path("shop", "staging")])]
    assert "conflicts with main" in ran.json["error"]["message"]
    assert config.tag("shop", "staging") == "hotfix"
    assert config.tag("cart", "staging") == "2"


def test_a_draft_waits(config: Config) -> None:
    config.opened("shop", "staging", draft=True)
    ran = config.merge("--environment", "staging")
    assert ran.code == 0
    assert ran.json["waiting"] == [{"mr": 1, "gate": "draft", "reason": "it is a draft"}]


def test_one_whose_branch_is_gone_waits(config: Config) -> None:
    request = config.opened("shop", "staging")
    run_git("--git-dir", config.folder, "branch", "-D", request.source)
    ran = config.merge("--environment", "staging")
    assert ran.code == 0
    assert [(one["mr"], one["gate"]) for one in ran.json["waiting"]] == [(1, "branch")]


def test_a_gate_that_does_not_hold_keeps_it_until_overridden(config: Config) -> None:
    config.opened("shop", "careful")
    ran = config.merge("--environment", "careful")
    assert ran.code == 0
    assert [(one["gate"], one["mr"]) for one in ran.json["waiting"]] == [("soak", 1)]
    ran = config.merge("--environment", "careful", "--override", "soak", "--reason", "Fix for\nall")
    assert ran.code == 0, ran.err
    assert ran.json["merged"][0]["overridden"] == ["soak"]
    assert "Ci-Gitops-Override: soak overridden: Fix for all" in config.server.messages("config")[0]
    (comment,) = config.forge.comments(1)
    assert "`soak`" in comment.text
    assert "Fix for all" in comment.text.replace("\xa0", " ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--override", "soak"], "--reason TEXT is missing"),
        (["--reason", "x"], "--override GATE is missing"),
        (["--override", "sock", "--reason", "x"], "'soak'"),
        (["--environment", "prodution"], "'production'"),
        (["--approve"], "--mr IID or --environment ENV"),
        (["--mr", "0"], "--mr"),
        (["--timeout", "soon"], "such as 90s, 30m"),
    ],
)
def test_wrong_calls_say_what_is_right(config: Config, arguments: list[str], words: str) -> None:
    ran = config.merge(*arguments)
    assert ran.code == 2
    error = ran.json["error"]
    assert words in f"{error['message']} {error['hint']}"


def test_a_number_that_is_not_there_is_an_error(config: Config) -> None:
    ran = config.merge("--mr", 4)
    assert ran.code == 1
    assert "no merge request !4" in ran.err


def test_a_person_s_merge_request_has_no_gates_but_those_that_are_named(config: Config) -> None:
    run_git("--git-dir", config.folder, "update-ref", "refs/heads/alice", "refs/heads/main")
    config.server.commit("config", {"README.md": b"by hand\n"}, "By hand", "alice")
    config.forge.open(NewMergeRequest("alice", "main", "By hand"))
    ran = config.merge("--mr", 1)
    assert ran.code == 5
    assert "nobody knows its gates" in ran.err
    ran = config.merge("--mr", 1, "--environment", "staging")
    assert ran.code == 0, ran.err
    assert config.server.head("config", "alice")


def test_a_branch_name_of_another_environment_keeps_its_gates(config: Config) -> None:
    request = config.opened()
    trailers = Trailers((ImageMove("staging", "shop", "web", "web:1", "web:2"),))
    config.forge.update(request.iid, description=put_block("", Block().updated(trailers)))
    assert config.merge("--environment", "staging").json["waiting"][0]["gate"] == "approvals"


def test_files_of_another_environment_bring_its_gates(config: Config) -> None:
    request = config.opened("shop", "staging")
    files = {path("cart", "production"): OVERLAY.replace(b"'1'", b"'9'")}
    theirs = config.server.commit("config", files, "x", request.source)
    ran = config.merge("--environment", "staging")
    assert ran.json["waiting"] == [{"mr": 1, "gate": "approvals", "reason": "0 of 1 approval"}]
    assert ran.json["notes"] == [
        "!1 changes files of production too, or files that all share: those gates count as well.",
        f"!1 holds the commit {theirs[:12]} of Somebody.",
    ]


def test_what_is_pushed_without_merge_requests_is_no_person_s(config: Config) -> None:
    """`merge: manual` is only the default of an environment whose `write` is push."""
    policy = CONFIG.replace(b"  staging: {merge: when-green}", b"  staging: {}").replace(
        b"write: merge-request, gates: {soak: 30m}", b"write: merge-request, merge: when-green"
    )
    config.server.commit("config", {".ci-gitops.yaml": policy}, "Policy")
    request = config.opened("shop", "careful")
    config.server.commit("config", {path("cart", "staging"): OVERLAY.replace(b"'1'", b"'9'")}, "x", request.source)
    config.opened("cart", "staging")
    ran = config.merge()
    assert [one["mr"] for one in ran.json["merged"]] == [1], ran.err
    assert [(one["mr"], one["gate"]) for one in ran.json["waiting"]] == [(2, "manual")]


@pytest.mark.parametrize(
    "shared", ["apps/shop/base/deployment.yaml", ".gitlab-ci.yml", "apps/new/overlays/production/kustomization.yaml"]
)
def test_files_that_no_environment_has_for_its_own_are_everybody_s(config: Config, shared: str) -> None:
    request = config.opened("shop", "staging")
    config.server.commit("config", {shared: b"resources: []\n"}, "x", request.source)
    for arguments in ((), ("--environment", "staging"), ("--mr", 1)):
        assert [one["gate"] for one in config.merge(*arguments).json["waiting"]] == ["approvals"]


def test_what_people_merge_is_not_brought_along_under_the_name_of_another_environment(config: Config) -> None:
    config.server.commit("config", {".ci-gitops.yaml": CONFIG.replace(b"gates: {approvals: 1}", b"labels: []")}, "x")
    request = config.opened("shop", "staging")
    config.server.commit("config", {path("cart", "production"): OVERLAY.replace(b"'1'", b"'9'")}, "x", request.source)
    for arguments in ((), ("--environment", "staging")):
        ran = config.merge(*arguments)
        assert ran.json["waiting"] == [
            {"mr": 1, "gate": "manual", "reason": "merge: manual; name it by --mr 1 or --environment production"}
        ]
    assert config.tag("cart", "production") == "1"
    assert config.merge("--environment", "staging", "--environment", "production").json["merged"]


def test_the_configuration_is_everybody_s(config: Config) -> None:
    request = config.opened("shop", "staging")
    loose = CONFIG.replace(b"approvals: 1", b"approvals: 0")
    config.server.commit("config", {".ci-gitops.yaml": loose}, "x", request.source)
    ran = config.merge("--environment", "staging")
    assert [one["gate"] for one in ran.json["waiting"]] == ["approvals"]
    assert ran.json["notes"][1] == ("!1 changes .ci-gitops.yaml itself: it is judged by that of main, not by its own.")


def test_one_onto_a_branch_of_nobody_is_named(config: Config) -> None:
    run_git("--git-dir", config.folder, "branch", "other", "main")
    request = config.opened("shop", "staging")
    config.forge.open(NewMergeRequest(request.source, "other", "Elsewhere"))
    ran = config.merge("--mr", 2)
    assert ran.code == 2
    assert "!2 is no merge request onto main" in ran.err


def test_the_later_of_two_that_overlap_waits(config: Config) -> None:
    config.opened("shop", "staging")
    trailers = Trailers((ImageMove("staging", "shop", "web", "web:1", "web:3"),))
    run_git("--git-dir", config.folder, "update-ref", "refs/heads/ci-gitops/staging/batch-1", "refs/heads/main")
    config.server.commit("config", {path("shop", "staging"): b"x\n"}, "x", "ci-gitops/staging/batch-1")
    config.forge.open(
        NewMergeRequest("ci-gitops/staging/batch-1", "main", "Batch", put_block("", Block().updated(trailers)))
    )
    ran = config.merge("--environment", "staging")
    assert ran.code == 0
    assert [one["mr"] for one in ran.json["merged"]] == [1]
    assert ran.json["waiting"] == [
        {"mr": 2, "gate": "order", "reason": "!1 holds staging/shop too and is merged first"}
    ]


def test_an_environment_on_a_branch_of_its_own(config: Config) -> None:
    """Its merge requests go there, under the rules at the head of that branch."""
    run_git("--git-dir", config.folder, "branch", "live", "main")
    own = CONFIG.replace(b"production: {write", b"production: {repository: {branch: live}, write")
    config.server.commit("config", {".ci-gitops.yaml": own})
    config.server.commit("config", {".ci-gitops.yaml": own.replace(b"approvals: 1", b"approvals: 2")}, "x", "live")
    config.opened("shop", "staging")
    branch = "ci-gitops/production/shop"
    run_git("--git-dir", config.folder, "branch", branch, "live")
    trailers = Trailers((ImageMove("production", "shop", "web", "web:1", "web:2"),))
    config.server.commit("config", {path("shop", "production"): OVERLAY.replace(b"'1'", b"'2'")}, "x", branch)
    config.forge.open(NewMergeRequest(branch, "live", "Update", put_block("", Block().updated(trailers))))
    ran = config.merge("--environment", "production", "--approve")
    assert ran.json["waiting"] == [{"mr": 2, "gate": "approvals", "reason": "1 of 2 approvals (ci-gitops)"}]
    ran = config.merge("--mr", 2, "--approve", env={"GITLAB_USERNAME": "Bob"})
    assert [one["mr"] for one in ran.json["merged"]] == [2], ran.err
    assert b"'2'" in config.server.read("config", path("shop", "production"), "live")
    assert config.tag() == "1"
    assert config.tag("shop", "staging") == "1"


def test_dry_run_touches_nothing(config: Config) -> None:
    config.opened("shop", "staging")
    before = config.server.refs("config")
    ran = config.merge("--environment", "staging", "--approve", "--dry-run")
    assert ran.code == 0, ran.err
    assert [one["mr"] for one in ran.json["ready"]] == [1]
    assert config.server.refs("config") == before


def test_an_armed_one_is_merged_when_it_is_green(config: Config) -> None:
    from ci_gitops.adapters.forges.base import MergeCall

    request = config.opened()
    config.forge.arm(1, MergeCall(request.head_sha))
    assert [one["gate"] for one in config.merge().json["waiting"]] == ["approvals"]
    config.forge.approve(1, request.head_sha)
    assert [one["mr"] for one in config.merge().json["merged"]] == [1]


def test_two_schedulers_at_once_do_no_harm(config: Config) -> None:
    for app in APPS:
        config.opened(app, "staging")
    command = [
        sys.executable,
        "-m",
        "ci_gitops",
        "-o",
        "json",
        "merge",
        "--repo",
        config.folder,
        "--environment",
        "staging",
    ]
    runs = [
        subprocess.Popen(command, env=config.cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err.decode()
        assert json.loads(out)["waiting"] == []
    assert [config.tag(app, "staging") for app in APPS] == ["2", "2"]
    merges = [message for message in config.server.messages("config") if message.startswith("Update ")]
    assert len(merges) == 2
