"""The CI templates: rules of GitLab's component catalogue, GitLab's schema, and a real run in a local runner."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops import __version__
from ci_gitops.commands import COMMANDS
from ci_gitops.commands.common import GitopsOption
from tests.rig.git_server import GitServer
from tests.rig.parts import program

FOLDER = Path(__file__).parents[1] / "ci-templates"
TEMPLATES = sorted(path.stem for path in FOLDER.glob("*.yml"))
GLOBAL = {"default", "image", "variables", "cache", "stages", "workflow", "include", "services", "before_script"}


def load(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, body = yaml.safe_load_all((FOLDER / f"{name}.yml").read_text())
    return header, body


def job(name: str) -> dict[str, Any]:
    (found,) = load(name)[1].values()
    assert isinstance(found, dict)
    return found


def interpolated(name: str, **inputs: Any) -> Any:
    """The body with its inputs in place: a whole value keeps its type, a part of one becomes text."""
    header, body = load(name)
    declared = header["spec"]["inputs"]
    values = {key: inputs.get(key, spec.get("default", "x")) for key, spec in declared.items()}

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {fill(key): fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        if not isinstance(value, str):
            return value
        whole = re.fullmatch(r"\$\[\[ inputs\.([a-z-]+) \]\]", value)
        if whole:
            return values[whole[1]]
        return re.sub(r"\$\[\[ inputs\.([a-z-]+) \]\]", lambda found: str(values[found[1]]), value)

    return fill(body)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_header_declares_inputs_and_nothing_else(name: str) -> None:
    header, body = load(name)
    assert set(header) == {"spec"}
    assert set(header["spec"]) == {"inputs"}
    for key, spec in header["spec"]["inputs"].items():
        assert spec["description"].endswith("."), key
        assert len(spec["description"]) <= 1024
        assert set(spec) <= {"description", "default", "type", "options", "regex"}
        if "options" in spec and "default" in spec:
            assert spec["default"] in spec["options"]
    used = set(re.findall(r"\$\[\[ inputs\.([a-z-]+) \]\]", (FOLDER / f"{name}.yml").read_text()))
    assert used == set(header["spec"]["inputs"])
    assert not GLOBAL & set(body), "global keywords hit the user's other jobs"


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_body_is_one_job_with_one_call(name: str) -> None:
    template = job(name)
    (line,) = template["script"]
    assert line.startswith(f"ci-gitops {name} ")
    assert template["retry"]["exit_codes"] == [75]
    assert template["interruptible"] is (name == "build")
    assert ("resource_group" in template) is (name != "build")


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_variables_are_options_of_the_command(name: str) -> None:
    command = import_module(f"ci_gitops.commands.{COMMANDS[name][0]}").cli
    prefix = f"CI_GITOPS_{name.upper()}"
    options = [parameter for parameter in command.params if isinstance(parameter, GitopsOption)]
    known = {variable for option in options for variable in option.variables(prefix)}
    assert {variable for variable in job(name)["variables"] if variable.startswith(prefix)} <= known


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_default_image_is_of_this_version(name: str) -> None:
    image = load(name)[0]["spec"]["inputs"]["cli-image"]["default"]
    assert image.endswith(f":{__version__}")


@pytest.mark.parametrize("name", TEMPLATES)
def test_gitlabs_schema_takes_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text(yaml.safe_dump(interpolated(name, environment="staging")))
    checker = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci")
    words = [*checker, "--data-transform", "gitlab-ci", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def local_runner(folder: Path, pipeline: str, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run gitlab-ci-local on a repository with the templates and this `.gitlab-ci.yml`."""
    runner = program("gitlab-ci-local", "`make parts` installs it where there is npm")
    (folder / "ci-templates").mkdir()
    for template in FOLDER.iterdir():
        (folder / "ci-templates" / template.name).write_bytes(template.read_bytes())
    (folder / ".gitlab-ci.yml").write_text(pipeline)
    for words in (
        ("init", "-q", "-b", "main"),
        ("remote", "add", "origin", "https://gitlab.example.com/shop/web.git"),
        ("add", "-A"),
        ("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "Start"),
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    words = [runner, *arguments]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PIPELINE = """
stages: [build, update, deploy]
include:
  - local: ci-templates/build.yml
    inputs: {engine: buildah}
  - local: ci-templates/update.yml
    inputs: {job-name: update-staging, stage: update, environment: staging, write: push}
  - local: ci-templates/update.yml
    inputs: {job-name: update-production, stage: update, environment: production, write: merge-request}
  - local: ci-templates/deploy.yml
    inputs: {environment: staging, tier: staging}
"""


def test_a_pipeline_includes_them_with_inputs(tmp_path: Path) -> None:
    shown = yaml.safe_load(local_runner(tmp_path, PIPELINE, "--preview"))
    assert {"build-image", "update-staging", "update-production", "deploy"} <= set(shown)
    assert shown["build-image"]["variables"]["CI_GITOPS_BUILD_ENGINE"] == "buildah"
    assert shown["update-production"]["variables"]["CI_GITOPS_UPDATE_WRITE"] == "merge-request"
    assert shown["deploy"]["environment"]["deployment_tier"] == "staging"


def test_the_jobs_stand_in_their_stages_and_run_on_a_push(tmp_path: Path) -> None:
    listed = local_runner(tmp_path, PIPELINE, "--list-csv")
    stages = {line.split(";")[0]: line.split(";")[2] for line in listed.splitlines()[1:]}
    assert stages == {
        "build-image": "build",
        "update-staging": "update",
        "update-production": "update",
        "deploy": "deploy",
    }


def test_the_projects_own_pipeline_is_valid(tmp_path: Path) -> None:
    pipeline = (FOLDER.parent / ".gitlab-ci.yml").read_text()
    shown = yaml.safe_load(local_runner(tmp_path, pipeline, "--preview"))
    assert {"test", "build-image"} <= set(shown)


def test_the_readmes_pipeline_is_valid(tmp_path: Path) -> None:
    text = (FOLDER.parent / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    assert len(text.splitlines()) <= 15
    assert text.count(f"ref: v{__version__}") == text.count("- project:")
    local = re.sub(r"- project: .*\n *ref: .*\n *file: /", "- local: ", text)
    shown = yaml.safe_load(local_runner(tmp_path, local, "--preview"))
    assert {"build-image", "update-config", "deploy"} <= set(shown)


ROAD = """
stages: [update, deploy]
include:
  - local: ci-templates/update.yml
    inputs: {stage: update, images: "registry.example.com/web:1.1", environment: staging, repo: REPO}
  - local: ci-templates/deploy.yml
    inputs: {environment: staging, tier: staging, repo: REPO, args: "--destination dir:live"}
"""
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: registry.example.com/web:1.0}]}
"""


def test_the_jobs_really_do_it_and_hand_the_commit_on(tmp_path: Path, git_server: GitServer) -> None:
    url = git_server.create("config", {"environments/staging/web/pod.yaml": MANIFEST.encode()})
    program_folder = tmp_path / "bin"
    program_folder.mkdir()
    script = program_folder / "ci-gitops"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{FOLDER.parent}" exec "{sys.executable}" -P -m ci_gitops "$@"\n')
    script.chmod(0o755)
    job = tmp_path / "job"
    job.mkdir()
    local_runner(
        job, ROAD.replace("REPO", url), "--force-shell-executor", "--shell-isolation",
        "--variable", f"CI_GITOPS_TOKEN={git_server.password}",
        environment={**os.environ, "PATH": f"{program_folder}:{os.environ['PATH']}", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert b"image: registry.example.com/web:1.1" in git_server.read("config", "environments/staging/web/pod.yaml")
    (written,) = job.rglob("live/staging/web/v1_pod_web.yaml")
    assert "registry.example.com/web:1.1" in written.read_text()
