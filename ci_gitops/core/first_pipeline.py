"""The first `.gitlab-ci.yml`: the include of the templates that fits what a repository holds.

| the repository holds | it gets |
|---|---|
| two environments on one branch | the whole road, or its part for the application or the configuration |
| an application alone | the application's part: build and update |
| a branch for each environment | build and update, whose branch decides the environment |
| one environment, or more than two | the jobs one by one: deployments, and a promotion along each step of the way |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ci_gitops.core.first_rules import Choice
from ci_gitops.core.layout import live, place
from ci_gitops.core.starter import TEMPLATES, Findings, flow, written

_PIPELINE, _BUILD, _UPDATE = "pipeline.yml", "build.yml", "update.yml"
_DEPLOY, _PROMOTE = "deploy.yml", "promote.yml"
_STAGES = {
    "all": ["build", "test", "update", "deploy", "verify", "promote"],
    "application": ["build", "test", "update"],
    "configuration": ["test", "update", "deploy", "verify", "promote"],
}
#: By which the templates know our commits, and a person's merge of them.
_OURS = (
    (r"$CI_COMMIT_MESSAGE =~ /\nCi-Gitops-/", "our own commits, and merges of ours"),
    (r"$CI_COMMIT_MESSAGE =~ /^Merge branch .ci-gitops\/.+/", "a merge of ours by a person"),
    ("$CI_COMMIT_AUTHOR =~ /<ci-gitops@/", "whatever else our account commits"),
)
_DEFAULT = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
#: GitLab's kinds of environments, by where they stand on the way to production.
_TIERS = ("development", "development", "testing", "testing", "other", "staging", "staging", "production")


def pipeline_text(found: Findings, version: str) -> str | None:
    """None where there is nothing to build or deploy."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if not found.builds and not found.layout:
        return None
    whole = found.promotes or not found.layout
    document = CommentedMap(_frame(found) if whole else _stages(found))
    document["include"] = CommentedSeq([_road(found, version)] if whole else _jobs(found, version))
    document.yaml_set_start_comment(
        f"Jobs of ci-gitops, written by `ci-gitops init`. `project` is where your GitLab has {TEMPLATES}."
    )
    return written(document)


def _part(found: Findings) -> str:
    if found.shared:
        return "all"
    return "application" if found.builds else "configuration"


def _frame(found: Findings) -> dict[str, Any]:
    """Stages, and one pipeline for a push whether or not a merge request is open."""
    from ruamel.yaml.comments import CommentedMap

    part = _part(found)
    rules = [
        CommentedMap({"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}),
        CommentedMap({"if": "$CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS", "when": "never"}),
        CommentedMap({"if": "$CI_COMMIT_BRANCH"}),
    ]
    workflow = {} if part == "application" else {"workflow": CommentedMap({"rules": rules})}
    return {"stages": flow(_STAGES[part]), **workflow}


def _stages(found: Findings) -> dict[str, Any]:
    """Those that GitLab has by itself are enough where nothing is promoted."""
    return {"stages": flow(["build", "test", "deploy", "promote"])} if _promotions(found) else {}


def _road(found: Findings, version: str) -> Any:
    from ruamel.yaml.comments import CommentedMap

    part = _part(found)
    inputs = CommentedMap({} if part == "all" else {"part": part})
    if found.promotes:
        for role, name in zip(("staging", "production"), found.layout.environments, strict=True):
            if name != role:
                inputs[role] = name
            if _tier(name) != role:
                inputs[f"{role}-tier"] = _tier(name)
            inputs[f"{role}-context"] = ""
            inputs.yaml_add_eol_comment(
                f"where {name} is: a context of KUBECONFIG, or of GitLab's agent (group/project:agent)",
                f"{role}-context", column=4,
            )  # fmt: skip
    elif part == "application":
        inputs["staging"] = "staging"
        inputs.yaml_add_eol_comment("the environment that builds are written to", "staging", column=4)
    return _include(_PIPELINE, version, inputs)


def _jobs(found: Findings, version: str) -> Iterator[Any]:
    names = found.layout.environments
    if found.builds:
        rules = {"rules": _guards(found)}
        first = {} if found.branches else {"environment": names[0]}  # else the branch says which
        yield _include(_BUILD, version, rules)
        yield _include(_UPDATE, version, {**first, **rules})
    if found.builds and (found.branches or len(names) == 1):
        return
    for choice in found.choices:
        yield _include(_DEPLOY, version, _deployment(choice.environment))
    for choice in _promotions(found):
        yield _include(_PROMOTE, version, _promotion(choice))


def _promotions(found: Findings) -> list[Choice]:
    """The steps of the way that are reviewed; none where each branch has an environment."""
    if found.branches:
        return []
    return [choice for choice in found.choices if choice.source and choice.write == "merge-request"]


def _include(file: str, version: str, inputs: dict[str, Any]) -> Any:
    from ruamel.yaml.comments import CommentedMap

    place = {"project": TEMPLATES, "ref": f"v{version}", "file": f"/ci-templates/{file}"}
    kept = inputs if isinstance(inputs, CommentedMap) else CommentedMap(inputs)
    return CommentedMap({**place, **({"inputs": kept} if inputs else {})})


def _tier(environment: str) -> str:
    """What kind of environment GitLab is told that it is; `other` where its name does not say."""
    if live(environment):
        return "production"
    where = place(environment)
    return "other" if where is None else _TIERS[where]


def _deployment(environment: str) -> dict[str, Any]:
    from ruamel.yaml.comments import CommentedMap

    rule = CommentedMap({"if": _DEFAULT, "when": "manual", "allow_failure": True})
    rule.yaml_add_eol_comment("take it out once `destination` is in .ci-gitops.yaml", "when", column=4)
    named = {"job-name": f"deploy-{environment}", "environment": environment}
    return {**named, "tier": _tier(environment), "rules": [rule]}


def _promotion(choice: Choice) -> dict[str, Any]:
    """By hand too: what is promoted is what runs in the environment before, once something is deployed there."""
    from ruamel.yaml.comments import CommentedMap

    rule = CommentedMap({"if": _DEFAULT, "when": "manual", "allow_failure": True})
    rule.yaml_add_eol_comment(f"take it out to ask for a merge as soon as {choice.source} is well", "when", column=4)
    named = {"job-name": f"promote-to-{choice.environment}", "to": choice.environment}
    return {**named, "stage": "promote", "rules": [rule]}


def _guards(found: Findings) -> Any:
    """Rules by which neither our commits nor a merge of them builds the application again."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    ours = []
    for condition, about in _OURS:
        rule = CommentedMap({"if": condition, "when": "never"})
        rule.yaml_add_eol_comment(about, "if", column=4)
        ours.append(rule)
    branches = [branch for names in found.branches.values() for branch in names]
    run = CommentedMap({"if": " || ".join(f'$CI_COMMIT_BRANCH == "{branch}"' for branch in branches)})
    if not branches:
        run = CommentedMap({"if": _DEFAULT})
    if all(path.startswith(".") for path in found.layout.apps.values()):
        run["changes"] = flow(["*", "[^.]*/**/*"])
        run.yaml_add_eol_comment("not for a change of the configuration alone", "changes", column=4)
    rules = CommentedSeq([*ours, CommentedMap({"if": '$CI_PIPELINE_SOURCE == "schedule"', "when": "never"}), run])
    rules.yaml_set_anchor("builds")  # both jobs have them
    return rules
