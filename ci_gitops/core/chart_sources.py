"""Where the charts that a target names come from: the repository beside each use, in the tool's own spelling."""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Texts
from dataclasses import dataclass

from ci_gitops.core.edits.chart_uses import ChartUse, chart_uses
from ci_gitops.core.targets import Target
from ci_gitops.core.yamltext import Mapping, Node, Scalar, Sequence, find, is_null, parse
from ci_gitops.errors import EditError

_OCI = "oci://"


@dataclass(frozen=True, slots=True)
class ChartSource:
    """A chart in a repository with an index (`oci` False), or the repository of an OCI registry that is the chart."""

    url: str  # https://charts.example.com, or registry.example.com/charts/redis
    chart: str
    oci: bool = False

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(f"//{self.url}" if self.oci else self.url).netloc.rpartition("@")[2]

    def __str__(self) -> str:
        return f"{_OCI}{self.url}" if self.oci else f"{self.chart} of {self.url}"


@dataclass(frozen=True, slots=True)
class ChartInUse:
    """One chart of a target. `problem` says why its version cannot be followed."""

    name: str  # as the file writes it
    names: tuple[str, ...]  # what people call it
    version: str | None
    source: ChartSource | None
    problem: str | None = None
    tag: bool = False  # the version is written as a tag, with _ for +

    def is_called(self, name: str) -> bool:
        """By what people call it, or by the address that it is pulled from."""
        return name in self.names or (self.source is not None and str(self.source) == name)


def charts_in_use(target: Target, texts: Texts[str, str], around: Texts[str, str]) -> dict[str, ChartInUse]:
    """The charts that `texts`, the target's files, name; `around` are files in which their repositories may be."""
    documents = [node for path, text in {**around, **texts}.items() for node in _documents(text, path)]
    found: dict[str, ChartInUse] = {}
    for path, text in texts.items():
        parsed = _parsed(text, path)
        for use in chart_uses(parsed.documents) if parsed else ():
            if parsed and _counts(use, target):
                node = parsed.documents[use.place.document]
                chart = _chart(use, find(parsed, use.place.document, use.place.path), node, documents)
                _add(found, chart)
    return found


def _parsed(text: str, path: str):  # type: ignore[no-untyped-def]
    try:
        parsed = parse(text, path)
    except EditError:
        return None
    return None if parsed.template else parsed


def _documents(text: str, path: str) -> Iterator[Mapping]:
    parsed = _parsed(text, path)
    yield from (node for node in (parsed.documents if parsed else ()) if isinstance(node, Mapping))


def _counts(use: ChartUse, target: Target) -> bool:
    """A chart's own version is nothing to follow; of our own configuration what it says of the app."""
    path = use.place.path
    return path != ("version",) and (path[0] != "apps" or path[1] == target.app)


def _add(found: dict[str, ChartInUse], chart: ChartInUse) -> None:
    before = found.setdefault(chart.name, chart)
    if before.version != chart.version and not before.problem and not chart.problem:
        problem = f"it is used in two versions, {before.version} and {chart.version}: update it once by hand"
        found[chart.name] = ChartInUse(chart.name, chart.names, None, chart.source, problem)


def _chart(use: ChartUse, version: Node | None, root: Node | None, documents: Iterable[Mapping]) -> ChartInUse:
    names = tuple(dict.fromkeys(name for names in use.names for name in names if name))
    text = version.value if isinstance(version, Scalar) and not is_null(version) else None
    tag = use.place.path[-1] == "tag"
    if use.place.path[-1] in ("digest", "semver"):
        what = (
            "by its digest" if use.place.path[-1] == "digest" else f"by the range {text!r}, which Flux follows itself"
        )
        return ChartInUse(use.chart, names, text, None, f"it is pinned {what}", tag)
    if text is None:
        return ChartInUse(use.chart, names, None, None, "it has no version: add one to the file once", tag)
    source = _source(use, root, list(documents))
    if isinstance(source, str):
        return ChartInUse(use.chart, names, text, None, source, tag)
    return ChartInUse(use.chart, names, text, source, None, tag)


def _source(use: ChartUse, root: Node | None, documents: list[Mapping]) -> ChartSource | str:
    """Where it comes from, or why that is not known."""
    node = _at(root, use.place.path[:-1])
    if not isinstance(root, Mapping) or not isinstance(node, Mapping):
        return "its place is not understood"
    key = use.place.path[0]
    if key == "apps":
        return _placed(node.text("repository"), node.text("chart") or use.chart)
    if key == "dependencies":
        return _placed(node.text("repository"), use.chart)
    if key == "helmCharts":
        return _placed(node.text("repo"), use.chart)
    if key == "releases":
        return _of_helmfile(root, use.chart)
    match root.text("kind"):
        case "OCIRepository":
            return _oci(use.chart)
        case "Application" | "ApplicationSet":
            return _of_argo(node, use.chart)
        case _:
            return _of_flux(root, node, use, documents)


def _placed(repository: str | None, chart: str) -> ChartSource | str:
    """A chart by its name in a repository that stands beside it, or by its own address."""
    if chart.startswith(_OCI):
        return _oci(chart)
    if not repository or repository.startswith(("file://", ".", "/")) or chart.startswith("."):
        return "it lies in the repository itself"
    if repository.startswith(_OCI):
        return _oci(f"{repository.rstrip('/')}/{chart}")
    if repository.startswith(("https://", "http://")):
        return ChartSource(repository.rstrip("/"), chart)
    return f"its repository {repository!r} is a name that stands for an address elsewhere"


def _oci(address: str) -> ChartSource | str:
    place = address.removeprefix(_OCI).strip("/")
    if "{" in place or "$" in place or "/" not in place:
        return f"{address} is no address of a chart"
    return ChartSource(place, posixpath.basename(place), oci=True)


def _of_helmfile(root: Mapping, chart: str) -> ChartSource | str:
    if chart.startswith((_OCI, ".", "/")):
        return _placed(None, chart)
    alias, _, name = chart.partition("/")
    for repository in _items(root.get("repositories")):
        if repository.text("name") == alias:
            url = repository.text("url") or ""
            is_oci = repository.text("oci") == "true"
            return _placed(f"{_OCI}{url.removeprefix(_OCI)}" if is_oci else url, name)
    return f"the file names no repository {alias!r}"


def _of_argo(node: Mapping, chart: str) -> ChartSource | str:
    """https://argo-cd.readthedocs.io/en/stable/user-guide/helm/: without a scheme it is an OCI registry."""
    repository = node.text("repoURL") or ""
    if chart == repository:
        return _oci(repository)
    return _placed(repository if "://" in repository else f"{_OCI}{repository}", chart)


def _of_flux(root: Mapping, node: Mapping, use: ChartUse, documents: list[Mapping]) -> ChartSource | str:
    kind, chart = root.text("kind"), node.text("chart")
    if node.text("repo"):  # the HelmChart of k3s
        return _placed(node.text("repo"), chart or use.chart)
    reference = _at(node, ("sourceRef",))
    for document in documents:  # a patch for an environment gives the version alone
        if chart and isinstance(reference, Mapping):
            break
        same = document.text("kind") == kind and _name(document) == _name(root)
        spec = _at(document, use.place.path[:-1]) if same else None
        if isinstance(spec, Mapping):
            chart = chart or spec.text("chart")
            reference = reference if isinstance(reference, Mapping) else _at(spec, ("sourceRef",))
    if not chart or not isinstance(reference, Mapping):
        return "the object that it patches is not in the app's files"
    if reference.text("kind") != "HelmRepository":
        return f"it comes from a {reference.text('kind')}, whose revision is its version"
    wanted = reference.text("name")
    for document in documents:
        if document.text("kind") == "HelmRepository" and _name(document) == wanted:
            url = _at(document, ("spec", "url"))
            return _placed(url.value if isinstance(url, Scalar) else None, chart)
    return f"its HelmRepository {wanted!r} is not in the app's files"


def _name(document: Mapping) -> str | None:
    metadata = document.get("metadata")
    return metadata.text("name") if isinstance(metadata, Mapping) else None


def _items(node: Node | None) -> Iterator[Mapping]:
    yield from (item for item in (node.items if isinstance(node, Sequence) else ()) if isinstance(item, Mapping))


def _at(node: Node | None, path: tuple[str | int, ...]) -> Node | None:
    for part in path:
        if isinstance(node, Sequence) and isinstance(part, int):
            node = node.items[part] if part < len(node.items) else None
        else:
            node = node.get(part) if isinstance(node, Mapping) and isinstance(part, str) else None
    return node
