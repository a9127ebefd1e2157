"""One destination as a pass sees it: what its targets declare, hold and did before, and what lives there.

Everything is read once for all targets, side by side; a target is looked at again only where another run wrote to it
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.records.base import Ledger
from ci_gitops.core.autoscaling import autoscaled
from ci_gitops.core.forthcoming import Forthcoming, forthcoming
from ci_gitops.core.inventory import Inventory, Key
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.ownership import Holders
from ci_gitops.core.prepared import Prepared, prepare
from ci_gitops.core.records import Record
from ci_gitops.core.secret_values import Placeholders, is_secret
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, ClusterError, RefusedError
from ci_gitops.steps.observing import Live, observe, scopes
from ci_gitops.steps.planning import Terms
from ci_gitops.steps.preflight import Preflight

_NAMESPACES = ("v1", "Namespace")


@dataclass(frozen=True, slots=True)
class View:
    """One target as it was seen. `gone` are those whose declaration left Git."""

    prepared: Prepared
    inventory: Inventory
    records: tuple[Record, ...]  # newest first
    live: Live
    gone: bool = False


class Site:
    """One destination and those of the pass's targets that live there."""

    def __init__(
        self, cluster: Cluster, ledger: Ledger, declared: Mapping[Target, Sequence[Manifest]], *,
        create_namespace: bool = False, with_gone: bool = False,
    ) -> None:  # fmt: skip
        self.cluster = cluster
        self.ledger = ledger
        self._declared = declared
        self._create_namespace = create_namespace and bool(cluster.namespace)
        self._lock = Lock()
        self._namespace_is_there = False
        self.placeholders = Placeholders()
        self.preflight = Preflight(cluster)
        self._look(with_gone)

    def _look(self, with_gone: bool) -> None:
        with ThreadPoolExecutor(2, "look") as pool:
            inventories, records = pool.submit(self._inventories), pool.submit(self._all_records)
            self.inventories = inventories.result()
            self._records = records.result()
        known = {(each.target.app, each.target.environment): each for each in self.inventories}
        named = {(target.app, target.environment) for target in self._declared}
        self.gone = tuple(
            each.target for place, each in known.items() if place not in named and not each.problem
        ) if with_gone else ()  # fmt: skip
        views: dict[Target, Inventory] = {}
        self.broken: dict[Target, CiGitopsError] = {}  # targets of which nobody knows what they hold
        for target in (*self._declared, *self.gone):
            try:
                views[target] = self._inventory(target, known.get((target.app, target.environment)))
            except (ClusterError, RefusedError) as error:
                self.broken[target] = error
        prepared = {target: self.prepared(target, inventory) for target, inventory in views.items()}
        self.live = observe(self.cluster, list(prepared.values()), self.inventories)
        self._views = {
            target: View(prepared[target], inventory, self._of(target), self.live, target in self.gone)
            for target, inventory in views.items()
        }

    def _inventories(self) -> tuple[Inventory, ...]:
        """Of everything that lives there; of a folder each target has its own part."""
        if isinstance(self.cluster, Directory):
            kept = self.ledger.inventory(self.cluster.target)
            return (kept,) if kept.resource_version else ()
        return self.ledger.inventories()

    def _all_records(self) -> tuple[Record, ...]:
        return self.ledger.records(self.cluster.target if isinstance(self.cluster, Directory) else None)

    def _inventory(self, target: Target, kept: Inventory | None) -> Inventory:
        if kept is None or kept.problem:
            return self.ledger.inventory(target)  # raises where it cannot be read
        return replace(kept, target=target)

    def _of(self, target: Target) -> tuple[Record, ...]:
        place = (target.app, target.environment)
        return tuple(each for each in self._records if (each.target.app, each.target.environment) == place)

    @property
    def targets(self) -> tuple[Target, ...]:
        """Those that are declared, then those that are gone; none that is broken."""
        return tuple(self._views)

    def prepared(self, target: Target, inventory: Inventory, manifests: Sequence[Manifest] | None = None) -> Prepared:
        """What is sent for a target: what the pass's revision declares, or other `manifests`."""
        given = self._declared.get(target, ()) if manifests is None else manifests
        owner = inventory if self.cluster.alive else None
        known = scopes(self.cluster, self._forthcoming)
        return prepare(target, given, namespace=self.cluster.namespace, scopes=known, inventory=owner)

    def view(self, target: Target) -> View:
        if target in self.broken:
            raise self.broken[target]
        return self._views[target]

    def look_again(self, target: Target, manifests: Sequence[Manifest] | None = None) -> View:
        """The target as it is now; with `manifests` as if it declared these."""
        inventory = self.ledger.inventory(target)
        records = self.ledger.records(target)
        prepared = self.prepared(target, inventory, manifests)
        live = observe(self.cluster, [prepared], [inventory])
        return View(prepared, inventory, records, live, target in self.gone)

    def terms(
        self, *, try_new: bool, take_over: bool, recreate: Iterable[str], plan_key: bytes | None = None
    ) -> Callable[[View], Terms]:
        """Under which terms a target is planned, as it was seen. `plan_key` is the caller's own."""
        coming, holders = self._forthcoming, self._holders
        key = plan_key or self._plan_key

        def for_view(view: View) -> Terms:
            return Terms(
                try_new=try_new, take_over=take_over, recreate=frozenset(recreate),
                autoscaled=autoscaled([*view.live.autoscalers, *view.prepared.documents]),
                forthcoming=coming, holders=holders, key=key, placeholders=self.placeholders,
            )  # fmt: skip

        return for_view

    # Asked once for all targets

    @cached_property
    def _documents(self) -> tuple[Document, ...]:
        return tuple(document for view in self._views.values() for document in view.prepared.documents)

    @cached_property
    def _forthcoming(self) -> Forthcoming:
        declared = (manifest.document for manifests in self._declared.values() for manifest in manifests)
        return forthcoming(declared, [self.cluster.namespace] if self._create_namespace else ())

    @cached_property
    def _holders(self) -> Holders:
        return Holders(self.inventories)

    @cached_property
    def _plan_key(self) -> bytes | None:
        return self.ledger.plan_key() if any(map(is_secret, self._documents)) else None

    def ensure_namespace(self, namespaces: Iterable[str]) -> None:
        """Make the namespaces that hold records or objects, where the settings or the rendered set want them made.

        Records are written before anything else, so a declared namespace is applied first of all.
        """
        with self._lock:
            resource = self.cluster.resource(*_NAMESPACES)
            if self._namespace_is_there or not self.cluster.alive or resource is None:
                return
            for name in dict.fromkeys(name for name in namespaces if name):
                if self._is_there(name):
                    continue
                declared = self._declared_namespace(name)
                if declared is not None:
                    self.cluster.apply(declared)
                elif self._create_namespace and name == self.cluster.namespace:
                    self._create(name)
                else:
                    raise ClusterError(
                        f"The namespace {name} is not there in {self.cluster}.",
                        hint="Declare it in the target, or set `createNamespace: true` for the environment.",
                    )
            self._namespace_is_there = True

    def _is_there(self, name: str) -> bool:
        resource = self.cluster.resource(*_NAMESPACES)
        try:
            return resource is not None and self.cluster.get(resource, "", name) is not None
        except ApiError as error:
            if error.status == 403:  # an account of one namespace may not look at namespaces themselves
                return True
            raise

    def _create(self, name: str) -> None:
        try:
            self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        except ApiError as error:
            if error.status != 409:
                raise

    def _declared_namespace(self, name: str) -> Mapping[str, object] | None:
        key = Key("", "Namespace", "", name)
        return next(
            (document for view in self._views.values() for document in view.prepared.documents
             if Key.of(document) == key),
            None,
        )  # fmt: skip
