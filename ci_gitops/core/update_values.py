"""Any value, and the version of a chart, written into the files of targets."""

from __future__ import annotations

import posixpath
from collections.abc import Container, Sequence

from ci_gitops.core.edits import Edit
from ci_gitops.core.edits.chart_lock import concerns_lock, lock_name, relock
from ci_gitops.core.edits.chart_uses import ChartUse, chart_uses
from ci_gitops.core.edits.charts import set_charts
from ci_gitops.core.edits.scalars import set_values
from ci_gitops.core.intents import Assignment
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.targets import Target
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.trailers import ValueMove
from ci_gitops.core.update_work import YAML, TargetFiles, Work, yaml_files
from ci_gitops.core.uses import Tree, join
from ci_gitops.core.yamltext import Path, Scalar, find, parse
from ci_gitops.errors import EditError, UsageError


def set_value(
    work: Work, targets: Sequence[TargetFiles], assignment: Assignment, still: Container[str] = ()
) -> list[Target]:
    """Write it into the targets of its app, but not into those (`environment/app`) that are to stay `still`."""
    meant = [files for files in targets if files.target.app == assignment.app]
    if not meant:
        apps = {files.target.app for files in targets}
        raise UsageError(f"There is no app {assignment.app!r} here.", hint=did_you_mean(assignment.app, apps, "Apps"))
    for files in meant:
        if _name(files.target) in still:
            continue
        folder = files.target.path if not files.target.path.endswith(YAML) else posixpath.dirname(files.target.path)
        candidates = [join(folder or ".", assignment.path), assignment.path]
        path = next((each for each in candidates if work.tree.holds(each)), None)
        if path is None:
            names = [each.removeprefix(f"{folder}/") for each in work.tree.files() if files.target.holds(each)]
            raise EditError(
                f"{files.target} has no file {assignment.path} (looked for {' and '.join(candidates)}).",
                hint=did_you_mean(assignment.path, names, "Files there"),
            )
        edit = set_values(work.text(path), [(assignment.key, assignment.value)], path=path)
        work.put(edit)
        _values_moved(work, files.target, edit)
        _lock(work, edit)
    return [files.target for files in meant]


def _values_moved(work: Work, target: Target, edit: Edit) -> None:
    work.values += [
        ValueMove(target.environment, target.app, edit.path, change.field, change.old, change.new or "")
        for change in edit.changes
    ]


def _name(target: Target) -> str:
    return f"{target.environment}/{target.app}"


def set_chart(
    work: Work, targets: Sequence[TargetFiles], name: str, version: str, still: Container[str] = ()
) -> list[Target]:
    """Write the version where the chart is used, but not into targets that are to stay `still`."""
    found: list[Target] = []
    known: set[str] = set()
    for files in targets:
        shared = [*_chart_of(work.tree, files.target), *_settings_of(work.tree)]
        paths = list(dict.fromkeys((*yaml_files(work.tree, files.target), *shared)))
        work.load(paths)
        for path in paths:
            within = _part_of(path, files.target)
            uses = [use for use in _chart_uses(work.text(path), path) if use.place.path[: len(within)] == within]
            known |= {use.short for use in uses}
            if any(use.is_called(name) for use in uses):
                found.append(files.target)
                if _name(files.target) in still:
                    continue
                edit = set_charts(work.text(path), [(name, version)], path=path, within=within)
                work.put(edit)
                _values_moved(work, files.target, edit)
                _lock(work, edit)
                if path in shared and edit.changed:
                    work.notes.append(f"{path} is one for all environments: its charts change in each of them.")
    if not found:
        where = ", ".join(str(files.target) for files in targets[:4])
        raise EditError(f"The chart {name} is used nowhere in {where}.", hint=did_you_mean(name, known, "Charts there"))
    return found


def chart_files(tree: Tree, target: Target) -> list[str]:
    """The files in which the versions of a target's charts may stand."""
    found = (*yaml_files(tree, target), *_chart_of(tree, target), *_settings_of(tree))
    return list(dict.fromkeys(found))


def _settings_of(tree: Tree) -> list[str]:
    """Our own configuration, which may name the chart that an app is rendered from."""
    return [CONFIG_FILE] if tree.holds(CONFIG_FILE) else []


def _part_of(path: str, target: Target) -> Path:
    """The part of a file that is the target's: of our own configuration what it says of the app."""
    return ("apps", target.app) if path == CONFIG_FILE else ()


def chart_versions(tree: Tree, target: Target, *, shared: bool = True, declared: bool = False) -> dict[str, str]:
    """The charts of others that the target's files name, with their versions; one with two versions is left out.

    `shared`: also those that a chart declares which the target shares with other environments. `declared`: also the
    one that our own configuration names for the app.
    """
    found: dict[str, set[str]] = {}
    paths = [*yaml_files(tree, target), *(_chart_of(tree, target) if shared else ())]
    for path, text in tree.read([*paths, *(_settings_of(tree) if declared else ())]).items():
        within = _part_of(path, target)
        for use in _chart_uses(text, path):
            place = use.place
            if place.path[: len(within)] != within:
                continue
            version = find(parse(text, path), place.document, place.path)
            # A chart's own version says nothing of its templates; a digest is no version.
            if isinstance(version, Scalar) and place.path != ("version",) and place.path[-1] != "digest":
                found.setdefault(use.chart, set()).add(version.value)
    return {chart: versions.pop() for chart, versions in found.items() if len(versions) == 1}


def _chart_of(tree: Tree, target: Target) -> list[str]:
    """The files that declare the charts of a target that is a chart's values file."""
    if not target.path.endswith(YAML):
        return []
    names = (join(posixpath.dirname(target.path) or ".", name) for name in ("Chart.yaml", "requirements.yaml"))
    return [name for name in names if tree.holds(name)]


def _chart_uses(text: str, path: str) -> list[ChartUse]:
    """The charts that a file names; none in what is no YAML (a chart's templates)."""
    try:
        return chart_uses(parse(text, path).documents)
    except EditError:
        return []


def _lock(work: Work, edit: Edit) -> None:
    """Keep Chart.lock in step with the Chart.yaml that was edited."""
    lock = lock_name(edit.path)
    if lock and concerns_lock(edit, by_chart=False) and work.tree.holds(lock):
        work.put(relock(edit, work.text(lock), path=lock, now=work.now))
