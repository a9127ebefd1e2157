"""The whole of `.ci-gitops.yaml`, and its JSON Schema for editors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PrivateAttr

from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.settings.apps import App
from ci_gitops.settings.document import Document
from ci_gitops.settings.environments import Environment, Previews, RepositoryPlace
from ci_gitops.settings.values import Line, Model, Name

FILE_NAME = CONFIG_FILE


class Render(Model):
    """How manifests are rendered."""

    sandbox: Literal["best", "require", "off"] = Field(
        "best",
        description="The box around renderers: best takes what the machine allows, require refuses less than all.",
    )


class Config(Model):
    """The configuration of a config repository."""

    version: Literal[1] = Field(1, description="The version of this format.")
    name: Line | None = Field(None, description="Who owns what in a cluster. Default: host and path of the repository.")
    repository: RepositoryPlace | None = Field(
        None, description="Only in an application's own file: where the config repository is."
    )
    forge: Literal["gitlab", "github", "local"] | None = Field(
        None, description="Where merge requests are. Default: local for a folder, else the CI system's own."
    )
    apps: dict[Name, App] = Field({}, description="The apps by name. Default: as detected from the usual layouts.")
    environments: dict[Name, Environment] = Field(
        {}, description="The environments by name, in promotion order. Default: as detected."
    )
    render: Render = Field(default_factory=Render.model_construct, description="How manifests are rendered.")
    previews: Previews | None = Field(None, description="Environments of their own for merge requests.")
    _document: Document | None = PrivateAttr(None)

    def remember(self, document: Document) -> None:
        """Where the settings were read from, for messages about them later."""
        self._document = document

    def place(self, *path: str | int) -> str | None:
        """`file:line` of the setting; None where the file does not give it."""
        if self._document is None or path not in self._document.values:
            return None
        return f"{self._document.file}:{self._document.place(path, key=True).line}"

    @property
    def file(self) -> str | None:
        return self._document.file if self._document else None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, as published."""
    schema = _tidy(Config.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ci-gitops configuration", **schema}


def _tidy(node: Any) -> Any:
    """Without the titles that pydantic makes of names, which editors would show instead of the descriptions."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidied = {key: _tidy(item) for key, item in node.items() if not (key == "title" and isinstance(item, str))}
    for pattern, entry in tidied.get("patternProperties", {}).items():
        # `staging:` without a value is an entry with all defaults; other names are refused.
        tidied["patternProperties"] = {pattern: {"anyOf": [entry, {"type": "null"}]}}
        tidied["additionalProperties"] = False
    return tidied
