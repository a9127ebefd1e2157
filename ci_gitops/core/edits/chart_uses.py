"""Where the files of Helm, helmfile, Flux, Argo CD, Kustomize and ours name a chart, and where its version stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ci_gitops.core.edits.keys import Place
from ci_gitops.core.yamltext import Mapping, Node, Path, Sequence


@dataclass(frozen=True, slots=True)
class ChartUse:
    """One use of a chart: what it is called there, and the place of its version."""

    chart: str  # as written: redis, bitnami/redis, oci://registry.example.com/charts/redis
    name: str | None  # what this use is called: alias, release, object
    place: Place

    @property
    def short(self) -> str:
        """The chart's own name, without where it comes from."""
        return self.chart.rstrip("/").rpartition("/")[2]

    @property
    def names(self) -> tuple[tuple[str | None, ...], ...]:
        """What people call it, the most exact first: as written, by the chart's own name, by that of its use."""
        return (self.chart, self.chart.removeprefix("oci://")), (self.short,), (self.name,)

    def is_called(self, name: str) -> bool:
        return any(name in names for names in self.names)


def chart_uses(documents: Iterable[Node | None]) -> list[ChartUse]:
    """Every use of a chart in the documents of a file, in their order."""
    found = []
    for number, root in enumerate(documents):
        if isinstance(root, Mapping):
            found += [ChartUse(chart, name, Place(number, path)) for chart, name, path in _uses(root)]
    return found


_Use = tuple[str, str | None, Path]


def _uses(root: Mapping) -> Iterator[_Use]:
    kind = root.text("kind")
    if kind is not None and root.text("apiVersion") is not None:
        yield from _kubernetes(root, kind)
    # https://kubectl.docs.kubernetes.io/references/kustomize/builtins/#field-name-helmcharts
    for path, chart in _entries(root, ("helmCharts",)):
        yield from _use(chart.text("name"), chart.text("releaseName"), (*path, "version"))
    if kind is None:
        yield from _helm(root)
        for path, app in _values(root, ("apps",)):
            helm = _mapping(app, ("helm",))
            if helm:
                yield from _use(helm.text("chart"), path[-1], (*path, "helm", "version"))


def _helm(root: Mapping) -> Iterator[_Use]:
    """Chart.yaml, requirements.yaml (https://helm.sh/docs/topics/charts/) and helmfile's releases."""
    for path, dependency in _entries(root, ("dependencies",)):
        yield from _use(dependency.text("name"), dependency.text("alias"), (*path, "version"))
    if root.text("apiVersion") in ("v1", "v2"):
        yield from _use(root.text("name"), None, ("version",))
    for path, release in _entries(root, ("releases",)):
        yield from _use(release.text("chart"), release.text("name"), (*path, "version"))


def _kubernetes(root: Mapping, kind: str) -> Iterator[_Use]:
    metadata = _mapping(root, ("metadata",))
    name = metadata.text("name") if metadata else None
    spec = _mapping(root, ("spec",))
    if spec is None:
        return
    if kind == "HelmRelease":  # https://fluxcd.io/flux/components/helm/helmreleases/
        template = _mapping(spec, ("chart", "spec"))
        if template:
            chart = template.text("chart") or _patched(template, name)
            yield from _use(chart, name, ("spec", "chart", "spec", "version"))
    elif kind == "HelmChart":  # Flux's, and that of k3s, which has the same two fields
        yield from _use(spec.text("chart") or _patched(spec, name), name, ("spec", "version"))
    elif kind == "OCIRepository":
        chart = spec.text("url") or (name if _mapping(spec, ("ref",)) else None)
        yield from _use(chart, name, ("spec", "ref", _effective_reference(spec)))
    elif kind == "Application":  # https://argo-cd.readthedocs.io/en/stable/user-guide/helm/
        yield from _argo(spec, name, ("spec",))
    elif kind == "ApplicationSet":
        template = _mapping(spec, ("template", "spec"))
        if template:
            yield from _argo(template, name, ("spec", "template", "spec"))


def _patched(spec: Mapping, name: str | None) -> str | None:
    """A patch for an environment gives the version alone: its chart is known by the object's name."""
    return name if "version" in spec.keys() else None  # noqa: SIM118 - a node of YAML is no dict


def _effective_reference(spec: Mapping) -> str:
    """Flux takes the digest before the range before the tag: https://fluxcd.io/flux/components/source/ocirepositories/"""
    reference = _mapping(spec, ("ref",))
    keys = reference.keys() if reference else []
    return next((key for key in ("digest", "semver") if key in keys), "tag")


def _argo(spec: Mapping, name: str | None, at: Path) -> Iterator[_Use]:
    one = _mapping(spec, ("source",))
    sources = [((*at, "source"), one)] if one else []
    sources += [((*at, *path), source) for path, source in _entries(spec, ("sources",))]
    for path, source in sources:
        address = source.text("repoURL") or ""
        chart = source.text("chart") or (address if address.startswith("oci://") else None)
        yield from _use(chart, name, (*path, "targetRevision"))


def _use(chart: str | None, name: str | int | None, path: Path) -> Iterator[_Use]:
    if chart:
        yield chart, None if name is None else str(name), path


def _mapping(node: Node | None, keys: tuple[str, ...]) -> Mapping | None:
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else None


def _entries(root: Mapping, path: tuple[str]) -> Iterator[tuple[Path, Mapping]]:
    node = root.get(path[0])
    for number, item in enumerate(node.items if isinstance(node, Sequence) else ()):
        if isinstance(item, Mapping):
            yield (*path, number), item


def _values(root: Mapping, path: tuple[str]) -> Iterator[tuple[Path, Node]]:
    node = root.get(path[0])
    for key in node.keys() if isinstance(node, Mapping) else ():
        value = node.get(key) if isinstance(node, Mapping) else None
        if value is not None:
            yield (*path, key), value
