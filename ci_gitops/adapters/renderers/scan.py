"""What is refused before anything is rendered: remote parts, paths and links out of the tree, plugins, functions.

The box would stop most of it too; here the message names the file and says what to do instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ci_gitops.core.layout import KUSTOMIZATIONS
from ci_gitops.core.yamldepth import must_be_shallow
from ci_gitops.core.yamlload import load, load_all
from ci_gitops.errors import RenderError

_REMOTE = re.compile(
    r"(?i)^(git::|gh:|[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:|(www\.)?(github\.com|gitlab\.com|bitbucket\.org)[/:])"
    r"|\.git($|[/?])|[?&](ref|version)=|//"
)
_FUNCTION = re.compile(r"config\.(kubernetes|k8s)\.io/function")
_PLUGIN_KEYS = ("generators", "transformers", "validators")
_PATH_KEYS = ("resources", "bases", "components", "crds", "configurations", "patchesStrategicMerge", *_PLUGIN_KEYS)
_PATCH_KEYS = ("patches", "patchesJson6902", "replacements")
_GENERATOR_KEYS = ("configMapGenerator", "secretGenerator")
#: Keys that name files or programs. kustomize takes them in any case, as Go's JSON does; nobody else looks there.
_KEYS = {
    key.casefold(): key
    for key in (
        *_PATH_KEYS, *_PATCH_KEYS, *_GENERATOR_KEYS, "helmCharts", "helmChartInflationGenerator", "helmGlobals",
        "openapi", "path", "files", "envs", "env", "valuesFile", "additionalValuesFiles", "repo", "chartRepo",
        "chartHome",
    )
}  # fmt: skip
_CHARTS = "HelmChartInflationGenerator"
_LONGEST_PATH = 1_000
_MOST = 2_000  # kustomizations below one target


def inside(tree: Path, path: Path, said_by: str) -> Path:
    """`path` without `..`; RenderError where it, or a link on its way, leaves the tree."""
    plain = Path(os.path.normpath(path))
    if not plain.is_relative_to(tree):
        raise RenderError(f"{said_by} names {path.name!r} outside of the repository: {_shown(tree, path)}.")
    if not plain.resolve().is_relative_to(tree.resolve()):
        raise RenderError(f"{said_by} names {_shown(tree, plain)}, which is a link out of the repository.")
    return plain


def files_of(tree: Path, folder: Path) -> Iterator[Path]:
    """Every file below `folder`, hidden ones left out; RenderError at a link out of the tree."""
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (path := Path(top, name)).is_symlink():
                inside(tree, path, f"The folder {_shown(tree, folder)}")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(top, name) for name in sorted(files))


def kustomization_inputs(tree: Path, folder: Path) -> tuple[tuple[Path, ...], bool]:
    """All files that the kustomization of `folder` is built from, and whether it inflates Helm charts."""
    files: dict[Path, None] = {}
    todo, seen, charts = [folder], set[Path](), False
    while todo and len(seen) < _MOST:
        if (here := todo.pop()) in seen:
            continue
        seen.add(here)
        for file in (here / name for name in KUSTOMIZATIONS if (here / name).is_file()):
            files[inside(tree, file, "The target")] = None
            document = _read(file)
            said_by = _shown(tree, file)
            _in_their_case(document, said_by)
            for key, reference in _references(document):
                found = _local(tree, here, reference, f"{said_by} ({key})")
                if found.is_dir():
                    todo.append(found)
                elif found.is_file():
                    files[found] = None
                if key in _PLUGIN_KEYS and found.is_file():
                    text = found.read_text(encoding="utf-8", errors="replace")
                    _no_plugin(text, _shown(tree, found))
                    files.update(dict.fromkeys(_named_by_plugin(tree, here, text)))
            for key, text in _inline_plugins(document):
                _no_plugin(text, f"{said_by} ({key})")
                files.update(dict.fromkeys(_named_by_plugin(tree, here, text)))
            if _charts(document, said_by):
                charts = True
                files.update(dict.fromkeys(files_of(tree, inside(tree, here / _chart_home(document), said_by))))
    return tuple(files), charts


def _read(file: Path) -> Mapping[str, Any]:
    """Nothing where it is no mapping: kustomize says what is wrong better than we do."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        must_be_shallow(text)
        document = load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, Mapping) else {}


def _items(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    return value if isinstance(value, list) else []


def _references(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each key with a path that it names; text of several lines is written in place."""
    for key in _PATH_KEYS:
        yield from ((key, item) for item in _items(document, key) if isinstance(item, str) and "\n" not in item)
    for key in _PATCH_KEYS:
        yield from ((key, item["path"]) for item in _mappings(document, key) if isinstance(item.get("path"), str))
    for key in _GENERATOR_KEYS:
        for item in _mappings(document, key):
            named = [*_items(item, "files"), *_items(item, "envs"), item.get("env")]
            yield from ((key, text.rpartition("=")[2]) for text in named if isinstance(text, str) and text)
    for item in _mappings(document, "helmCharts"):
        named = [item.get("valuesFile"), *_items(item, "additionalValuesFiles")]
        yield from (("helmCharts", text) for text in named if isinstance(text, str) and text)
    openapi = document.get("openapi")
    if isinstance(openapi, Mapping) and isinstance(openapi.get("path"), str):
        yield "openapi", openapi["path"]


def _mappings(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [item for item in _items(document, key) if isinstance(item, Mapping)]


def _local(tree: Path, folder: Path, reference: str, said_by: str) -> Path:
    """As kustomize does it: what is there is a path, whatever it looks like."""
    place = folder / reference
    if not reference.startswith("/") and not place.exists() and _REMOTE.search(reference):
        raise RenderError(
            f"{said_by} names the remote {reference!r}; only what is in the repository is rendered.",
            hint="Copy it into the repository, so that a commit says all that is deployed.",
        )
    return inside(tree, place, said_by)


def _charts(document: Mapping[str, Any], said_by: str) -> bool:
    charts = [*_mappings(document, "helmCharts"), *_mappings(document, "helmChartInflationGenerator")]
    for chart in charts:
        if chart.get("repo") or chart.get("chartRepo"):
            raise RenderError(
                f"{said_by} takes the chart {chart.get('name')!r} from {chart.get('repo') or chart.get('chartRepo')}; "
                "only what is in the repository is rendered.",
                hint="Unpack the chart below `helmGlobals.chartHome` and leave out `repo`.",
            )
    return bool(charts)


def _chart_home(document: Mapping[str, Any]) -> str:
    settings = document.get("helmGlobals")
    home = settings.get("chartHome") if isinstance(settings, Mapping) else None
    return home if isinstance(home, str) and home else "charts"


def _in_their_case(document: Mapping[str, Any], said_by: str) -> None:
    """Refuse `Resources` for `resources`: kustomize would take it, and we would not see it."""
    places = [document, *(document.get(key) for key in ("helmGlobals", "openapi"))]
    for key in (*_PATCH_KEYS, *_GENERATOR_KEYS, "helmCharts", "helmChartInflationGenerator"):
        places += _items(document, key)
    for key in (key for place in places if isinstance(place, Mapping) for key in place if isinstance(key, str)):
        known = _KEYS.get(key.casefold(), key)
        if known != key:
            raise RenderError(f"{said_by} writes {key!r} for `{known}`.", hint=f"Write it as `{known}`.")


def _inline_plugins(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in _PLUGIN_KEYS:
        yield from ((key, item) for item in _items(document, key) if isinstance(item, str) and "\n" in item)


def _named_by_plugin(tree: Path, folder: Path, text: str) -> Iterator[Path]:
    """What kustomize's own transformers and generators read: any text in their settings that is a path of the tree."""
    if _CHARTS in text:
        yield from files_of(tree, folder / "charts")
    todo = _documents(text)
    seen = set[int]()  # an alias stands for the same thing, however often
    while todo:
        item = todo.pop()
        if isinstance(item, Mapping | list):
            todo += () if id(item) in seen else item.values() if isinstance(item, Mapping) else item
            seen.add(id(item))
        elif isinstance(item, str) and item and len(item) < _LONGEST_PATH and "\n" not in item:
            found = Path(os.path.normpath(folder / item.rpartition("=")[2]))
            if found.is_relative_to(tree) and found.is_file():
                yield inside(tree, found, "A transformer")
            elif found.is_relative_to(tree) and found.is_dir() and _CHARTS in text:
                yield from files_of(tree, found)


def _documents(text: str) -> list[Any]:
    """None where it is no YAML: kustomize says what is wrong."""
    try:
        must_be_shallow(text)
        return load_all(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []


def _no_plugin(text: str, said_by: str) -> None:
    """Transformers that kustomize brings itself are of apiVersion `builtin`; all others are programs."""
    versions = re.findall(r"(?m)^apiVersion:\s*[\"']?([^\s\"'#]+)", text)
    versions += [
        str(each["apiVersion"]) for each in _documents(text) if isinstance(each, dict) and "apiVersion" in each
    ]
    if _FUNCTION.search(text) or any(version != "builtin" for version in versions):
        raise RenderError(
            f"{said_by} is a kustomize plugin or function; programs out of a repository are not run.",
            hint="Use kustomize's own transformers (apiVersion: builtin), or commit what the plugin makes.",
        )


def _shown(tree: Path, path: Path) -> str:
    return os.path.relpath(path, tree)
