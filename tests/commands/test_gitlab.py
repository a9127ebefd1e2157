"""`update` and `merge` on GitLab, as jobs run them: the whole road against the fake of its server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.clock import Clock
from tests.fakes.faults import FAULTS, Fault
from tests.fakes.gitlab import FakeGitLab
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer, run_git
from tests.rig.ssh_server import SshServer

CONFIG = b"""\
version: 1
forge: gitlab
apps:
  shop: {path: "apps/shop/{environment}"}
  cart: {path: "apps/cart/{environment}"}
environments:
  production:
    write: merge-request
    gates: {approvals: 1}
    labels: [promotion]
    reviewers: [alice, group/sre]
  staging: {write: merge-request, merge: when-green}
"""
OVERLAY = b"images:\n- name: web\n  newTag: '1'\n"
NAME = "group/config"
FOLDERS = [f"apps/{app}/{name}" for app in ("shop", "cart") for name in ("production", "staging")]


class Team:
    """A config repository on GitLab, and the job that works on it with a token of robot's."""

    def __init__(self, cli: Cli, server: GitServer, config: bytes = CONFIG, folders: Sequence[str] = FOLDERS) -> None:
        self.cli, self.server = cli, server
        server.user = "oauth2"
        self.url = server.create(
            NAME, {".ci-gitops.yaml": config, **{f"{one}/kustomization.yaml": OVERLAY for one in folders}}
        )
        self.gitlab = FakeGitLab(server, Clock(), repository=NAME)
        self.gitlab.state.groups["group/sre"] = ["bob", "carol"]
        server.password = self.gitlab.state.user("robot").token

    def __call__(self, *arguments: object, cwd: Path | None = None, **variables: str) -> Ran:
        env = {"CI_GITOPS_TOKEN": self.server.password, "CI_GITOPS_REPO": self.url, **variables}
        return self.cli("-o", "json", *arguments, cwd=cwd, env=env)

    def update(self, tag: str, *more: object, environment: str = "production", app: str = "shop") -> Ran:
        return self("update", f"web:{tag}", "--environment", environment, "--app", app, *more)

    def tag(self, environment: str = "production", app: str = "shop", branch: str = "main") -> str:
        text = self.server.read(NAME, f"apps/{app}/{environment}/kustomization.yaml", branch).decode()
        return text.split("newTag:")[1].split()[0].strip("'")


@pytest.fixture
def team(cli: Cli, git_server: GitServer) -> Iterator[Team]:
    made = Team(cli, git_server)
    yield made
    assert not made.gitlab.breaches, "\n".join(made.gitlab.breaches)


def test_from_update_to_merge(team: Team) -> None:
    ran = team.update("2")
    assert ran.code == 0, ran.err
    assert ran.json["mergeRequest"]["iid"] == 1
    (mr,) = team.gitlab.state.requests
    assert (mr.source, mr.labels) == ("ci-gitops/production/shop", ["promotion"])
    assert {team.gitlab.state.by_id(one).username for one in mr.reviewers} == {"alice", "bob", "carol"}
    assert team.update("2").json["writes"][0]["outcome"] == "unchanged"
    assert team.update("3").json["mergeRequest"]["iid"] == 1
    assert team.tag(branch=mr.source) == "3"
    assert len(team.gitlab.state.requests) == 1

    waits = team("merge", "--environment", "production")
    assert waits.code == 0, waits.err
    assert [(one["gate"], one["reason"]) for one in waits.json["waiting"]] == [("approvals", "0 of 1 approval")]
    team.gitlab.approve("alice", 1)
    team.gitlab.rules.checking, team.gitlab.rules.locked = 1, 1
    merged = team("merge", "--environment", "production")
    assert merged.code == 0, merged.err
    assert merged.json["merged"][0]["commit"] == team.server.head(NAME)
    assert team.tag() == "3"
    assert "Ci-Gitops-Image: production/shop" in team.server.messages(NAME)[0]
    assert team("merge", "--mr", 1).json["merged"][0]["already"] is True


def test_a_running_pipeline_is_left_to_gitlab(team: Team) -> None:
    """`when-green`: armed while the pipeline of the new head runs, and merged by GitLab itself."""
    team.gitlab.rules.pipelines_must_succeed = True
    team.server.commit(NAME, {".gitlab-ci.yml": b"test: {script: [make]}\n"})
    team.gitlab.rules.begins = 2  # the first look is too early
    armed = team.update("2", environment="staging")
    assert armed.code == 0, armed.err
    assert armed.json["writes"][0]["outcome"] == "armed"
    team.gitlab.finish(team.gitlab.state.requests[0].head)
    assert team.tag("staging") == "2"


def test_a_project_that_only_moves_forward(team: Team) -> None:
    """Each merge leaves the other behind: it is made anew and merged in the same run."""
    team.gitlab.rules.merge_method = "ff"
    for app in ("shop", "cart"):
        ran = team.update("2", "--merge", "manual", environment="staging", app=app)
        assert ran.code == 0, ran.err
    merged = team("merge", "--environment", "staging")
    assert merged.code == 0, merged.err
    assert [one["mr"] for one in merged.json["merged"]] == [1, 2]
    assert (team.tag("staging"), team.tag("staging", "cart")) == ("2", "2")
    assert run_git("--git-dir", team.server.bare(NAME), "log", "--merges", "--format=%h", "main") == ""
    assert "anew" in merged.err


def test_a_job_token_is_explained(team: Team) -> None:
    team.gitlab.state.user("robot").kind = "job"
    token = team.server.password = team.gitlab.state.user("robot").token
    team.server.user = "gitlab-ci-token"
    ran = team("update", "web:2", "--environment", "production", CI_GITOPS_TOKEN="", CI_JOB_TOKEN=token,
               CI_SERVER_HOST="localhost", GITLAB_CI="true", CI_SERVER_URL=team.server.base)  # fmt: skip
    assert ran.code == 5, ran.err
    assert "a CI job token" in ran.json["error"]["message"]
    assert "api and write_repository" in ran.json["error"]["hint"]
    assert token not in ran.out + ran.err


def test_a_token_that_is_refused_is_named(team: Team) -> None:
    team.gitlab.faults.add(FAULTS["401"], times=99)
    ran = team.update("2")
    assert ran.code == 5
    assert "CI_GITOPS_TOKEN" in ran.json["error"]["message"]


def test_what_is_no_gitlab_is_told(team: Team) -> None:
    team.gitlab.faults.add(FAULTS["HTML"], times=99)
    ran = team.update("2")
    assert ran.code == 1
    assert "--forge-url" in ran.json["error"]["hint"]


def test_a_server_that_wants_an_hour_ends_the_run(team: Team) -> None:
    team.gitlab.faults.add(FAULTS["429 for an hour"], "GET", times=99)
    ran = team.update("2")
    assert ran.code == 75
    assert "3600 s" in ran.json["error"]["message"]


def test_in_real_time_a_short_wait_is_waited_for(team: Team) -> None:
    team.gitlab.faults.add(Fault("status", 429, {"Retry-After": "1"}), "GET")
    team.gitlab.faults.add(FAULTS["connection lost after"], "POST", "/merge_requests$")
    ran = team.update("2")
    assert ran.code == 0, ran.err
    assert len(team.gitlab.state.requests) == 1


OPTIONS = """\
i=0
while [ $i -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do eval "echo \\"\\$GIT_PUSH_OPTION_$i\\"" >> options; i=$((i+1)); done
echo 'View merge request for ci-gitops/production/shop:'
echo '  https://gitlab.example.com/group/config/-/merge_requests/12'
"""


def test_with_a_key_alone_the_push_opens_it(cli: Cli, ssh_server: SshServer) -> None:
    """No token for the API: options of the push are all there is."""
    config = CONFIG.replace(b"reviewers: [alice, group/sre]", b"assignees: [alice, group/sre]\n    squash: true")
    files = {".ci-gitops.yaml": config, "apps/shop/production/kustomization.yaml": OVERLAY}
    url = ssh_server.create("by-push", files)
    ssh_server.git.hook("by-push", OPTIONS, "post-receive")
    env = {"CI_GITOPS_REPO": url, "GITLAB_ID_RSA": ssh_server.private_key, "SSH_KNOWN_HOSTS": ssh_server.known_hosts}

    def update(tag: str, *more: str) -> Ran:
        return cli("-o", "json", "update", f"web:{tag}", "--environment", "production", *more, env=env)

    ran = update("2")
    assert ran.code == 0, ran.err
    request = ran.json["mergeRequest"]
    assert (request["iid"], request["url"]) == (12, "https://gitlab.example.com/group/config/-/merge_requests/12")
    assert (ssh_server.git.bare("by-push") / "options").read_text().splitlines() == [
        "merge_request.create", "merge_request.target=main", "merge_request.title=Update shop in production to 2",
        "merge_request.label=promotion", "merge_request.assign=alice", "merge_request.squash",
    ]  # fmt: skip
    again = update("2")
    assert (again.code, again.json["writes"][0]["outcome"], again.json["mergeRequest"]["iid"]) == (0, "unchanged", None)
    assert update("3").json["writes"][0]["outcome"] == "updated"
    assert ssh_server.git.read("by-push", "apps/shop/production/kustomization.yaml", "ci-gitops/production/shop") == (
        OVERLAY.replace(b"'1'", b"'3'")
    )
    refused = update("4", "--merge", "when-green")
    assert refused.code == 5
    assert "no token" in refused.json["error"]["message"]


def test_a_deploy_is_recorded_on_the_forge_too(team: Team, tmp_path: Path) -> None:
    """Success means healthy. In a job whose environment this is GitLab keeps the record itself."""
    plain = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
    team.server.commit(NAME, {"apps/shop/live/settings.yaml": plain}, "Declare")
    words = ("deploy", "--environment", "live", "--app", "shop", "--repo", team.url)
    team.server.commit(NAME, {".ci-gitops.yaml": CONFIG + b"  live: {destination: {to: 'simulated:live.json', "
                              b"namespace: live}, createNamespace: true}\n"}, "Configure")  # fmt: skip
    head = team.server.head(NAME)
    ran = team(*words, cwd=tmp_path)
    assert ran.code == 0, ran.err
    (record,) = team.gitlab.state.deployments
    assert (record.environment, record.sha, record.status) == ("live", head, "success")
    assert team(*words, cwd=tmp_path).code == 0
    assert len(team.gitlab.state.deployments) == 1, "a pass that changes nothing records nothing"
    team.server.commit(NAME, {"apps/shop/live/settings.yaml": plain + b"data: {a: b}\n"}, "Change")
    own = {"GITLAB_CI": "true", "CI_ENVIRONMENT_NAME": "live", "CI_ENVIRONMENT_ACTION": "start"}
    assert team(*words, cwd=tmp_path, **own).code == 0
    assert len(team.gitlab.state.deployments) == 1


@pytest.mark.parametrize(
    ("scopes", "state", "words"),
    [
        (("api", "write_repository"), "ok", "robot (a personal access token) may ask for merges to main"),
        (("read_api",), "fail", "has the scopes read_api; merge requests need api"),
    ],
)
def test_doctor_says_what_the_token_may_do(team: Team, scopes: tuple[str, ...], state: str, words: str) -> None:
    team.gitlab.state.user("robot").scopes = scopes
    ran = team("doctor", "--environment", "production")
    found = [one for one in ran.json["items"] if one["check"] == "forge"]
    assert [one["state"] for one in found] == [state]
    assert words in found[0]["message"]


def test_doctor_in_a_job_names_the_page_on_which_a_setting_is(team: Team) -> None:
    job = {
        "GITLAB_CI": "true", "CI_PROJECT_URL": "https://gitlab.example.com/shop/web", "CI_PROJECT_PATH": "shop/web",
        "CI_PIPELINE_SOURCE": "schedule", "GITLAB_USER_LOGIN": "alice", "CI_SERVER_URL": team.server.base,
        "CI_SERVER_HOST": "localhost",
    }  # fmt: skip
    team.server.commit(NAME, {".ci-gitops.yaml": CONFIG.replace(b"write: merge-request", b"write: push")})
    team.gitlab.rules.push_role = 50
    ran = team("doctor", **job)
    settings = {one["message"]: one["setting"] for one in ran.json["items"] if one["state"] != "ok"}
    (push,) = (setting for message, setting in settings.items() if "the branch main is protected" in message)
    assert push.startswith("Settings > Repository > Protected branches > Allowed to push and merge")
    assert push.endswith(f"{team.url.removesuffix('.git')}/-/settings/repository"), "of the config repository"
    (owner,) = (setting for message, setting in settings.items() if "runs as alice" in message)
    assert owner.endswith("/shop/web/-/pipeline_schedules")
    assert "section_start" in ran.err
    assert "Looking at everything" in ran.err
    team.gitlab.rules.push_role = 30
    assert not [one for one in team("doctor", **job).json["items"] if one["check"] == "push" and one["state"] != "ok"]


def test_doctor_tells_a_job_without_a_token_what_it_lacks(team: Team) -> None:
    job = {
        "GITLAB_CI": "true", "CI_PROJECT_URL": f"{team.server.base}/shop/web", "CI_PROJECT_PATH": "shop/web",
        "CI_JOB_TOKEN": "of-this-job", "CI_SERVER_HOST": "localhost", "CI_COMMIT_REF_PROTECTED": "false",
        "CI_COMMIT_BRANCH": "feature", "CI_GITOPS_TOKEN": "",
    }  # fmt: skip
    ran = team("doctor", **job)
    assert ran.code == 1
    settings = "\n".join(str(one["setting"]) for one in ran.json["items"])
    assert "Settings > CI/CD > Job token permissions: add shop/web" in settings
    assert "Settings > CI/CD > Variables > CI_GITOPS_TOKEN > Protect variable" in settings
    assert f"{team.server.base}/shop/web/-/settings/ci_cd#js-cicd-variables-settings" in settings


@pytest.mark.parametrize("count", [4, pytest.param(30, marks=pytest.mark.full)])
def test_two_schedulers_merge_everything_once(cli: Cli, git_server: GitServer, count: int) -> None:
    """Each merge leaves all the others behind, and two jobs work on them at once."""
    apps = [f"app{number}" for number in range(count)]
    lines = "".join(f'  {app}: {{path: "apps/{app}/{{environment}}"}}\n' for app in apps)
    config = f"version: 1\nforge: gitlab\napps:\n{lines}environments:\n  staging: {{write: merge-request}}\n"
    team = Team(cli, git_server, config.encode(), [f"apps/{app}/staging" for app in apps])
    team.gitlab.rules.merge_method = "ff"
    for app in apps:
        assert team.update("2", environment="staging", app=app).code == 0
    with ThreadPoolExecutor(2) as pool:
        ran = [*pool.map(lambda _: team("merge", "--environment", "staging", "--wait"), range(2))]
    assert [one.code for one in ran] == [0, 0], [one.err for one in ran]
    assert {team.tag("staging", app) for app in apps} == {"2"}
    assert [one.state for one in team.gitlab.state.requests] == ["merged"] * count
    assert len(team.server.messages(NAME)) == count + 1


def test_a_way_back_is_merged_with_the_gates_of_rollback(cli: Cli, git_server: GitServer) -> None:
    config = CONFIG.replace(b"    labels:", b"    operator: external\n    labels:")
    team = Team(cli, git_server, config)
    good = team.server.head(NAME)
    patch = b"- path: patch.yaml\n"
    team.server.commit(NAME, {
        "apps/shop/production/kustomization.yaml": OVERLAY.replace(b"'1'", b"'2'") + b"patches:\n" + patch,
        "apps/shop/production/patch.yaml": b"kind: Deployment\n",
    })  # fmt: skip
    words = ("rollback", "--environment", "production", "--app", "shop", "--to", good, "--scope", "target")
    back = team(*words)
    assert back.code == 0, back.err
    assert back.json["outcome"] == "opened"
    assert back.json["files"][0]["revision"] == good
    assert "every file" in team.gitlab.state.requests[-1].description
    assert team(*words).json["outcome"] == "unchanged"
    merged = team("merge", "--environment", "production")
    assert merged.code == 0, merged.err
    assert len(merged.json["merged"]) == 1
    assert team.server.read(NAME, "apps/shop/production/kustomization.yaml") == OVERLAY
    assert not team.gitlab.breaches
