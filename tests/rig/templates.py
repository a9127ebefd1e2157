"""The CI templates as data: header, jobs, and what stands there once the inputs are in place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "ci-templates"
#: One input, as GitLab interpolates it. Functions (`| expand_vars`) are not used: what they do depends on the version.
INPUT = re.compile(r"\$\[\[ inputs\.([a-z-]+) \]\]")


@dataclass(frozen=True)
class Template:
    """One file of ci-templates/."""

    name: str
    text: str
    header: dict[str, Any]
    jobs: dict[str, dict[str, Any]]

    @classmethod
    def load(cls, path: Path) -> Template:
        text = path.read_text()
        header, jobs = yaml.safe_load_all(text)
        return cls(path.stem, text, header, jobs)

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.header["spec"]["inputs"]
        return found

    @property
    def about(self) -> str:
        """The comment that the file begins with."""
        lines = self.text.splitlines()
        return " ".join(line[2:] for line in lines[: next(i for i, line in enumerate(lines) if line[:1] != "#")])

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The jobs with these inputs, and defaults for the others, in place."""
        known = {name: values.get(name, spec.get("default")) for name, spec in self.inputs.items()}
        done = fill(self.jobs, known)
        assert isinstance(done, dict)
        return done


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yml"))


def template(name: str) -> Template:
    return Template.load(FOLDER / f"{name}.yml")


def fill(value: Any, inputs: Mapping[str, Any]) -> Any:
    """A whole value keeps the input's type, a part of one becomes text."""
    if isinstance(value, dict):
        return {fill(key, inputs): fill(item, inputs) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, inputs) for item in value]
    if not isinstance(value, str):
        return value
    whole = INPUT.fullmatch(value)
    if whole:
        return inputs[whole[1]]
    return INPUT.sub(lambda found: _text(inputs[found[1]]), value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
