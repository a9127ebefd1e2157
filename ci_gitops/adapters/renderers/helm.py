"""Rendering by the real `helm template`, from charts that lie in the repository."""

from __future__ import annotations

import os
import shutil
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ci_gitops.adapters.renderers.base import Job
from ci_gitops.adapters.renderers.scan import files_of, inside
from ci_gitops.core.manifests import Manifest, parse
from ci_gitops.core.recipes import Chart
from ci_gitops.core.tenancy import allows
from ci_gitops.core.yamldepth import must_be_shallow
from ci_gitops.core.yamlload import load
from ci_gitops.errors import RenderError

_FILE = "Chart.yaml"
_LOCAL = "file://"
_OCI = "oci://"
_FETCHED = ".ci-gitops-charts"
_DEEPEST = 8  # charts that depend on charts


class Helm:
    name = "helm"

    def fits(self, job: Job) -> bool:
        return job.recipe.chart is not None or (job.folder / _FILE).is_file()

    def inputs(self, job: Job) -> tuple[Path, ...]:
        if is_fetched(job):
            return values_files(job)
        charts = _near(job, chart_folder(job))
        files = (file for chart in charts for file in files_of(job.tree, chart))
        return tuple(dict.fromkeys((*files, *values_files(job))))

    def render(self, job: Job) -> tuple[Manifest, ...]:
        if is_fetched(job):
            job = job.writable()
            _fetch(job)
        if _missing(chart_folder(job)):
            job = job.writable()
            _fill(job, chart_folder(job))
        return parse(job.run(self._words(job), cwd=job.folder), f"what helm rendered of {job.path}")

    @staticmethod
    def _words(job: Job) -> list[str]:
        recipe, settings = job.recipe, job.recipe.chart or Chart()
        words = [job.program("helm"), "template", settings.release or recipe.app, str(chart_folder(job))]
        # As Argo CD calls it (https://argo-cd.readthedocs.io/en/stable/user-guide/helm/), without the charts' tests.
        words += ["--include-crds", "--skip-tests"]
        words += ["--namespace", recipe.namespace] if recipe.namespace else []
        words += ["--kube-version", recipe.kube_version] if recipe.kube_version else []
        for version in recipe.api_versions:
            words += ["--api-versions", version]
        for file in values_files(job):
            words += ["--values", str(file)]
        for key, value in settings.sets:
            words += ["--set-json", f"{key}={value}"]
        return words


def chart_folder(job: Job) -> Path:
    """Where the chart lies: by the settings a folder of the repository, else the target's own."""
    settings = job.recipe.chart or Chart()
    if settings.chart is None:
        place = job.folder
    else:
        name = settings.chart.rpartition("/")[2]
        near = (job.tree / settings.chart, job.folder / settings.chart, job.folder / "charts" / name)
        places = (*near, job.tree / _FETCHED / name)
        place = next((each for each in places if (each / _FILE).is_file()), places[0])
    if not (place / _FILE).is_file():
        raise RenderError(
            f"The chart {settings.chart or job.path} of {job.recipe.app} is not in the repository: no {_FILE} there."
        )
    return inside(job.tree, place, f"The app {job.recipe.app}")


def is_fetched(job: Job) -> bool:
    """Whether the chart is still to be fetched: what lies in the repository is taken from there."""
    settings = job.recipe.chart or Chart()
    if not settings.chart or not (settings.repository or settings.chart.startswith(_OCI)):
        return False
    name = settings.chart.rpartition("/")[2]
    places = (job.tree / settings.chart, job.folder / "charts" / name, job.tree / _FETCHED / name)
    return not any((place / _FILE).is_file() for place in places)


def _fetch(job: Job) -> None:
    """Lay the chart into our copy of the tree, by the real Helm in a box that reaches the network and no other file."""
    settings = job.recipe.chart or Chart()
    chart = settings.chart or ""
    source = settings.repository or chart
    host = urllib.parse.urlsplit(source).hostname or ""
    if not allows(job.recipe.hosts, host):
        raise RenderError(
            f"The chart {chart} of {job.recipe.app} is not in the repository, and is not fetched from {source}.",
            hint=f"Unpack it there (`helm pull --untar`), or allow {host} in the environment's allow.hosts.",
        )
    if not settings.version:
        raise RenderError(
            f"The chart {chart} of {job.recipe.app} has no version.",
            hint="Set helm.version, so that a commit says what is deployed.",
        )
    words = [job.program("helm"), "pull", chart, "--version", settings.version]
    words += ["--repo", settings.repository] if settings.repository else []
    words += ["--untar", "--untardir", str(job.tree / _FETCHED)]
    job.run(words, cwd=job.folder, network=True)


def values_files(job: Job) -> tuple[Path, ...]:
    """The target's own values file where its path is one, then those of the settings."""
    own = (job.place,) if job.place.is_file() else ()
    named = tuple(job.folder / name for name in (job.recipe.chart.values if job.recipe.chart else ()))
    files = tuple(inside(job.tree, file, f"The app {job.recipe.app}") for file in (*own, *named))
    for file in files:
        if not file.is_file():
            raise RenderError(f"There is no values file {os.path.relpath(file, job.tree)} at this revision.")
    return files


def _near(job: Job, chart: Path, depth: int = 0) -> Iterator[Path]:
    """The chart, and those elsewhere in the tree that it is filled with."""
    yield chart
    for dependency in _missing(chart) if depth < _DEEPEST else ():
        where = str(dependency.get("repository") or "")
        if where.startswith(_LOCAL):
            source = inside(job.tree, chart / where.removeprefix(_LOCAL), f"{os.path.relpath(chart, job.tree)}/{_FILE}")
            yield from _near(job, source, depth + 1) if (source / _FILE).is_file() else ()


def _missing(chart: Path) -> list[Mapping[str, Any]]:
    """The dependencies that do not lie in `charts/`."""
    there = chart / "charts"
    return [
        each
        for each in _dependencies(chart)
        if not (there / str(each.get("name"))).is_dir() and not any(there.glob(f"{each.get('name')}-*.tgz"))
    ]


def _dependencies(chart: Path) -> Iterator[Mapping[str, Any]]:
    for name in (_FILE, "requirements.yaml"):
        if (chart / name).is_file():
            try:
                text = (chart / name).read_text(encoding="utf-8-sig")
                must_be_shallow(text)
                document = load(text)
            except (yaml.YAMLError, ValueError, RecursionError):
                continue  # helm says what is wrong
            found = document.get("dependencies") if isinstance(document, Mapping) else None
            yield from (each for each in (found if isinstance(found, list) else ()) if isinstance(each, Mapping))


def _fill(job: Job, chart: Path, depth: int = 0) -> None:
    """Lay `file://` dependencies into `charts/`, and theirs into theirs.

    `helm dependency build` would do it too, but asks every other repository of the chart as well.
    """
    for dependency in _missing(chart):
        name, where = str(dependency.get("name")), str(dependency.get("repository") or "")
        said_by = f"{os.path.relpath(chart, job.tree)}/{_FILE}"
        if not where.startswith(_LOCAL):
            raise RenderError(
                f"{said_by} depends on {name} from {where or 'nowhere'}, which is not in its charts/ folder.",
                hint="Commit it (`helm dependency update`); charts are not fetched while rendering.",
            )
        if "/" in name or name in ("", ".", "..") or depth > _DEEPEST:
            raise RenderError(f"{said_by} depends on {name!r}, which cannot be followed.")
        source = inside(job.tree, chart / where.removeprefix(_LOCAL), said_by)
        if not (source / _FILE).is_file():
            raise RenderError(f"{said_by} depends on {where}, and there is no chart.")
        list(files_of(job.tree, source))
        _fill(job, source, depth + 1)
        shutil.copytree(source, chart / "charts" / name, symlinks=True)
