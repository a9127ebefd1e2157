"""The first files of a config repository: what its layout shows, written down with comments for its people."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.layout import Layout, detect

BUILD, UPDATE, DEPLOY = "build.yml", "update.yml", "deploy.yml"
_MARK = "Ci-Gitops-"  # how the trailers of our commits begin
_TEMPLATES = "ci-gitops/ci-gitops"
_HEAD = """\
ci-gitops: what is deployed where. Written by `ci-gitops init`; everything left out has its default.
`ci-gitops config show` lists the settings in force, `ci-gitops config schema` is for editors."""
_NOTHING = """\
None of the usual layouts was found here. In an application's repository, say where the configuration is:

repository: {url: https://git.example.com/group/config.git}

In a config repository, say where apps and environments are:

apps:
  shop:
    path: apps/shop/{environment}
environments:
  staging:
  production:"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look at the repository showed."""

    layout: Layout
    builds: bool  # there is something to build an image from

    @property
    def shared(self) -> bool:
        """Application and configuration are in one repository: a commit of ours must start no build."""
        return self.builds and bool(self.layout)

    @property
    def branches(self) -> dict[str, list[str]]:
        """Environment -> the branches whose builds update it, where application and configuration share branches."""
        usual = {"staging": ["staging"], "production": ["main"]}
        return {name: usual[name] for name in self.layout.environments if name in usual} if self.layout.own else {}


def look(paths: Iterable[str], repository: str) -> Findings:
    """What the files of a repository with this last name show."""
    files = frozenset(paths)
    builds = any(re.fullmatch(r"(.*/)?(Dockerfile|Containerfile)(\..+)?", path) for path in files)
    return Findings(detect(files, repository), builds)


def schema_line(server: str, version: str) -> str:
    """By what editors complete the file: the schema beside the templates, at the version that writes this."""
    return f"yaml-language-server: $schema={server}/{_TEMPLATES}/-/raw/v{version}/docs/schema/ci-gitops.schema.json"


def config_text(found: Findings, schema: str) -> str:
    """A first `.ci-gitops.yaml`; `schema` is its first line."""
    from ruamel.yaml.comments import CommentedMap

    document = CommentedMap({"version": 1})
    document.yaml_set_start_comment(f"{schema}\n{_HEAD}")
    if not found.layout:
        return f"{_written(document)}\n{_commented(_NOTHING)}"
    document["apps"] = CommentedMap({name: CommentedMap({"path": path}) for name, path in found.layout.apps.items()})
    environments = CommentedMap({name: _environment(found, name) for name in found.layout.environments})
    document["environments"] = environments
    document.yaml_set_comment_before_after_key("environments", before="\nIn promotion order.")
    return _written(document)


def _environment(found: Findings, name: str) -> Any:
    from ruamel.yaml.comments import CommentedMap

    environment = CommentedMap()
    if branches := found.branches.get(name):
        environment["sourceBranches"] = _flow(branches)
        environment.yaml_add_eol_comment("builds of these branches update it", "sourceBranches", column=4)
    environment["write"] = "push"
    environment.yaml_add_eol_comment("or merge-request, for a review first", "write", column=4)
    return environment


def pipeline_text(found: Findings, version: str) -> str | None:
    """A first `.gitlab-ci.yml`: the jobs of the templates, with guards where our commits would start builds.

    None where there is nothing to build or deploy.
    """
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    includes = _includes(found, version)
    if not includes:
        return None
    document = CommentedMap({"include": CommentedSeq(includes)})
    document.yaml_set_start_comment(
        f"Jobs of ci-gitops, written by `ci-gitops init`. `project` is where your GitLab has {_TEMPLATES}."
    )
    return _written(document)


def _includes(found: Findings, version: str) -> list[Any]:
    if found.builds:
        return [_include(file, version, {"rules": _guards(found)} if found.shared else {}) for file in (BUILD, UPDATE)]
    return [_include(DEPLOY, version, _deployment(name)) for name in found.layout.environments]


def _include(file: str, version: str, inputs: dict[str, Any]) -> Any:
    from ruamel.yaml.comments import CommentedMap

    place = {"project": _TEMPLATES, "ref": f"v{version}", "file": f"/ci-templates/{file}"}
    return CommentedMap({**place, **({"inputs": CommentedMap(inputs)} if inputs else {})})


def _deployment(environment: str) -> dict[str, Any]:
    from ruamel.yaml.comments import CommentedMap

    rule = CommentedMap({"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH", "when": "manual", "allow_failure": True})
    rule.yaml_add_eol_comment("take it out once `destination` is in .ci-gitops.yaml", "when", column=4)
    tiers = {"production": "production", "prod": "production", "staging": "staging", "stage": "staging"}
    tier = tiers.get(environment, "testing" if "test" in environment else "development")
    return {"job-name": f"deploy-{environment}", "environment": environment, "tier": tier, "rules": [rule]}


def _guards(found: Findings) -> list[Any]:
    """Rules by which neither our commits nor a merge of them builds the application again."""
    from ruamel.yaml.comments import CommentedMap

    trailer = CommentedMap({"if": rf"$CI_COMMIT_MESSAGE =~ /\n{_MARK}/", "when": "never"})
    trailer.yaml_add_eol_comment("a commit of ci-gitops itself", "if", column=4)
    branches = [branch for names in found.branches.values() for branch in names]
    run = CommentedMap({"if": " || ".join(f'$CI_COMMIT_BRANCH == "{branch}"' for branch in branches)})
    if not branches:
        run = CommentedMap({"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"})
    if all(path.startswith(".") for path in found.layout.apps.values()):
        run["changes"] = _flow(["*", "[^.]*/**/*"])
        run.yaml_add_eol_comment("not for a change of the configuration alone", "changes", column=4)
    return [trailer, CommentedMap({"if": '$CI_PIPELINE_SOURCE == "schedule"', "when": "never"}), run]


def _flow(items: Sequence[str]) -> Any:
    from ruamel.yaml.comments import CommentedSeq

    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence


def _written(document: Any) -> str:
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = 120
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    writer.dump(document, stream)
    return stream.getvalue()


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
