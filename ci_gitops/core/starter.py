"""The first files of a config repository: what its layout shows, written down with comments for its people."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.first_rules import Choice, choices
from ci_gitops.core.layout import Layout, detect, likely

TEMPLATES = "ci-gitops/ci-gitops"
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

_LIKELY = """\
None of the usual layouts was found here. These folders look like environments: if they are, take the lines over.

"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look at the repository showed."""

    layout: Layout
    builds: bool  # there is something to build an image from
    likely: Layout  # the same; where there is none, what looks like one

    @property
    def shared(self) -> bool:
        """Application and configuration are in one repository: a commit of ours must start no build."""
        return self.builds and bool(self.layout)

    @property
    def promotes(self) -> bool:
        """Two environments on one branch: what ran well in the first is promoted to the second."""
        return len(self.layout.environments) == 2 and not self.branches

    @property
    def branches(self) -> dict[str, list[str]]:
        """Environment -> the branches whose builds update it, where application and configuration share branches."""
        usual = {"staging": ["staging"], "production": ["main"]}
        return {name: usual[name] for name in self.layout.environments if name in usual} if self.layout.own else {}

    @property
    def choices(self) -> tuple[Choice, ...]:
        """How each environment is written."""
        return choices(self.layout.environments, tuple(self.branches))


def look(paths: Iterable[str], repository: str) -> Findings:
    """What the files of a repository with this last name show."""
    files = frozenset(paths)
    builds = any(re.fullmatch(r"(.*/)?(Dockerfile|Containerfile)(\..+)?", path) for path in files)
    layout = detect(files, repository)
    return Findings(layout, builds, layout or likely(files, repository))


def schema_line(server: str, version: str) -> str:
    """By what editors complete the file: the schema beside the templates, at the version that writes this."""
    return f"yaml-language-server: $schema={server}/{TEMPLATES}/-/raw/v{version}/docs/schema/ci-gitops.schema.json"


def config_text(found: Findings, schema: str) -> str:
    """A first `.ci-gitops.yaml`; `schema` is its first line."""
    from ruamel.yaml.comments import CommentedMap

    document = CommentedMap({"version": 1})
    document.yaml_set_start_comment(f"{schema}\n{_HEAD}")
    if not found.layout:
        return f"{written(document)}\n{_commented(_LIKELY + _seen(found.likely) if found.likely else _NOTHING)}"
    document["apps"] = CommentedMap({name: CommentedMap({"path": path}) for name, path in found.layout.apps.items()})
    chosen = found.choices
    before: dict[str, str | None] = dict(zip(found.layout.environments[1:], found.layout.environments, strict=False))
    document["environments"] = CommentedMap(
        {choice.environment: _environment(found, choice, before.get(choice.environment)) for choice in chosen}
    )
    order = "In promotion order" if all(choice.said for choice in chosen) else "To be put in promotion order"
    document.yaml_set_comment_before_after_key("environments", before=f"\n{order}.")
    return written(document)


def _seen(layout: Layout) -> str:
    apps = [f"  {name}:\n    path: {path}" for name, path in layout.apps.items()]
    rules = [f"  {choice.environment}: {{write: {choice.write}}}" for choice in choices(layout.environments)]
    return "\n".join(["apps:", *apps, "environments:", *rules])


def _environment(found: Findings, choice: Choice, before: str | None) -> Any:
    from ruamel.yaml.comments import CommentedMap

    environment = CommentedMap()
    if branches := found.branches.get(choice.environment):
        environment["sourceBranches"] = flow(branches)
        environment.yaml_add_eol_comment("builds of these branches update it", "sourceBranches", column=4)
    if choice.source and choice.source != before:
        environment["from"] = choice.source
        environment.yaml_add_eol_comment("where promotions come from", "from", column=4)
    environment["write"] = choice.write
    environment.yaml_add_eol_comment(_about(choice), "write", column=4)
    return environment


def _about(choice: Choice) -> str:
    if choice.write == "push":
        return f"{choice.why}; or merge-request, for a review first"
    return f"{choice.why}: what comes is reviewed first; or push"


def flow(items: Sequence[str]) -> Any:
    from ruamel.yaml.comments import CommentedSeq

    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence


def written(document: Any) -> str:
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = 1000  # a long path stays on its line
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    writer.dump(document, stream)
    return stream.getvalue()


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
