"""What GitLab or its users would trip over in a template, and neither GitLab's schema nor a local runner sees.

`python -m tests.rig.template_lint` checks ci-templates/; with files, what they include of it: names of inputs, missing
and impossible ones. Each rule says in its message what to write instead.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.rig.templates import FOLDER, INPUT, Template

#: The oldest GitLab that takes the templates: `retry:exit_codes`, array inputs and `regex` are there without a flag.
FLOOR = (17, 0)
#: Since which version GitLab knows a key, where that is later: a key of a job, of a header or of an input.
_LATER = {
    "manual_confirmation": (17, 1), "run": (17, 10), "component": (18, 6), "include": (18, 6),
    "inputs.rules": (18, 7), "inputs.default: null": (18, 9),
}  # fmt: skip
_GLOBAL = {"default", "image", "variables", "cache", "stages", "workflow", "include", "services", "before_script",
           "after_script"}  # fmt: skip
_TYPES: Mapping[str, type] = {"string": str, "array": list, "number": int, "boolean": bool}
#: Known only while a job runs: a rule that asks for them is always false.
_JOB_ONLY = re.compile(
    r"\$(CI_JOB_\w+|CI_PIPELINE_(ID|URL|IID)|CI_REGISTRY_(USER|PASSWORD)|CI_PROJECT_DIR|CI_GITOPS_\w+)"
)
_WRITERS = ("update", "scan", "promote", "merge", "deploy", "rollback", "preview create", "preview delete",
            "preview prune")  # fmt: skip
_RERUN = ("build", "diff", "verify", "pipeline generate")
_RETRY = {
    "max": 2, "when": ["runner_system_failure", "stuck_or_timeout_failure", "api_failure"], "exit_codes": [75]
}  # fmt: skip
_ACTIONS = {"diff": ("prepare", "verify"), "deploy": ("start",), "verify": ("verify",), "rollback": ("access",),
            "preview create": ("prepare",), "preview delete": ("stop",), "pipeline generate": ("access",)}  # fmt: skip


def lint(template: Template) -> Iterator[str]:
    """What is wrong with one file."""
    yield from _header(template)
    yield from _whole(template)
    for name, job in template.jobs.items():
        for found in _job(template, name, job):
            yield f"{name}: {found}"


def _header(template: Template) -> Iterator[str]:
    if set(template.header) != {"spec"} or set(template.header["spec"]) != {"inputs"}:
        yield "the header holds `spec: inputs` and nothing else"
    for name, spec in template.inputs.items():
        description = str(spec.get("description", ""))
        if not description.endswith(".") or len(description) > 1024:
            yield f"input {name}: a description of at most 1024 characters that ends with a full stop"
        if late := set(spec) - {"description", "default", "type", "options", "regex"}:
            yield f"input {name}: {', '.join(sorted(late))} needs a newer GitLab than {_version(FLOOR)}"
        if "default" in spec and (wrong := impossible(name, spec, spec["default"])):
            yield f"the default of {wrong}"
        if isinstance(spec.get("default"), str) and "$[[" in spec["default"]:
            yield f"input {name}: GitLab does not interpolate a default"


def impossible(name: str, spec: Mapping[str, Any], value: Any) -> str | None:
    """Why GitLab would not take this value for an input."""
    wanted = spec.get("type", "string")
    if wanted not in _TYPES or not isinstance(value, _TYPES[wanted]) or (wanted == "number" and value is True):
        return f"input {name} is no {wanted}: {value!r}"
    if "options" in spec and value not in spec["options"]:
        return f"input {name} is none of {spec['options']}: {value!r}"
    # GitLab's expressions are RE2's, where `$` is the end of the text, and no newline may follow.
    if "regex" in spec and not re.search(re.sub(r"\$$", r"\\Z", spec["regex"]), value):
        return f"input {name} does not match {spec['regex']}: {value!r}"
    return None


def _whole(template: Template) -> Iterator[str]:
    for key in sorted(_GLOBAL & set(template.jobs)):
        yield f"{key}: a global keyword hits the jobs of those who include the file"
    used = set(INPUT.findall(template.text))
    for name in sorted(set(template.inputs) - used):
        yield f"input {name} is used nowhere"
    for name in sorted(used - set(template.inputs)):
        yield f"input {name} is not declared"
    if len(re.findall(r"\$\[\[", template.text)) != len(INPUT.findall(template.text)):
        yield "only plain `$[[ inputs.name ]]` is the same in all versions"
    if found := re.search(r"https?://|gitlab\.com", yaml.safe_dump(template.jobs)):
        yield f"{found[0]}: no host stands in a template, only variables such as $CI_SERVER_FQDN"


def _job(template: Template, name: str, job: Mapping[str, Any]) -> Iterator[str]:
    if not INPUT.search(name):
        yield "its name comes from an input, so that the file can be included twice"
    if "trigger" in job:
        yield from _trigger(job)
        return
    for key in ("stage", "image", "tags", "timeout"):
        if not INPUT.fullmatch(str(job.get(key, ""))):
            yield f"{key} comes from an input"
    for key in sorted({*job} & set(_LATER)):
        if _LATER[key] > FLOOR:
            yield f"{key} needs GitLab {_version(_LATER[key])}; the floor is {_version(FLOOR)}"
    script = job.get("script", [])
    if len(script) != 1 or not script[0].startswith("ci-gitops ") or re.search(r"[;&|<>`]|\$\(", script[0]):
        yield "its script is one call of ci-gitops"
        return
    for each in INPUT.findall(script[0]):
        if not {"options", "regex"} & set(template.inputs.get(each, ())):
            yield f"input {each} reaches the shell: it needs `options` or `regex`"
    yield from _keys(job, _verb(script[0]))
    yield from _rules(template, job)
    yield from _reports(job)


def _trigger(job: Mapping[str, Any]) -> Iterator[str]:
    """A child pipeline: what its jobs do is not this file's matter, when it ends is."""
    if job["trigger"].get("strategy") != "depend" or "resource_group" not in job:
        yield "a trigger waits for its pipeline and holds the resource group meanwhile"
    if not INPUT.fullmatch(str(job.get("stage", ""))):
        yield "stage comes from an input"


def _verb(line: str) -> str:
    words = line.split()[1:3]
    return " ".join(words) if words[0] in ("preview", "pipeline") else words[0]


def _keys(job: Mapping[str, Any], verb: str) -> Iterator[str]:
    if job.get("retry") != _RETRY:
        yield "retry: what is temporary (75) and what the runner failed, nothing else"
    if verb not in (*_WRITERS, *_RERUN):
        yield f"{verb} is neither known to write nor known to be safe to interrupt"
    if job.get("interruptible") is not (verb in _RERUN):
        yield f"interruptible: {str(verb in _RERUN).lower()}"
    if ("resource_group" in job) is not (verb in _WRITERS):
        yield "resource_group: exactly where something is written"
    environment = job.get("environment")
    if verb in _ACTIONS and not environment:
        yield "it needs its environment, for its variables and GitLab's pages"
    if environment and environment.get("action") not in _ACTIONS.get(verb, ()):
        yield f"environment:action is one of {_ACTIONS.get(verb, ())}"
    if environment and not environment.get("deployment_tier"):
        yield "environment:deployment_tier is missing"
    if job.get("variables", {}).get("CI_GITOPS_DIFF_EXIT_CODE") and job.get("allow_failure") != {"exit_codes": [3]}:
        yield "allow_failure: exit_codes: [3] makes drift a warning"


def _rules(template: Template, job: Mapping[str, Any]) -> Iterator[str]:
    if {"only", "except"} & set(job):
        yield "only and except do not mix with rules"
    rules = job.get("rules")
    whole = INPUT.fullmatch(rules) if isinstance(rules, str) else None
    rules = template.inputs[whole[1]].get("default", []) if whole else rules
    if not isinstance(rules, list) or not rules:
        yield "rules: a list, or an input with one"
        return
    if "if" not in rules[-1]:
        yield "rules end with a condition, not with a bare `when`"
    scheduled = [rule for rule in rules if "schedule" in rule.get("if", "")]
    asked = any("merge_request_event" in rule.get("if", "") for rule in rules)
    if not scheduled and not asked:
        yield "rules say what happens in a schedule"
    for rule in rules:
        condition = rule.get("if", "")
        if found := _JOB_ONLY.search(condition):
            yield f"{found[0]} is not known when rules are evaluated"
        for each in re.finditer(r"(.?)\$\[\[ inputs\.([a-z-]+) \]\](.?)", condition):
            quoted = each[1] == each[3] == '"'
            if not quoted and "regex" not in template.inputs.get(each[2], {}):
                yield f"{each[0]}: quote an input in a rule"


def _reports(job: Mapping[str, Any]) -> Iterator[str]:
    """A dotenv file that a command leaves is handed on, and nothing is handed on that nobody writes."""
    written = {str(value) for key, value in job.get("variables", {}).items() if key.endswith("_DOTENV")}
    artifacts = job.get("artifacts", {})
    handed = artifacts.get("reports", {}).get("dotenv")
    if written and handed not in written:
        yield f"artifacts:reports:dotenv is {', '.join(written)}"
    if handed and not written and not (job.get("environment") or {}).get("url"):
        yield f"nothing writes {handed}"
    if handed and (job.get("environment") or {}).get("action") == "stop":
        yield "a job that stops an environment hands no variables on: they would set its address"


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def lint_includes(text: str) -> Iterator[str]:
    """What a pipeline that includes the templates gives them wrong."""
    includes = (yaml.safe_load(text) or {}).get("include", [])
    for include in includes if isinstance(includes, list) else [includes]:
        yield from _include(include)


def _include(include: Any) -> Iterator[str]:
    place = include if isinstance(include, str) else next(
        (str(include[key]) for key in ("local", "file", "remote", "component") if key in include), ""
    )  # fmt: skip
    named = re.search(r"([\w-]+)(?:\.yml)?(?:@[^/]*)?$", place)
    path = FOLDER / f"{named[1]}.yml" if named else FOLDER
    if not path.is_file():
        return
    template, given = Template.load(path), {} if isinstance(include, str) else include.get("inputs", {})
    for name, value in given.items():
        if name not in template.inputs:
            yield f"{path.name} has no input {name}"
        elif wrong := impossible(name, template.inputs[name], value):
            yield f"{path.name}: {wrong}"
    for name, spec in template.inputs.items():
        if "default" not in spec and name not in given:
            yield f"{path.name} needs the input {name}"


def main(files: list[str]) -> int:
    found = [f"{path.name}: {each}" for path in sorted(FOLDER.glob("*.yml")) for each in lint(Template.load(path))]
    found += [f"{file}: {each}" for file in files for each in lint_includes(Path(file).read_text())]
    sys.stdout.writelines(f"{each}\n" for each in found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
