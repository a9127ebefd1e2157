"""Which kinds an API server serves, from its answers to discovery.

Aggregated discovery tells everything in two requests
(https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery). A group version whose own server
is away is marked there as stale: what it serves is then unknown, which is something else than nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci_gitops.adapters.cluster.base import Resource

#: The newest form first; a server that knows neither answers with the older lists.
AGGREGATED = ",".join(
    (
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    )
)


@dataclass(frozen=True, slots=True)
class GroupVersion:
    """One version of one group; `resources` is None where the server cannot tell them now."""

    group: str
    version: str
    resources: tuple[Resource, ...] | None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that is served. Within a group the preferred version comes first."""

    versions: tuple[GroupVersion, ...]
    _kinds: dict[tuple[str, str], Resource] = field(default_factory=dict, repr=False)
    _preferred: dict[tuple[str, str], Resource] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for served in self.versions:
            for resource in served.resources or ():
                self._kinds.setdefault((resource.api_version, resource.kind), resource)
                self._preferred.setdefault((resource.group, resource.kind), resource)

    def find(self, api_version: str, kind: str) -> Resource | None:
        return self._kinds.get((api_version, kind))

    def preferred(self, group: str, kind: str) -> Resource | None:
        return self._preferred.get((group, kind))

    @property
    def stale(self) -> tuple[str, ...]:
        """The group versions whose kinds are unknown."""
        return tuple(served.api_version for served in self.versions if served.resources is None)

    @property
    def api_versions(self) -> tuple[str, ...]:
        """As Helm's charts ask for it: `group/version` and `group/version/Kind`."""
        found: dict[str, None] = {}
        for served in self.versions:
            kinds = (f"{served.api_version}/{resource.kind}" for resource in served.resources or ())
            found.update(dict.fromkeys((served.api_version, *kinds)))
        return tuple(found)


def aggregated(document: Mapping[str, Any]) -> Iterator[GroupVersion]:
    """The group versions of one APIGroupDiscoveryList."""
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        for version in group.get("versions") or ():
            current = version.get("freshness", "Current") == "Current"
            resources = tuple(_resources(name, version["version"], version.get("resources") or ()))
            yield GroupVersion(name, version["version"], resources if current or resources else None)


def _resources(group: str, version: str, items: Iterable[Mapping[str, Any]]) -> Iterator[Resource]:
    for item in items:
        kind = (item.get("responseKind") or {}).get("kind")
        if kind:  # else only its subresources are served
            namespaced = item.get("scope") == "Namespaced"
            yield Resource(group, version, kind, item["resource"], namespaced, frozenset(item.get("verbs") or ()))


def legacy(group_version: str, document: Mapping[str, Any] | None) -> GroupVersion:
    """One APIResourceList, as servers before 1.27 have it; None where it could not be had."""
    group, _, version = group_version.rpartition("/")
    if document is None:
        return GroupVersion(group, version, None)
    resources = tuple(
        Resource(group, version, item["kind"], item["name"], item["namespaced"], frozenset(item.get("verbs") or ()))
        for item in document.get("resources") or ()
        if "/" not in item["name"]
    )
    return GroupVersion(group, version, resources)


def group_versions(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The group versions that an APIGroupList names, each group's preferred one first."""
    found: dict[str, None] = {}
    for group in document.get("groups") or ():
        preferred = (group.get("preferredVersion") or {}).get("groupVersion")
        others = (version["groupVersion"] for version in group.get("versions") or ())
        found.update(dict.fromkeys(filter(None, (preferred, *others))))
    return tuple(found)
