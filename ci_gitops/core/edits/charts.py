"""`--chart NAME=VERSION`: the version of a chart, by the name that people call it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ci_gitops.core.edits.chart_uses import ChartUse, chart_uses
from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.edits.records import Edit
from ci_gitops.core.edits.scalars import set_places
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.yamltext import Path, parse, path_text
from ci_gitops.errors import EditError, UsageError

#: Versions and ranges as Helm, Flux and Argo CD take them: `1.2.3`, `^1.2`, `>=1.2 <2 || 3.x`, also a branch.
_VERSION = re.compile(r"[\w.*^~<>=!|, +/-]*[\w*][\w.*^~<>=!|, +/-]*", re.ASCII)
Pair = tuple[str, str]  # name and version


def parse_chart(text: str) -> Pair:
    """`NAME=VERSION` as name and version."""
    name, equals, version = text.partition("=")
    if not (name and equals and _VERSION.fullmatch(version)) or version != version.strip():
        raise UsageError(f"{text!r} is not NAME=VERSION.", hint="Write it like redis=19.1.0.")
    return name, version


def set_charts(text: str, charts: Sequence[Pair], *, path: str, within: Path = ()) -> Edit:
    """Set the versions of charts. NAME is a chart as written or its last part, else an alias, release or object.

    Every use of that chart in the file, or `within` a part of it, is set. Raises EditError where a name is not found
    or means two charts.
    """
    wanted = dict(charts)
    for name, version in charts:
        if wanted[name] != version:
            raise UsageError(f"The chart {name!r} is given twice: {version} and {wanted[name]}.", hint="Give it once.")
    draft = Draft(text, path)
    uses = [use for use in chart_uses(draft.documents) if use.place.path[: len(within)] == within]
    values = {_settable(draft, use).place: version for name, version in charts for use in _named(uses, name, path)}
    return set_places(draft, values.items())


def where_charts_are(charts: Sequence[Pair], texts: Mapping[str, str]) -> dict[str, list[Pair]]:
    """Of several files, by their paths, which one names which of these charts. EditError for a chart in none."""
    uses = {path: chart_uses(parse(text, path).documents) for path, text in texts.items()} if charts else {}
    found: dict[str, list[Pair]] = {path: [] for path in texts}
    for chart in charts:
        there = [path for path, known in uses.items() if any(use.is_called(chart[0]) for use in known)]
        if not there:
            raise _not_found([use for known in uses.values() for use in known], chart[0], ", ".join(texts))
        for path in there:
            found[path].append(chart)
    return found


def _named(uses: Sequence[ChartUse], name: str, path: str) -> list[ChartUse]:
    """The uses of the chart that people call `name`: what it is first, then what it is called in its place."""
    for reading in range(3):
        found = [use for use in uses if name in use.names[reading]]
        charts = sorted({use.chart for use in found})
        if len(charts) > 1:
            raise EditError(
                f"{path}: {name!r} means {len(charts)} charts.",
                hint=f"Name one of them: {', '.join(map(repr, charts))}.",
            )
        if found:
            return found
    raise _not_found(uses, name, path)


def _not_found(uses: Sequence[ChartUse], name: str, path: str) -> EditError:
    known = {word for use in uses for names in use.names for word in names if word}
    if known:
        return EditError(f"{path}: there is no chart {name!r}.", hint=did_you_mean(name, known, "Charts there"))
    return EditError(
        f"{path} names no chart.",
        hint="Charts are found in Chart.yaml, helmfile releases, Flux HelmRelease and OCIRepository, Argo CD "
        "Application and ApplicationSet, and helmCharts of a kustomization; for anything else use KEY=VALUE.",
    )


def _settable(draft: Draft, use: ChartUse) -> ChartUse:
    """Refuse what has no version to set, or one that would not count."""
    node = draft.find(use.place.document, use.place.path)
    if use.place.path[-1] == "digest":
        raise EditError(
            f"{draft.path}: the chart {use.chart!r} is pinned by {path_text(use.place.path)}, which counts first.",
            hint="Remove the digest first, or set it by KEY=VALUE.",
        )
    if node is None:
        raise EditError(
            f"{draft.path}: the chart {use.chart!r} is there, with no version ({path_text(use.place.path)}).",
            hint="Add the version to the file once; from then on it can be set.",
        )
    return use
