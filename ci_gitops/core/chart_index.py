"""The `index.yaml` of a chart repository: the versions of one chart in it.

https://helm.sh/docs/topics/chart_repository/#the-index-file
An index of ten thousand versions is twenty megabytes of YAML, of which a chart's own are a few kilobytes: they are cut
out by their indentation, and only they are parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ci_gitops.core.scanning import Facts, seconds_of
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.yamldepth import must_be_shallow
from ci_gitops.core.yamlload import load
from ci_gitops.errors import RegistryError

_MOST_WHOLE = 4 * 1024 * 1024  # bytes of an index that is parsed as a whole
_MOST_VERSIONS = 20_000
_ENTRIES = re.compile(rb"(?m)^entries:[ \t]*(?:#.*)?\r?$")
_INDENT = re.compile(rb"(?m)^( *)(?=[^ \t\r\n#])")
_JSON = re.compile(rb'\s*\{\s*"')
_KEY = re.compile(rb"(?m)^( +)[\"']?([A-Za-z0-9][\w.-]*)[\"']?:[ \t]*\r?$")


@dataclass(frozen=True, slots=True)
class ChartVersion:
    """One version; `created` in seconds since the epoch, where the index says it."""

    version: str
    created: float | None = None

    @property
    def facts(self) -> Facts:
        return Facts(created=self.created)


def versions_in(index: bytes, chart: str, where: str) -> tuple[ChartVersion, ...]:
    """RegistryError where it is no index, or has no such chart."""
    entries = _entries(index, chart, where)
    if chart not in entries:
        names = entries or {found[2].decode(): None for found in _KEY.finditer(index)}
        raise RegistryError(
            f"The index of {where} has no chart {chart!r}.", hint=did_you_mean(chart, list(names), "Charts there")
        )
    found = entries[chart]
    if not isinstance(found, list):
        raise RegistryError(f"The index of {where} holds no list of versions of {chart}.")
    return tuple(
        ChartVersion(str(each["version"]), seconds_of(str(each.get("created") or "")))
        for each in found[:_MOST_VERSIONS]
        if isinstance(each, Mapping) and isinstance(each.get("version"), str | int | float)
    )


def _entries(index: bytes, chart: str, where: str) -> Mapping[str, Any]:
    cut = _cut(index, chart)
    if cut is not None:
        try:
            found = _loaded(cut)
        except (yaml.YAMLError, ValueError, RecursionError):
            found = None  # its anchors are elsewhere, for one
        if isinstance(found, Mapping) and isinstance(found.get(chart), list):
            return found
    return _whole(index, where)


def _loaded(text: bytes) -> Any:
    """The YAML of a stranger."""
    decoded = text.decode()
    must_be_shallow(decoded)
    return load(decoded)


def _cut(index: bytes, chart: str) -> bytes | None:
    """The lines of one chart; None where the index is not laid out as Helm writes it.

    What hangs below a key is indented deeper, whatever it holds, but for the dashes of a list.
    """
    root = _ENTRIES.search(index)
    first = _INDENT.search(index, root.end()) if root else None
    if root is None or first is None or not first[1]:
        return None
    indent = first[1]
    key = re.compile(rb"(?m)^" + indent + rb"[\"']?" + re.escape(chart.encode()) + rb"[\"']?:[ \t]*\r?$")
    begin = key.search(index, root.end())
    if begin is None:
        return None
    following = re.compile(rb"(?m)^ {0," + str(len(indent)).encode() + rb"}(?![ #]|-[ \r\n]|\r?$)").search(
        index, begin.end()
    )
    return index[begin.start() : following.start() if following else len(index)]


def _whole(index: bytes, where: str) -> Mapping[str, Any]:
    try:
        if _JSON.match(index):
            document = json.loads(index)
        elif len(index) > _MOST_WHOLE:
            if _ENTRIES.search(index):
                return {}  # it has no such chart
            raise RegistryError(f"The index of {where} is not laid out as Helm writes it, and too large to be parsed.")
        else:
            document = _loaded(index)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RegistryError(f"{where} answered something else than the index of a chart repository.") from error
    entries = document.get("entries") if isinstance(document, Mapping) else None
    if not isinstance(entries, Mapping):
        raise RegistryError(f"{where} answered something else than the index of a chart repository.")
    return {str(name): versions for name, versions in entries.items()}
