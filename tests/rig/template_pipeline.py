"""ci-templates/pipeline.yml, made of the single templates by `python -m tests.rig.template_pipeline`; a test compares.

It holds the jobs themselves and includes nothing: a file that is included by `remote` has no project in which GitLab
would look for others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tests.rig.templates import FOLDER, Template, template

FILE = FOLDER / "pipeline.yml"
_ABOUT = """\
# The whole road in one include: build -> your tests -> update -> deploy -> verify -> promotion by merge request, a plan
# on merge requests, drift and deployments from a schedule, rollback by hand. For one repository, or for two.
# Made of the other templates by `python -m tests.rig.template_pipeline`: change those.
"""
Rules = Sequence[Mapping[str, Any]]


def _input(name: str) -> str:
    return f"$[[ inputs.{name} ]]"


_PUSH = f"$CI_COMMIT_BRANCH =~ {_input('branches')}"
_MERGE_REQUEST = '$CI_PIPELINE_SOURCE == "merge_request_event"'
_SCHEDULE = '$CI_PIPELINE_SOURCE == "schedule"'
_BUILDS = f'"{_input("part")}" != "configuration"'
_DEPLOYS = f'"{_input("part")}" != "application"'
_PREVIEWS = f'"{_input("previews")}" == "true"'
_SCANS = f'"{_input("scan")}" == "true"'
#: Our own commits, and schedules.
_GUARDS: list[dict[str, Any]] = [
    rule for rule in template("update").inputs["rules"]["default"] if rule.get("when") == "never"
]
_NO_SCHEDULE = {"if": _SCHEDULE, "when": "never"}
_BY_HAND = {"when": "manual", "allow_failure": True}


def _if(*conditions: str, **more: Any) -> dict[str, Any]:
    return {"if": " && ".join(conditions), **more}


_FREEZE = [
    _if("$CI_DEPLOY_FREEZE", _SCHEDULE, when="never"),
    _if("$CI_DEPLOY_FREEZE", _DEPLOYS, _PUSH, **_BY_HAND),
]
_AFTER_A_PUSH = [_NO_SCHEDULE, _if(_DEPLOYS, _PUSH)]
_SCHEDULED = [_if(_DEPLOYS, _SCHEDULE)]
_PREVIEW = [*_GUARDS, _if(_PREVIEWS, _BUILDS, _MERGE_REQUEST)]


def _of(environment: str) -> dict[str, Any]:
    return {
        "environment": _input(environment),
        "tier": _input(f"{environment}-tier"),
        "context": _input(f"{environment}-context"),
    }


def _needs(*jobs: str) -> dict[str, Any]:
    """One environment's trouble does not keep the other one's jobs from running."""
    return {"needs": [{"job": f"{_input('prefix')}{job}", "optional": True} for job in jobs]}


#: (template, job, stage, its inputs, keys of the job besides)
_Wire = tuple[str, str, str, dict[str, Any], dict[str, Any]]


def _wires() -> list[_Wire]:
    both = ("staging", "production")
    images = {name: _input(name) for name in ("context", "image")}
    build = [*_GUARDS, _if(_BUILDS, _PUSH), _if(_PREVIEWS, _BUILDS, _MERGE_REQUEST)]
    update = [*_GUARDS, _if(_BUILDS, _PUSH)]
    repo = {"repo": _input("repo")}
    preview = {
        **repo, "context": _input("staging-context"), "name": _input("preview-name"), "rules": _PREVIEW,
        "stop-rules": [*_GUARDS, _if(_PREVIEWS, _BUILDS, _MERGE_REQUEST, **_BY_HAND)],
        "prune-rules": [_if(_PREVIEWS, _DEPLOYS, _SCHEDULE)],
    }  # fmt: skip
    planned = [_if(_DEPLOYS, _MERGE_REQUEST)]
    deployed = {"rules": [*_FREEZE, _if(_DEPLOYS, _PUSH)], "rollback-on-failure": _input("rollback-on-failure")}
    verified = {"rules": [_NO_SCHEDULE, {"if": "$CI_DEPLOY_FREEZE", "when": "never"}, _if(_DEPLOYS, _PUSH)]}
    by_hand = {"rules": [_NO_SCHEDULE, _if(_DEPLOYS, _PUSH, **_BY_HAND)]}
    return [
        ("build", "build-image", "build", {**images, "engine": _input("engine"), "services": _input("services"),
                                           "rules": build}, {}),
        ("update", "update-config", "update", {**repo, "environment": _input("staging"), "rules": update}, {}),
        ("scan", "scan-registries", "update", {**repo, "environment": _input("staging"),
                                               "rules": [_if(_SCANS, _DEPLOYS, _SCHEDULE)]}, {}),
        *(("plan", f"plan-{name}", "plan", {**_of(name), "rules": planned}, {}) for name in both),
        *(("drift", f"drift-{name}", "plan", {**_of(name), "rules": _SCHEDULED}, {}) for name in both),
        *(("deploy", f"deploy-{name}", "deploy", {**_of(name), **deployed}, {}) for name in both),
        *(("verify", f"verify-{name}", "verify", {**_of(name), **verified},
           _needs(f"deploy-{name}", "update-config")) for name in both),
        ("promote", "promote", "promote", {**repo, "from": _input("staging"), "to": _input("production"),
                                           "context": _input("staging-context"), "rules": _AFTER_A_PUSH},
         _needs("verify-staging")),
        ("merge", "merge-ready", "update", {**repo, "environment": _input("production"), "rules": _SCHEDULED}, {}),
        *(("rollback", f"rollback-{name}", "promote", {**_of(name), **repo, **by_hand}, {"needs": []})
          for name in both),
        ("preview", "preview", "deploy", preview, {}),
    ]  # fmt: skip


def _jobs() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, job, stage, values, more in _wires():
        common = {each: _input(each) for each in ("cli-image", "tags", "timeout")}
        given = {"job-name": f"{_input('prefix')}{job}", "stage": _input(f"{stage}-stage"), **common, **values}
        for made, body in template(name).filled(given).items():
            variables = {key: value for key, value in body["variables"].items() if value != ""}
            found[made] = {**body, "variables": variables, "script": [line.strip() for line in body["script"]], **more}
    return found


def _same(name: str, of: str, **changed: Any) -> dict[str, Any]:
    """An input as another template has it."""
    return {**template(of).inputs[name], **changed}


def _inputs() -> dict[str, Any]:
    stages = {"build": "build", "plan": "test", "update": "update", "deploy": "deploy", "verify": "verify",
              "promote": "promote"}  # fmt: skip
    what = {"build": "the image", "plan": "plans and drift", "update": "writing to the config repository",
            "deploy": "deployments", "verify": "waiting for health", "promote": "promotion and rollback"}  # fmt: skip
    return {
        "part": {
            "description": "`all` for application and configuration in one repository; with two, `application` in "
            "the one and `configuration` in the other.",
            "options": ["all", "application", "configuration"],
            "default": "all",
        },
        "repo": {
            "description": "Address of the config repository, for `application`. Empty for this project.",
            "default": "",
        },
        "branches": {
            "description": "Branches whose pushes go the road, as a regular expression between slashes.",
            "regex": r"^/[^/\s\"']+/$",
            "default": "/^(main|master)$/",
        },
        "prefix": {"description": "What the names of the jobs begin with.", "default": ""},
        **{name: _same(name, "deploy") for name in ("cli-image",)},
        "tags": _same("tags", "deploy", description="Tags of the runners that may take the jobs. `default: tags` of "
                      "your own file does not reach them."),
        **{f"{stage}-stage": {"description": f"Stage of {what[stage]}.", "default": name}
           for stage, name in stages.items()},
        **{name: _same(name, "build") for name in ("context", "image", "engine", "services")},
        **_environment_inputs("staging"),
        **_environment_inputs("production"),
        "rollback-on-failure": _same("rollback-on-failure", "deploy"),
        "scan": {"description": "Whether schedules look at registries too.", "type": "boolean", "default": False},
        "previews": {
            "description": "Whether merge requests get an environment of their own; the configuration needs "
            "`previews`.",
            "type": "boolean",
            "default": False,
        },
        "preview-name": _same("name", "preview"),
        "timeout": _same("timeout", "preview"),
    }  # fmt: skip


def _environment_inputs(name: str) -> dict[str, Any]:
    after = "that builds are written to" if name == "staging" else "that builds are promoted to"
    return {
        name: {"description": f"Environment {after}.", "default": name},
        f"{name}-tier": _same("tier", "deploy", default=name, description=f"What kind of environment {name} is, for "
                              "GitLab's pages and figures."),
        f"{name}-context": _same("context", "deploy"),
    }  # fmt: skip


class _Lines(yaml.SafeDumper):
    """Without anchors: every job stands for itself."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text() -> str:
    """The file as it should be."""
    documents = ({"spec": {"inputs": _inputs()}}, _jobs())
    dumped = (yaml.dump(each, Dumper=_Lines, sort_keys=False, width=1000, allow_unicode=True) for each in documents)
    return _ABOUT + "---\n".join(dumped)


def made() -> Template:
    return Template.load(FILE)


if __name__ == "__main__":
    FILE.write_text(text())
