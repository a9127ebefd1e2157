"""Inventories and records in a cluster: ConfigMaps in the destination's namespace, beside what they speak of."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Resource
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Writer
from ci_gitops.adapters.records.lease import Holder, Lease, steady
from ci_gitops.adapters.records.objects import (
    APPLYSET_ID,
    CONFIG_MAPS,
    INVENTORY_KEY,
    inventory_object,
    masked,
    named,
    read_inventory,
    read_record,
    record_object,
    refuse_others,
    target_labels,
)
from ci_gitops.core.inventory import APP, ENVIRONMENT, OUTCOME, SOURCE, Inventory, source_label
from ci_gitops.core.permissions import PLAN_KEY
from ci_gitops.core.records import Record, newest_first, overdue
from ci_gitops.core.targets import Target
from ci_gitops.core.text import plain
from ci_gitops.errors import ClusterError, RefusedError, TemporaryError
from ci_gitops.masking import register

RECORDS_KEPT = 20

_SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
_KEY_BYTES = 32


@dataclass(slots=True)
class ClusterLedger:
    """The inventories and records of one environment of one source. `tell` takes what a person should know."""

    cluster: Cluster
    source: str
    environment: str
    namespace: str
    holder: Holder
    deadline: Deadline
    tell: Callable[[str], None]
    step: Callable[[str], None]
    limit: int = RECORDS_KEPT
    clock: Callable[[], float] = steady
    pause: Callable[[float], None] = time.sleep
    _versions: dict[str, str] = field(default_factory=dict)  # of the records' objects, by name
    _known: dict[str, dict[str, Record]] = field(default_factory=dict)  # by app: its files may have moved
    _dropped: set[str] = field(default_factory=set)  # apps
    _told: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    # Inventories

    def inventory(self, target: Target) -> Inventory:
        expected = Inventory(target, self.source, self.namespace)
        document = self.cluster.get(CONFIG_MAPS, self.namespace, expected.name)
        return expected if document is None else replace(self._inventory(document), target=target)

    def inventories(self) -> tuple[Inventory, ...]:
        listed = self.cluster.list(CONFIG_MAPS, self.namespace, labels=self._selector(APPLYSET_ID))
        return tuple(self._inventory_or_problem(document) for document in listed.items)

    def _inventory_or_problem(self, document: Document) -> Inventory:
        try:
            return self._inventory(document)
        except (ClusterError, RefusedError) as error:
            self._tell_once(error.message)
            app = plain(str(document["metadata"]["labels"].get(APP)))
            target = Target(app, self.environment, "")
            return Inventory(target, self.source, self.namespace, problem=error.message)

    def _inventory(self, document: Document) -> Inventory:
        try:
            inventory = read_inventory(document, self.source, self.environment)
        except ValueError as error:
            raise ClusterError(
                f"{named(document)} is no inventory: {INVENTORY_KEY}: {plain(str(error))}.",
                hint="Restore the ConfigMap from a backup. Or delete it and deploy again: the objects are adopted "
                "then, and those that left Git meanwhile stay.",
            ) from error
        refuse_others(document, inventory)
        return replace(inventory, resource_version=str(document["metadata"].get("resourceVersion", "")))

    def keep(self, inventory: Inventory) -> Inventory:
        if inventory.problem:
            raise ClusterError(inventory.problem)
        written = self._put(inventory_object(inventory), f"the inventory of {inventory.target}")
        return replace(inventory, resource_version=str(written["metadata"]["resourceVersion"]))

    def drop(self, inventory: Inventory) -> None:
        for document in self._record_objects(inventory.target):
            self.cluster.delete(CONFIG_MAPS, self.namespace, document["metadata"]["name"])
        self.cluster.delete(CONFIG_MAPS, self.namespace, inventory.name)
        with self._lock:
            self._known.pop(inventory.target.app, None)
            self._dropped.add(inventory.target.app)

    # Records

    def records(self, target: Target | None = None) -> tuple[Record, ...]:
        found = [record for document in self._record_objects(target) if (record := self._record(document))]
        with self._lock:
            for app in {record.target.app for record in found} | ({target.app} if target else set()):
                self._known[app] = {record.name: record for record in found if record.target.app == app}
        return newest_first(found)

    def _record_objects(self, target: Target | None) -> tuple[Document, ...]:
        selector = self._selector(OUTCOME) + (f",{APP}={target.app}" if target else "")
        return self.cluster.list(CONFIG_MAPS, self.namespace, labels=selector).items

    def _record(self, document: Document) -> Record | None:
        try:
            record = read_record(document, self.source, self.environment)
        except ValueError as error:
            self._tell_once(f"{named(document)} is no record and is left out: {plain(str(error))}.")
            return None
        with self._lock:
            self._versions[record.name] = str(document["metadata"].get("resourceVersion", ""))
        return record

    def _tell_once(self, message: str) -> None:
        with self._lock:
            new = message not in self._told
            self._told.add(message)
        if new:
            self.tell(message)

    def write(self, record: Record) -> Record:
        record = masked(record)
        with self._lock:
            version = self._versions.get(record.name)
        document = self._put(record_object(record, self.namespace, version), f"the record of {record.target}")
        with self._lock:
            self._versions[record.name] = str(document["metadata"]["resourceVersion"])
            if record.target.app in self._known:
                self._known[record.target.app][record.name] = record
        if record.closed:
            self._let_go(record.target)
        return record

    def _let_go(self, target: Target) -> None:
        """The oldest records of the target, where there are too many. That this fails is no failure of a deploy."""
        try:
            if target.app not in self._known:
                self.records(target)
            for old in overdue(self._known[target.app].values(), self.limit):
                self.cluster.delete(CONFIG_MAPS, self.namespace, old.name)
                self._known[target.app].pop(old.name, None)
        except (ClusterError, TemporaryError) as error:
            self._tell_once(f"Old records of {target} stay: {error.message}")

    # Writing

    @contextmanager
    def writing(self, target: Target, *, patient: bool = True) -> Iterator[Writer]:
        name = Inventory(target, self.source, self.namespace).name
        labels = target_labels(target, self.source)
        lease = Lease(self.cluster, self.namespace, name, self.holder, str(target), labels, self.clock)
        lease.take(self.deadline if patient else Deadline.after(0), self.step, self.pause)
        try:
            lease.keep()
            yield lease
        finally:
            lease.release(remove=target.app in self._dropped)

    def _put(self, document: Document, what: str) -> Document:
        """Create it, or write it as the next version of what was read."""
        metadata = document["metadata"]
        try:
            return self.cluster.replace(document) if "resourceVersion" in metadata else self.cluster.create(document)
        except ApiError as error:
            if error.status != 409 and (error.status != 404 or "resourceVersion" not in metadata):
                raise
            live = self.cluster.get(CONFIG_MAPS, self.namespace, metadata["name"])
            if live is not None and live.get("data") == document["data"]:
                return live  # it was written; only the answer was lost
            raise TemporaryError(
                f"Another run has written {what} since we read it ({named(document)}).",
                hint="Run it again: it goes on from what is there.",
            ) from error

    # The key of plans

    def plan_key(self, *, make: bool = False) -> bytes | None:
        try:
            found = self.cluster.get(_SECRETS, self.namespace, PLAN_KEY)
            if found is None and make:
                found = self._make_plan_key()
        except ApiError as error:
            if error.status == 403:
                return None  # the plan says that Secrets' values are not part of it
            raise
        return _key(found) if found else None

    def _make_plan_key(self) -> Document | None:
        key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
        metadata = {"name": PLAN_KEY, "namespace": self.namespace}
        document = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": key}}
        try:
            return self.cluster.create(document)
        except ApiError as error:
            if error.status != 409:
                raise
            return self.cluster.get(_SECRETS, self.namespace, PLAN_KEY)

    def _selector(self, having: str) -> str:
        return f"{ENVIRONMENT}={self.environment},{SOURCE}={source_label(self.source)},{having}"


def _key(document: Document) -> bytes:
    """ClusterError where the Secret is none of ours: another key would make every plan look changed."""
    data: Mapping[str, Any] = document.get("data") or {}
    try:
        key = base64.b64decode(str(data.get("key") or ""), validate=True)
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise ClusterError(
            f"Secret {document['metadata'].get('namespace')}/{PLAN_KEY} holds no key of {_KEY_BYTES} bytes.",
            hint="Delete it; the next deploy makes a new one.",
        )
    register(str(data["key"]))
    return key
