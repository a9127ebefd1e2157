"""Targets: one app in one environment, and where its files are in the config repository."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: What a name must look like: it becomes a label's value in the cluster and a part of branch names.
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_ENVIRONMENT = "{environment}"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One app in one environment: what is edited, rendered and applied as a unit."""

    app: str
    environment: str
    path: str  # a folder of the repository, or one file (a chart's values)

    def __str__(self) -> str:
        return f"{self.app} in {self.environment}"

    def holds(self, path: str) -> bool:
        """Whether the file `path` is the target's own."""
        return self.path == "." or path == self.path or path.startswith(f"{self.path}/")


def fill(template: str, environment: str) -> str:
    """The path that `template` names in `environment`, without `./` and a final slash."""
    parts = template.replace(_ENVIRONMENT, environment).split("/")
    return "/".join(part for part in parts if part not in ("", ".")) or "."


def with_parents(paths: Iterable[str]) -> frozenset[str]:
    """The files and every folder above them, so that "is this path there" is one look-up."""
    found = {"."}
    for path in paths:
        while path and path not in found:
            found.add(path)
            path = path.rpartition("/")[0]
    return frozenset(found)


def environments_of(template: str, paths: Iterable[str]) -> list[str]:
    """The names that stand at `{environment}` of `template` in the repository's paths."""
    if _ENVIRONMENT not in template:
        return []
    pieces = [re.escape(piece) for piece in fill(template, _ENVIRONMENT).split(_ENVIRONMENT)]
    pattern = re.compile(r"(?P<name>[^/]+)".join((pieces[0], r"(?P=name)".join(pieces[1:]))) + r"(?:/|$)")
    names = {found["name"] for path in paths if (found := pattern.match(path))}
    return sorted(name for name in names if NAME.fullmatch(name))
