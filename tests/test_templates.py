"""The CI templates: GitLab's rules for components, GitLab's schema, our own linter, and the jobs of each pipeline."""

from __future__ import annotations

import copy
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops import __version__
from ci_gitops.commands import COMMANDS
from ci_gitops.commands.variables import unknown_variables
from tests.rig import template_docs, template_pipeline
from tests.rig.components import released
from tests.rig.git_server import run_git
from tests.rig.pipelines import MERGE_REQUEST, SCHEDULE, TAG, Project
from tests.rig.template_lint import lint, lint_includes
from tests.rig.templates import FOLDER, INPUT, Template, names, template

ROOT = FOLDER.parent
TEMPLATES = names()
SINGLE = [name for name in TEMPLATES if name != "pipeline"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_linter_finds_nothing(name: str) -> None:
    assert list(lint(template(name))) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_calls_and_variables_are_those_of_the_command_line(name: str) -> None:
    """A variable that no option reads would be an input without effect."""
    for job in template(name).jobs.values():
        if "trigger" in job:
            continue
        _, verb, *_ = job["script"][0].split()
        assert verb in COMMANDS
        import_module(f"ci_gitops.commands.{COMMANDS[verb][0]}")
        ours = {key: "x" for key in job["variables"] if key.startswith("CI_GITOPS_")}
        assert list(unknown_variables(ours)) == []
        assert {key.split("_")[2] for key in ours} <= {verb.upper()}


@pytest.mark.parametrize("name", SINGLE)
def test_inputs_of_one_name_have_one_meaning(name: str) -> None:
    """Whoever knows one template knows the others."""
    common = ("job-name", "stage", "cli-image", "tags")
    for each in common:
        ours, other = template(name).inputs[each], template("deploy").inputs[each]
        assert ours["description"] == other["description"]
    assert {"timeout", "args", "rules"} <= set(template(name).inputs)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_default_image_is_of_this_version(name: str) -> None:
    assert template(name).inputs["cli-image"]["default"].endswith(f":{__version__}")


def test_gitlabs_schema_takes_them(tmp_path: Path) -> None:
    files = []
    for name in TEMPLATES:
        file = tmp_path / f"{name}.gitlab-ci.yml"
        needed = {key: "x" for key, spec in template(name).inputs.items() if "default" not in spec}
        file.write_text(yaml.safe_dump(template(name).filled(needed)))
        files.append(str(file))
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci",
             "--disable-formats", "uri"]  # fmt: skip # an address may be a variable
    done = subprocess.run([*words, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pipeline_is_made_of_the_other_templates() -> None:
    assert template_pipeline.FILE.read_text() == template_pipeline.text(), "run `make docs`"


def test_the_page_says_every_template_and_input() -> None:
    page = template_docs.PAGE.read_text()
    assert page == template_docs.page_text(page), "run `make docs`"


def test_components_are_the_same_files(tmp_path: Path) -> None:
    """What the release job lays out for GitLab's catalogue."""
    released(tmp_path, __version__)
    assert {path.name: path.read_bytes() for path in (tmp_path / "templates").iterdir()} == {
        path.name: path.read_bytes() for path in FOLDER.iterdir()
    }
    assert len(TEMPLATES) <= 30
    for name in ("README.md", "LICENSE", ".gitlab-ci.yml"):
        assert (ROOT / name).is_file()


def test_components_of_another_version_run_its_image(tmp_path: Path) -> None:
    released(tmp_path, "9.9.9")
    for name in TEMPLATES:
        made = Template.load(tmp_path / "templates" / f"{name}.yml")
        assert made.inputs["cli-image"]["default"].endswith("/ci-gitops:9.9.9")
        assert made.text.replace("9.9.9", __version__) == template(name).text


def test_a_release_pushes_the_components_as_a_tag_of_their_own_and_once(tmp_path: Path) -> None:
    copy, server = tmp_path / "copy", tmp_path / "server.git"
    for name in ("ci-templates", "tests/rig/templates.py", "tests/rig/components.py", ".ci/release-components"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, copy / name)
    run_git("init", "-q", "--bare", server)
    run_git("init", "-q", "-b", "main", copy)
    run_git("-C", copy, "add", "-A")
    run_git("-C", copy, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", "Release")
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path),
               "RELEASE_URL": str(server), "RELEASE_TOKEN": "x"}  # fmt: skip
    for _ in range(2):
        subprocess.run(
            [copy / ".ci/release-components", f"v{__version__}"], env=environ, check=True, capture_output=True
        )
    listed = run_git("--git-dir", server, "ls-tree", "-r", "--name-only", __version__).splitlines()
    assert {f"templates/{name}.yml" for name in TEMPLATES} <= set(listed)
    assert run_git("--git-dir", server, "rev-list", "--count", __version__).strip() == "2"


def test_a_docker_engine_beside_the_job_is_reached_by_tls() -> None:
    """docker:dind, which cannot run in the tests: as GitLab and Docker describe it."""
    (job,) = template("build-dind").filled({}).values()
    assert job["services"] == [{"name": "docker:28.5.2-dind", "alias": "docker"}]
    assert job["variables"] | {
        "DOCKER_HOST": "tcp://docker:2376", "DOCKER_TLS_CERTDIR": "/certs", "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "/certs/client",
    } == job["variables"]  # fmt: skip


# The linter itself

BREAKS: dict[str, tuple[str, str, str]] = {
    "a default that is no option": ("options: [production,", "options: [live,", "none of"),
    "a description without a sentence": ("Apps to deploy, separated by spaces. Empty for all.", "apps", "description"),
    "a rule for newer GitLabs": ("      regex:", "      rules: []\n      regex:", "newer GitLab"),
    "an unused input": ("  timeout: $[[ inputs.timeout ]]\n", "", "used nowhere"),
    "an undeclared input": ("inputs.plan ]]", "inputs.plans ]]", "not declared"),
    "a function": ("$[[ inputs.plan ]]", "$[[ inputs.plan | expand_vars ]]", "plain"),
    "a fixed stage": ("stage: $[[ inputs.stage ]]", "stage: deploy", "stage comes from"),
    "a fixed name": ('"$[[ inputs.job-name ]]":', "deploy:", "name comes from"),
    "a global keyword": ("---\n", "---\nvariables: {A: b}\n", "global keyword"),
    "two calls": ("    - ci-gitops deploy", "    - echo\n    - ci-gitops deploy", "one call"),
    "a call that hides failures": ("$[[ inputs.args ]]", "|| true", "one call"),
    "a shell without bounds": ("      regex: ", "      # ", "reaches the shell"),
    "another retry": ("exit_codes: [75]", "exit_codes: [1]", "retry"),
    "a writer without a lock": ("  resource_group: $[[ inputs.resource-group ]]-$[[ inputs.environment ]]\n", "",
                                "resource_group"),
    "an interruptible writer": ("interruptible: false", "interruptible: true", "interruptible"),
    "another action": ("action: start", "action: prepare", "action"),
    "no tier": ("    deployment_tier: $[[ inputs.tier ]]\n", "", "deployment_tier"),
    "a rule with a job's variable": ("$CI_DEPLOY_FREEZE &&", "$CI_JOB_TOKEN &&", "not known when"),
    "a bare when": ("  - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n---", "  - when: always\n---", "bare"),
    "an unquoted input": ("  rules: $[[ inputs.rules ]]", "  rules: [{if: '$A == $[[ inputs.rules ]]'}]", "quote"),
    "only": ("  interruptible:", "  only: [main]\n  interruptible:", "only and except"),
    "a dotenv file of nobody": ("  script:", "  artifacts: {reports: {dotenv: x.env}}\n  script:", "nothing writes"),
    "a host": ("CI_GITOPS_DEPLOY_REPO: $[[ inputs.repo ]]", "CI_GITOPS_DEPLOY_REPO: https://a.b/$[[ inputs.repo ]]",
               "no host"),
    "a key of newer GitLabs": ("  script:", "  manual_confirmation: Sure?\n  script:", "needs GitLab 17.1"),
}  # fmt: skip


@pytest.mark.parametrize("what", BREAKS)
def test_the_linter_sees(what: str, tmp_path: Path) -> None:
    old, new, expected = BREAKS[what]
    text = template("deploy").text
    assert old in text
    broken = tmp_path / "deploy.yml"
    broken.write_text(text.replace(old, new))
    assert expected in "\n".join(lint(Template.load(broken)))


def test_the_linter_sees_what_an_include_gives_wrong() -> None:
    found = list(
        lint_includes("""
include:
  - local: /ci-templates/deploy.yml
    inputs: {tire: staging, tier: live}
  - component: $CI_SERVER_FQDN/ci-gitops/ci-gitops/build@1.0
    inputs: {services: docker, context: "$(id)"}
  - template: Jobs/SAST.gitlab-ci.yml
""")
    )
    assert [line.split(":")[0] for line in found] == [
        "deploy.yml has no input tire", "deploy.yml", "deploy.yml needs the input environment", "build.yml",
        "build.yml",
    ]  # fmt: skip


# Which jobs there are

PIPELINE = """
stages: [build, test, update, deploy, verify, promote]
include:
  - local: ci-templates/pipeline.yml
    inputs: {part: PART, previews: true, scan: true}
our-tests: {script: [make test]}
"""
GUARDED = {"build-image", "update-config"}
DEPLOYED = {"deploy-staging", "deploy-production"}
AFTER = {"verify-staging", "verify-production", "promote", "rollback-staging", "rollback-production"}
SCHEDULED = {"scan-registries", "drift-staging", "drift-production", "merge-ready", "preview-prune"}
PLANS = {"plan-staging", "plan-production"}
PREVIEW = {"build-image", "preview-create", "preview-deploy", "preview-stop"}
OURS = {"CI_COMMIT_MESSAGE": "deploy(staging): web 1 -> 2\n\nCi-Gitops-Image: staging/shop web:1 -> :2"}
MERGED = {"CI_COMMIT_MESSAGE": "Merge branch 'ci-gitops/production/shop' into 'main'"}
KINDS: dict[str, tuple[str, Mapping[str, str | None], set[str]]] = {
    "push": ("all", {}, GUARDED | DEPLOYED | AFTER),
    "push to another branch": ("all", {"CI_COMMIT_BRANCH": "feature", "CI_COMMIT_REF_NAME": "feature"}, set()),
    "merge request": ("all", MERGE_REQUEST, PLANS | PREVIEW),
    "schedule": ("all", SCHEDULE, SCHEDULED | DEPLOYED),
    "tag": ("all", TAG, set()),
    "our commit": ("all", OURS, DEPLOYED | AFTER),
    "a promotion that a person merged": ("all", MERGED, DEPLOYED | AFTER),
    "our account": ("all", {"CI_COMMIT_AUTHOR": "ci-gitops <ci-gitops@localhost>"}, DEPLOYED | AFTER),
    "deploy freeze": ("all", {"CI_DEPLOY_FREEZE": "true"},
                      GUARDED | DEPLOYED | AFTER - {"verify-staging", "verify-production"}),
    "deploy freeze in a schedule": ("all", {**SCHEDULE, "CI_DEPLOY_FREEZE": "true"}, SCHEDULED),
    "push of an application": ("application", {}, GUARDED),
    "push of a configuration": ("configuration", {}, DEPLOYED | AFTER),
    "merge request of an application": ("application", MERGE_REQUEST, PREVIEW),
    "merge request of a configuration": ("configuration", MERGE_REQUEST, PLANS),
    "schedule of an application": ("application", SCHEDULE, set()),
}  # fmt: skip
#: The others hold by the same rules, and are run in the long form.
QUICK = {"push", "merge request", "schedule", "our commit", "a promotion that a person merged", "our account",
         "deploy freeze", "push of an application", "push of a configuration"}  # fmt: skip


@functools.cache
def project(part: str, folder: Path) -> Project:
    return Project.make(folder / part, folder / "home", PIPELINE.replace("PART", part))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipelines")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.full) for kind in KINDS]
)
def test_each_kind_of_pipeline_has_its_jobs(kind: str, folder: Path) -> None:
    part, facts, expected = KINDS[kind]
    found = project(part, folder).jobs(facts)
    assert set(found) - {"our-tests"} == expected
    by_hand = {"rollback-staging", "rollback-production", "preview-stop"}
    if kind == "deploy freeze":
        by_hand |= DEPLOYED
    assert {name for name, when in found.items() if when == "manual"} == expected & by_hand


def test_red_tests_stop_the_road() -> None:
    """They stand in a stage between build and update; no job before the update names what it needs."""
    jobs = template("pipeline").filled({})
    order = ["build", "test", "update", "deploy", "verify", "promote"]
    assert [jobs[name]["stage"] for name in ("build-image", "update-config", "deploy-staging", "promote")] == [
        "build", "update", "deploy", "promote"
    ]  # fmt: skip
    for name, job in jobs.items():
        assert job["stage"] in order
        if order.index(job["stage"]) <= order.index("deploy") and not name.startswith("preview-"):
            assert "needs" not in job, name


def test_one_environments_trouble_keeps_nobody_from_the_other_one() -> None:
    jobs = template("pipeline").filled({})
    for name in ("staging", "production"):
        assert {each["job"] for each in jobs[f"verify-{name}"]["needs"]} == {f"deploy-{name}", "update-config"}
        assert jobs[f"rollback-{name}"]["needs"] == []
    assert jobs["promote"]["needs"] == [{"job": "verify-staging", "optional": True}]


def test_all_jobs_of_one_environment_that_deploy_wait_for_each_other() -> None:
    jobs = template("pipeline").filled({})
    config = ["update-config", "scan-registries", "promote", "merge-ready", "rollback-staging", "rollback-production",
              "preview-create", "preview-stop", "preview-prune"]  # fmt: skip
    assert {jobs[name]["resource_group"] for name in config} == {"ci-gitops-config"}
    assert jobs["deploy-staging"]["resource_group"] == "ci-gitops-deploy-staging"
    assert jobs["deploy-production"]["resource_group"] == "ci-gitops-deploy-production"


def test_one_job_of_a_pipeline_starts_each_environment() -> None:
    """Else GitLab's prevention of outdated deployments keeps the second one from running."""
    started = [job["environment"]["name"] for job in template("pipeline").filled({}).values()
               if job.get("environment", {}).get("action") == "start"]  # fmt: skip
    assert sorted(started) == ["preview-$CI_PROJECT_PATH_SLUG-$CI_MERGE_REQUEST_IID", "production", "staging"]


def test_a_preview_is_stopped_by_a_job_that_is_there() -> None:
    jobs = template("preview").filled({"job-name": "show"})
    environment = jobs["show-deploy"]["environment"]
    assert environment["on_stop"] == "show-stop"
    assert jobs["show-stop"]["environment"]["name"] == environment["name"]
    assert jobs["show-stop"]["variables"]["GIT_STRATEGY"] == "none", "its branch may be gone"
    assert set(jobs["show-create"]["artifacts"]["paths"]) == {jobs["show-deploy"]["artifacts"]["reports"]["dotenv"]}


# How they are included


def test_a_file_is_included_twice_and_changed_by_its_own_project(tmp_path: Path) -> None:
    """Needs, variables and the like that have no input are merged into the job by GitLab."""
    project = Project.make(
        tmp_path / "p",
        tmp_path / "home",
        """
stages: [build, deploy]
include:
  - local: ci-templates/build.yml
    inputs: {job-name: build-web, context: web, result: web.json, engine: buildah}
  - local: ci-templates/build.yml
    inputs: {job-name: build-api, context: api, result: api.json}
  - local: ci-templates/update.yml
    inputs: {environment: staging, from: "web.json:api.json", tags: [linux]}
update-config:
  needs: [build-web, build-api]
  variables: {CI_GITOPS_UPDATE_MESSAGE: "ship {app}"}
""",
    )
    shown = project.preview()
    assert shown["build-web"]["variables"]["CI_GITOPS_BUILD_ENGINE"] == "buildah"
    assert shown["build-api"]["artifacts"]["paths"] == ["api.json"]
    assert [each["job"] for each in shown["update-config"]["needs"]] == ["build-web", "build-api"]
    variables = shown["update-config"]["variables"]
    assert variables["CI_GITOPS_UPDATE_MESSAGE"] == "ship {app}"
    assert variables["CI_GITOPS_UPDATE_FROM"] == "web.json:api.json"
    assert shown["update-config"]["tags"] == ["linux"]


def yaml_of(page: Path) -> list[str]:
    """The pipelines that a page shows."""
    found = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    return [text for text in found if "ci-templates/" in text or "component:" in text]


PAGES = [(ROOT / "README.md", 0)] + [
    (ROOT / "docs" / "templates.md", number) for number in range(len(yaml_of(ROOT / "docs" / "templates.md")))
]


@pytest.mark.parametrize(("page", "number"), PAGES, ids=lambda value: getattr(value, "name", str(value)))
def test_what_the_pages_show_is_taken(page: Path, number: int) -> None:
    text = yaml_of(page)[number]
    assert list(lint_includes(text)) == []
    for ref in re.findall(r"\bref: (\S+)", text):
        assert ref == f"v{__version__}"


def test_the_readmes_include_is_short_and_is_the_whole_road(tmp_path: Path) -> None:
    text = yaml_of(ROOT / "README.md")[0]
    assert len(text.splitlines()) <= 15
    local = re.sub(r"- project: .*\n *ref: .*\n *file: /", "- local: ", text)
    shown = Project.make(tmp_path / "p", tmp_path / "home", local).preview()
    assert GUARDED | DEPLOYED | AFTER | PLANS | {"merge-ready"} <= set(shown)


def test_the_projects_own_pipeline_uses_them(tmp_path: Path) -> None:
    text = (ROOT / ".gitlab-ci.yml").read_text()
    assert list(lint_includes(text)) == []
    shown = Project.make(tmp_path / "p", tmp_path / "home", text).preview()
    assert {"lint", "test", "build-image", "release", "components", "catalogue"} <= set(shown)
    assert any(line.startswith("ci-gitops build ") for line in shown["build-image"]["script"])


def test_filling_keeps_types_and_quotes() -> None:
    """The tests' own interpolation, as GitLab does it."""
    given = Template("x", "", {"spec": {"inputs": {"a": {"default": [1]}, "b": {"default": True}}}},
                     {"$[[ inputs.b ]]": {"k": ["$[[ inputs.a ]]", "x $[[ inputs.b ]]"]}})  # fmt: skip
    before = copy.deepcopy(given.jobs)
    filled: dict[Any, Any] = given.filled({})
    assert list(filled.values()) == [{"k": [[1], "x true"]}]
    assert given.jobs == before
    assert INPUT.findall("$[[ inputs.a-b ]]") == ["a-b"]
