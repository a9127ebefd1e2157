"""The settings of a project at its forge, as `doctor` tells them: wrong, right, hidden, and no value of a secret."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.forges import open_forge
from ci_gitops.adapters.git import Person
from ci_gitops.core.forge_settings import Needs, Setting
from ci_gitops.run import Run
from ci_gitops.steps.checks import CHECKS, Finding
from ci_gitops.steps.scene import set_scene
from ci_gitops.steps.workplace import Reach
from tests.contracts.forge_rigs import GitHubRig, GitLabRig
from tests.fakes.faults import FAULTS
from tests.fakes.github_state import Person as Account
from tests.fakes.gitlab_state import DEVELOPER, MAINTAINER, Rules
from tests.rig.git_server import GitServer
from tests.rig.pipelines import Project, said

Change = Callable[[GitLabRig], object]
NEEDS = Needs(
    "main", pushed=("dev",), reviewed=("staging", "live"), merges=True, images=True,
    scheduled=("drift is found", "registries are scanned"), now=int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()),
)  # fmt: skip


@pytest.fixture(scope="module")
def one_gitlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLabRig]:
    """One for all cases: what is set has little to do with what is there."""
    with GitServer(tmp_path_factory.mktemp("git")) as server, GitLabRig(server) as rig:
        yield rig


@pytest.fixture
def gitlab(one_gitlab: GitLabRig) -> GitLabRig:
    """As a new project is set."""
    state = one_gitlab.gitlab.state
    state.rules = Rules()
    for name in ("schedules", "variables", "freezes", "locks", "allowed"):
        getattr(state, name).clear()
    state.user("robot").role = MAINTAINER
    one_gitlab.gitlab.calls.clear()
    one_gitlab.gitlab.faults.planned.clear()
    return one_gitlab


@pytest.fixture
def github(git_server: GitServer) -> Iterator[GitHubRig]:
    with GitHubRig(git_server) as rig:
        yield rig


def rules(**values: Any) -> Change:
    return lambda rig: [setattr(rig.gitlab.rules, name, value) for name, value in values.items()]


def variable(key: str, **more: Any) -> Change:
    return lambda rig: rig.gitlab.settings.variable(key, **more)


def schedule(**more: Any) -> Change:
    return lambda rig: rig.gitlab.settings.schedule(**more)


def owner(state: str) -> Change:
    def change(rig: GitLabRig) -> None:
        rig.gitlab.state.user("leaver").state = state
        rig.gitlab.settings.schedule("leaver")

    return change


def freeze(start: str, end: str) -> Change:
    period = {"id": 1, "freeze_start": start, "freeze_end": end, "cron_timezone": "UTC"}
    return lambda rig: rig.gitlab.state.freezes.append(period)


def locks(**modes: str) -> Change:
    return lambda rig: rig.gitlab.state.locks.update(
        {f"ci-gitops-{name}": mode for name, mode in modes.items()} | {"theirs": "unordered"}
    )


#: What is set -> check, state, words of the message, words of where it is changed.
GITLAB: Mapping[str, tuple[Change, str, str, str, str]] = {
    "no protection": (rules(protected=""), "protection", "warn", "main is not protected",
                      "Protected branches: add main"),
    "a pattern": (rules(protected="ma*", push_role=40), "protection", "ok",
                  "nobody may force a push, this token's user may push and merge.", ""),
    "force": (rules(force_push=True, push_role=40), "protection", "warn", "may be force pushed",
              "Allowed to force push: off"),
    "everybody pushes": (rules(), "protection", "warn", "every Developer may push to main straight",
                         "Allowed to push and merge: Maintainers"),
    "no merge": (rules(push_role=60, merge_role=60), "protection", "fail", "may not merge into main",
                 "Allowed to merge"),
    "green without CI": (rules(pipelines_must_succeed=True, jobs_enabled=False), "merging", "fail",
                         "pipelines must succeed", "Settings > Merge requests > Merge checks"),
    "no merge requests": (rules(merge_requests="disabled"), "merging", "fail", "takes no merge requests", "Visibility"),
    "fast-forward": (rules(merge_method="ff", squash_option="always"), "merging", "ok",
                     "by fast-forward, squashes", ""),
    "no schedule": (rules(), "schedules", "warn", "that drift is found and registries are scanned",
                    "Build > Pipeline schedules > New schedule"),
    "switched off": (schedule(active=False), "schedules", "warn", "('nightly' is switched off)", "New schedule"),
    "a blocked owner": (owner("blocked"), "schedules", "fail", "as leaver, who is blocked", "Take ownership"),
    "a person": (owner("active"), "schedules", "ok", "runs as leaver, a person", ""),
    "overdue": (schedule(next_run_at="2020-01-01T03:00:00Z"), "schedules", "warn", "was due at 2020-01-01 03:00 UTC",
                ".gitlab-ci.yml valid"),
    "due": (schedule(), "schedules", "ok", "runs as project_7_bot, next at 2999-01-01 03:00 UTC", ""),
    "unordered": (locks(config="unordered", deploy="oldest_first"), "resource-groups", "warn",
                  "wait for ci-gitops-config",
                  "projects/7/resource_groups/ci-gitops-config -f process_mode=newest_ready_first"),
    "in order": (locks(config="newest_ready_first"), "resource-groups", "ok", "1 resource group in order", ""),
    "every job token": (rules(inbound=False), "job-tokens", "warn", "the jobs of every project",
                        "Job token permissions"),
    "its allowlist": (lambda rig: rig.gitlab.state.allowed.append("shop/web"), "job-tokens", "ok",
                      "only its own jobs get in and those of shop/web", ""),
    "frozen": (freeze("0 0 1 1 *", "0 0 31 12 *"), "freezes", "warn", "deploy freeze (0 0 1 1 *", "Deploy freezes"),
    "no registry": (rules(registry="disabled"), "images", "warn", "its container registry is off",
                    "Container registry: on"),
    "no freeze now": (freeze("0 0 24 12 *", "0 0 2 1 *"), "freezes", "ok", "none is on", ""),
    "shown": (variable("CI_GITOPS_TOKEN", masked=False), "secrets", "warn", "CI_GITOPS_TOKEN: not masked",
              "Variables > CI_GITOPS_TOKEN > Visibility: Masked"),
    "a key": (variable("GITLAB_ID_RSA", masked=False), "secrets", "warn", "GITLAB_ID_RSA: not masked", "Type: File"),
    "a file": (variable("KUBECONFIG", masked=False, variable_type="file"), "secrets", "ok", "1 secret variable", ""),
    "for everybody": (variable("CI_GITOPS_TOKEN_LIVE", protected=False), "secrets", "warn", "not protected", "Protect"),
    "for one environment": (variable("CI_GITOPS_TOKEN", environment_scope="live"), "secrets", "warn",
                            "only for jobs of the environment live", "Environments: All"),
    "no secret": (variable("TAG", masked=False, protected=False), "secrets", "", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", GITLAB)
def test_each_setting_of_gitlab(case: str, gitlab: GitLabRig) -> None:
    change, check, state, words, where = GITLAB[case]
    change(gitlab)
    told = [one for one in gitlab.forge().settings(NEEDS) if one.check == check]
    assert len(told) == (1 if state else 0), told
    for one in told:
        assert one.state == state
        assert words in one.message
        assert one.message.startswith("group/config")
        assert where in (one.change or "")
        assert state == "ok" or one.page.startswith(f"{gitlab.server.base}/group/config/") or check == "resource-groups"


def test_what_a_developer_may_not_see_is_no_failure(gitlab: GitLabRig) -> None:
    gitlab.gitlab.state.user("robot").role = DEVELOPER
    told = gitlab.forge().settings(NEEDS)
    hidden = {one.check: one.message for one in told if one.state == "skip"}
    assert hidden.keys() == {"protection", "job-tokens", "secrets"}
    assert hidden["secrets"] == (
        "group/config: the CI/CD variables cannot be seen with this token (needs the role Maintainer and the scope api"
        " or read_api)."
    )
    assert "fail" not in {one.state for one in told}


def test_one_answer_that_does_not_come_hides_itself_alone(gitlab: GitLabRig) -> None:
    gitlab.gitlab.faults.add(FAULTS["502"], "GET", "/resource_groups$", times=9)
    gitlab.gitlab.state.locks["ci-gitops-config"] = "unordered"
    told = {one.check: one for one in gitlab.forge().settings(NEEDS)}
    assert told["resource-groups"].state == "skip"
    assert "502" in told["resource-groups"].message
    assert told["job-tokens"].state == "ok"


def test_the_settings_of_gitlab_are_few_requests_and_no_value_leaves(gitlab: GitLabRig) -> None:
    gitlab.gitlab.settings.variable("CI_GITOPS_TOKEN", "glpat-nobody-sees-this", masked=False, protected=False)
    told = gitlab.forge().settings(NEEDS)
    assert "nobody-sees-this" not in repr(told)
    assert len(gitlab.gitlab.calls) == 9, [call.path for call in gitlab.gitlab.calls]
    assert {call.method for call in gitlab.gitlab.calls} == {"GET"}


def test_a_job_token_sees_no_settings(gitlab: GitLabRig) -> None:
    site = gitlab.site("glcbt-64_robot", source="CI_JOB_TOKEN")
    with gitlab.repository() as repository:
        (told,) = open_forge("gitlab", repository, Person("job", "job@example.com"), site).settings(NEEDS)
    assert (told.state, "CI_GITOPS_TOKEN" in told.message) == ("skip", True)
    assert gitlab.gitlab.calls == []


def told_by(github: GitHubRig, needs: Needs = NEEDS, **more: Any) -> dict[str, list[Setting]]:
    found: dict[str, list[Setting]] = {}
    for one in github.forge(**more).settings(needs):
        found.setdefault(one.check, []).append(one)
    return found


def administrator(github: GitHubRig) -> None:
    github.fake.people["robot"] = Account("robot", "admin")


def test_a_branch_of_github_that_nothing_protects(github: GitHubRig) -> None:
    (told,) = told_by(github)["protection"]
    assert (told.state, "no ruleset and no protection" in told.message) == ("warn", True)
    assert str(told.change).startswith("Settings > Rules > Rulesets > New branch ruleset for main")
    assert told.page.endswith("/octo/config/settings/rules")


def test_the_older_protection_is_for_administrators(github: GitHubRig) -> None:
    github.fake.rules.classic = {"allow_force_pushes": {"enabled": True}}
    (hidden,) = told_by(github)["protection"]
    assert (hidden.state, "Administration: read" in hidden.message) == ("skip", True)
    administrator(github)
    force, straight = told_by(github)["protection"]
    assert "may be force pushed" in force.message
    assert "past the review of staging, live" in straight.message


def test_a_ruleset_that_wants_pull_requests_stops_pushes(github: GitHubRig) -> None:
    github.fake.rules.kinds = ["pull_request", "non_fast_forward"]
    (told,) = told_by(github)["protection"]
    assert "pushes for dev are refused" in told.message
    (fine,) = told_by(github, dataclasses.replace(NEEDS, pushed=()))["protection"]
    assert fine.state == "ok"


def test_a_required_check_that_never_ran_is_named(github: GitHubRig) -> None:
    github.fake.rules.statuses = ["build", "ci-gitops/gates"]
    github.fake.rules.older_statuses = ["lint"]
    (told,) = told_by(github)["required-checks"]
    assert "octo/config: lint, build must pass" in told.message or "octo/config: build, lint must pass" in told.message
    head = github.git("rev-parse", "main")
    for name in ("build", "lint"):
        github.fake.check_run(head, name, "success")
    (told,) = told_by(github)["required-checks"]
    assert told.state == "ok"


def test_how_github_merges(github: GitHubRig) -> None:
    (told,) = told_by(github)["merging"]
    assert (told.state, "auto-merge is on" in told.message) == ("ok", True)
    github.fake.settings["allow_auto_merge"] = False
    (told,) = told_by(github)["merging"]
    assert (told.state, "Allow auto-merge" in str(told.change)) == ("warn", True)
    del github.fake.settings["allow_auto_merge"]
    assert [one.state for one in told_by(github)["merging"]] == ["skip"]


@pytest.mark.parametrize(
    ("permissions", "source", "state", "words"),
    [
        (("read", False), "CI_GITOPS_TOKEN", "ok", "reads"),
        (("write", True), "CI_GITOPS_TOKEN", "warn", "that may write"),
        (("read", False), "GITHUB_TOKEN", "fail", "may not open pull requests"),
    ],
)
def test_what_the_token_of_workflows_may_do(
    github: GitHubRig, permissions: tuple[str, bool], source: str, state: str, words: str
) -> None:
    assert "actions" not in told_by(github), "hidden, and of no matter: another token is used"
    assert [one.state for one in told_by(github, source="GITHUB_TOKEN")["actions"]] == ["skip"]
    administrator(github)
    github.fake.workflows = permissions
    (told,) = told_by(github, source=source)["actions"]
    assert (told.state, words in told.message) == (state, True)


POLICIES = b"""\
version: 1
forge: gitlab
apps: {shop: {path: "apps/{environment}", policies: {web: {kind: newest}}}}
environments:
  staging: {write: push, destination: {to: "simulated:live.json", namespace: staging}}
  live: {write: merge-request, merge: when-green, gates: {freeze: true}}
previews: {ttl: 7d}
"""


def asked(gitlab: GitLabRig, config: bytes, folder: Path, **variables: str) -> dict[str, Finding]:
    """What `settings` finds with this configuration, by the check's name."""
    files = {f"apps/{name}/kustomization.yaml": b"resources: []\n" for name in ("staging", "live")}
    gitlab.server.commit(
        gitlab.name, {".ci-gitops.yaml": config, "Dockerfile": b"FROM scratch\n", **files}, "Configure"
    )
    token = gitlab.gitlab.state.user("robot").token
    gitlab.server.user, gitlab.server.password = "oauth2", token
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "CI_GITOPS_TOKEN": token, **variables}
    scene = set_scene(Run(environ=environ, cwd=folder), Reach(repo=gitlab.server.url(gitlab.name), timeout=20))
    return {one.check: one for one in CHECKS["settings"](scene)}


@pytest.fixture
def project(git_server: GitServer) -> Iterator[GitLabRig]:
    with GitLabRig(git_server, "group/config") as rig:
        yield rig


def test_the_configuration_says_what_is_needed(project: GitLabRig, tmp_path: Path) -> None:
    project.server.commit(project.name, {".gitlab-ci.yml": b"stages: [build]\n"}, "Pipeline")
    found = asked(project, POLICIES, tmp_path)
    assert (
        "sees to it that drift is found, merge requests are merged once their gates hold, registries are scanned and"
        " old previews go."
    ) in found["schedules"].message
    assert "past the review of live." in found["protection"].message
    assert "live obeys deploy freezes (gates.freeze), and none is set" in found["freezes"].message
    assert "images" not in found, "nobody says that this is where images are kept"
    page = str(found["schedules"].setting).splitlines()[-1]
    assert page == f"{project.server.base}/group/config/-/pipeline_schedules"


def test_the_pipelines_own_project_is_looked_at_too(project: GitLabRig, tmp_path: Path) -> None:
    job = {"GITLAB_CI": "true", "CI_SERVER_URL": project.server.base, "CI_SERVER_HOST": "localhost"}
    here = {"CI_PROJECT_PATH": "group/config", "CI_PROJECT_URL": f"{project.server.base}/group/config"}
    assert asked(project, POLICIES, tmp_path, **job, **here)["images"].state == "ok"
    other = {"DOCKER_REGISTRY_HOST": "registry.example.com"}
    assert "images" not in asked(project, POLICIES, tmp_path, **job, **here, **other)
    there = {"CI_PROJECT_PATH": "shop/web", "CI_PROJECT_URL": f"{project.server.base}/shop/web"}
    hidden = asked(project, POLICIES, tmp_path, **job, **there)["settings"]
    assert (hidden.state, "The settings of shop/web cannot be seen" in hidden.message) == ("skip", True)


def test_no_forge_is_no_finding(project: GitLabRig, tmp_path: Path) -> None:
    assert asked(project, POLICIES.replace(b"forge: gitlab\n", b""), tmp_path) == {}


CONFIG = b"""\
version: 1
environments:
  staging: {write: push}
  live: {write: merge-request, merge: when-green}
"""


@pytest.mark.full
def test_in_a_job_as_the_page_shows_it(git_server: GitServer, tmp_path: Path) -> None:
    """By gitlab-ci-local, in a project of an application whose configuration is elsewhere, and in that one."""
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    job = page.split("```yaml\n")[1].split("```")[0]
    overlay = b"resources: []\n"
    with GitLabRig(git_server, "group/config") as gitlab:
        files = {f"apps/shop/overlays/{name}/kustomization.yaml": overlay for name in ("staging", "live")}
        git_server.commit(
            "group/config", {".ci-gitops.yaml": CONFIG, ".gitlab-ci.yml": job.encode(), **files}, "Configure"
        )
        git_server.user, git_server.password = "oauth2", gitlab.gitlab.state.user("robot").token
        gitlab.gitlab.settings.schedule("project_7_bot", active=False)
        gitlab.gitlab.settings.variable("CI_GITOPS_TOKEN", git_server.password, protected=False)
        url = git_server.url("group/config")
        project = Project.make(tmp_path / "shop", tmp_path / "home", job)
        project.variables = {
            "GITLAB_CI": "true", "CI_SERVER_URL": git_server.base, "CI_SERVER_HOST": "localhost",
            "CI_PIPELINE_SOURCE": "web", "CI_PROJECT_PATH": "group/config", "CI_GITOPS_REPO": url,
            "CI_PROJECT_URL": url.removesuffix(".git"), "CI_GITOPS_TOKEN": git_server.password,
            "CI_REGISTRY_IMAGE": "",
        }  # fmt: skip
        out = said(project.run(), "doctor")
        assert "no schedule starts pipelines of main ('nightly' is switched off)" in out
        assert "CI_GITOPS_TOKEN: not protected" in out
        assert f"{url.removesuffix('.git')}/-/settings/ci_cd#js-cicd-variables-settings" in out
        assert git_server.password not in out
        elsewhere = {"CI_PROJECT_PATH": "shop/web", "CI_PROJECT_URL": f"{git_server.base}/shop/web"}
        out = said(project.run(elsewhere), "doctor")
        assert "The settings of shop/web cannot be seen" in out
        gitlab.gitlab.rules.push_role = gitlab.gitlab.rules.merge_role = 60
        out = said(project.run(ok=False), "doctor")
        assert "may not merge into main" in out
        assert "2 checks failed: push, protection." in out
