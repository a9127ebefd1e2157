"""The story of `rbac`: what an environment's targets declare, and the smallest roles that can deploy it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.core import manifests
from ci_gitops.core.api.definitions import kinds
from ci_gitops.core.api.schemas import recorded
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.permissions import Extent, Served, Subject, rights, roles
from ci_gitops.core.prepared import prepare
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.workplace import Workplaces

_ACCOUNT = "ci-gitops"
_ANYWHERE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacCall(Ask):
    """The options of one call, as the command line gives them."""

    account: str | None = None
    user: str | None = None
    prune: bool | None = None


def rbac(run: Run, call: RbacCall) -> Result:
    """Roles and bindings for all targets of the environment, or those of the call."""
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        targets = place.settings.targets([environment.name], call.apps, paths=place.tree.files())
        rendered = RenderedSets(run, place, fresh=call.no_cache).all(targets)
        with Destinations(run, call, place, environment) as destinations:
            made, subject = _roles(run, call, environment, rendered, _cluster(destinations, rendered))
    named = f"{subject.namespace}/{subject.name}" if subject.namespace else subject.name
    document = {
        "environment": environment.name, "revision": place.revision,
        "account": {"kind": subject.kind, "name": named}, "manifests": list(made),
    }  # fmt: skip
    stream = manifests.text(Manifest(each["apiVersion"], each["kind"], None, "", each) for each in made)
    return Result("RbacResult", document, stream.rstrip("\n"))


def _cluster(destinations: Destinations, rendered: Mapping[Target, object]) -> Cluster | None:
    """The destination, where it is named: it knows its namespace, and kinds that nobody else knows."""
    try:
        cluster = destinations.of(next(iter(rendered)))
    except UsageError:  # no destination is named, or no kubeconfig is here
        return None
    if not cluster.alive:
        raise UsageError(f"{cluster} takes no roles: whoever can write the files can deploy there.")
    return cluster


def _roles(
    run: Run, call: RbacCall, environment: EnvironmentSettings, rendered: Mapping[Target, Sequence[Manifest]],
    cluster: Cluster | None,
) -> tuple[tuple[dict[str, Any], ...], Subject]:  # fmt: skip
    declared = environment.destination
    namespace = (declared.namespace if declared else None) or (cluster.namespace if cluster else _ANYWHERE)
    known = _Kinds(run, cluster, [each for found in rendered.values() for each in found])
    extent = Extent(
        call.record_namespace or namespace,
        call.prune if call.prune is not None else bool(declared and declared.prune),
        namespace if environment.create_namespace else None,
    )
    documents: list[Mapping[str, Any]] = []
    hooks: list[Mapping[str, Any]] = []
    for target, found in rendered.items():
        owner = Inventory(target, "", namespace)
        prepared = prepare(target, found, namespace=namespace, scopes=known.namespaced, inventory=owner)
        documents += prepared.documents
        hooks += (hook.document for hook in prepared.hooks)
    subject = _subject(call, extent.records)
    return roles(rights(documents, hooks, known, extent), f"ci-gitops-{environment.name}", subject), subject


def _subject(call: RbacCall, namespace: str) -> Subject:
    if call.user and call.account:
        raise UsageError("--account and --user exclude each other.")
    if call.user:
        return Subject("User", call.user)
    where, _, name = (call.account or f"{namespace}/{_ACCOUNT}").rpartition("/")
    if not name or "/" in where:
        raise UsageError(f"{call.account!r} names no account.", hint="Write NAMESPACE/NAME.")
    return Subject("ServiceAccount", name, where or namespace)


@dataclass(frozen=True, slots=True)
class _Guess:
    plural: str
    namespaced: bool


class _Kinds:
    """How kinds are served: Kubernetes' own as recorded, those that are declared, and what the cluster knows."""

    def __init__(self, run: Run, cluster: Cluster | None, declared: Sequence[Manifest]) -> None:
        self._run = run
        self._cluster = cluster
        own = {(kind.api_version, kind.kind): kind for kind in recorded().kinds}
        self._known: dict[tuple[str, str], Served] = dict(own)
        self._placed = {(each.api_version, each.kind) for each in declared if each.namespace}
        for manifest in declared:
            if manifest.kind == "CustomResourceDefinition":
                self._known |= {(kind.api_version, kind.kind): kind for kind in kinds(manifest.document)}

    def __call__(self, api_version: str, kind: str) -> Served:
        place = (api_version, kind)
        if place not in self._known:
            self._known[place] = self._asked(api_version, kind) or self._guessed(place)
        return self._known[place]

    def namespaced(self, api_version: str, kind: str) -> bool | None:
        return self(api_version, kind).namespaced

    def _asked(self, api_version: str, kind: str) -> Served | None:
        try:
            return self._cluster.resource(api_version, kind) if self._cluster else None
        except CiGitopsError as error:
            self._run.output.detail(f"The cluster does not tell its kinds: {error.message}")
            return None

    def _guessed(self, place: tuple[str, str]) -> Served:
        api_version, kind = place
        plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
        self._run.output.warn(f"Nobody here knows the kind {kind} of {api_version}: taken for {plural!r}.")
        return _Guess(plural, place in self._placed)
