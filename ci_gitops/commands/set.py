"""`ci-gitops set`: any value and any chart version in files on this machine, by byte-exact edits and without Git."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import click

from ci_gitops.adapters import files
from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.commands.edit_result import result_of
from ci_gitops.core.edits.chart_lock import concerns_lock, lock_name, old_archives, relock
from ci_gitops.core.edits.charts import parse_chart, set_charts, where_charts_are
from ci_gitops.core.edits.keys import parse_assignment
from ci_gitops.core.edits.records import Edit
from ci_gitops.core.edits.scalars import set_values
from ci_gitops.errors import UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run

#: Where `--chart` looks in a folder.
CHART_FILES = ("Chart.yaml", "requirements.yaml", "helmfile.yaml", "helmfile.yml", "kustomization.yaml")
Pair = tuple[str, str]


@command("set", exits=(0, 1, 2))
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@option(
    "--path",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The YAML file to edit; may be repeated. With --chart also a chart's folder.  "
    "[default with --chart: the chart of the current folder]",
)
@option(
    "--chart",
    "charts",
    multiple=True,
    metavar="NAME=VERSION",
    help="Set a chart's version in Chart.yaml (Chart.lock follows), helmfile, Flux, Argo CD or a kustomization.",
)
@option("--document", metavar="KIND/NAME", help="Which document of the file, also by its number counted from 1.")
@option("--dry-run", is_flag=True, help="Show the unified diff and write nothing.")
@pass_run
def cli(
    run: Run,
    assignments: tuple[str, ...],
    paths: tuple[Path, ...],
    charts: tuple[str, ...],
    document: str | None,
    dry_run: bool,
) -> Result:
    """Set values and chart versions in YAML files.

    KEY is a path to a value that is there: image.tag, hosts[0].port, containers[name=web].image. What was a
    string stays one; only the changed values move: comments, quotes, order and line ends stay.
    """
    values = [parse_assignment(text) for text in assignments]
    versions = [parse_chart(text) for text in charts]
    if not values and not versions:
        raise UsageError("Nothing to set: expected KEY=VALUE or --chart NAME=VERSION.", hint="`ci-gitops set --help`")
    texts = {path: files.read_text(path, files.Trees().of(path)) for path in _named(paths, by_chart=not values)}
    spread = where_charts_are(versions, {str(path): text for path, text in texts.items()})
    edits = [
        edit
        for path, text in texts.items()
        for edit in _with_lock(run, _edit(path, text, values, spread[str(path)], document), bool(spread[str(path)]))
    ]
    for edit in edits:
        for note in edit.notes:
            run.output.note(f"{edit.path}: {note}")
    changed = [edit for edit in edits if edit.changed]
    if not dry_run:
        files.write_all(changed)
        _tell_old_archives(run, changed)
    return result_of(changed, len(texts), dry_run)


def _named(paths: Sequence[Path], *, by_chart: bool) -> list[Path]:
    """The files that the command line means."""
    if not paths and not by_chart:
        raise UsageError("Which file? Expected --path FILE.", hint="As in: ci-gitops set replicas=3 --path values.yaml")
    return [_in_folder(path) if by_chart and path.is_dir() else _file(path) for path in paths or (Path(),)]


def _file(path: Path) -> Path:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; expected a file.", hint="Name the file by --path FILE.")
    return path


def _in_folder(folder: Path) -> Path:
    for name in CHART_FILES:
        if (folder / name).exists():
            return folder / name
    raise UsageError(f"The folder {folder} has none of {', '.join(CHART_FILES)}.", hint="Name the file by --path FILE.")


def _edit(path: Path, text: str, values: Sequence[Pair], charts: Sequence[Pair], document: str | None) -> Edit:
    one = set_values(text, values, path=str(path), document=document)
    two = set_charts(one.new, charts, path=str(path))
    return Edit(str(path), text, two.new, (*one.changes, *two.changes), (*one.notes, *two.notes))


def _with_lock(run: Run, edit: Edit, by_chart: bool) -> list[Edit]:
    """The edit, and before it that of the lock file beside it: killed between the two, a second call mends it."""
    name = lock_name(edit.path)
    if name is None or not Path(name).exists() or not concerns_lock(edit, by_chart=by_chart):
        return [edit]
    path = Path(name)
    now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    return [relock(edit, files.read_text(path, files.Trees().of(path)), path=name, now=now), edit]


def _tell_old_archives(run: Run, edits: Sequence[Edit]) -> None:
    """Charts that were packed into `charts/` render as they were until Helm fetches the new ones."""
    for file in {Path(edit.path).parent / "charts" / name for edit in edits for name in old_archives(edit)}:
        if file.exists():
            run.output.note(f"{file} is still the old version: run `helm dependency build {file.parents[1]}`.")
