"""Inventories and records of a destination `dir:`: files below `.ci-gitops/` of the folder or branch itself.

`.ci-gitops/inventory/ENVIRONMENT/APP/NAME.json` and `.ci-gitops/records/ENVIRONMENT/APP/NAME.json`. On a branch they
are part of the commit that holds the manifests; in a folder a lock keeps other runs away meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any

from ci_gitops.adapters.cluster.files import INVENTORIES, OURS, RECORDS, Files
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Writer
from ci_gitops.adapters.records.cluster import RECORDS_KEPT
from ci_gitops.adapters.records.lease import Holder
from ci_gitops.adapters.records.objects import masked
from ci_gitops.core.inventory import Inventory, parse_inventory
from ci_gitops.core.records import Record, newest_first, overdue, parse_record
from ci_gitops.core.targets import Target
from ci_gitops.core.text import plain
from ci_gitops.errors import ClusterError, RefusedError, TemporaryError

_INVENTORIES = f"{OURS}/{INVENTORIES}"
_RECORDS = f"{OURS}/{RECORDS}"
_LOCKS = f"{OURS}/locks"
_LOOK_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Locked:
    """The kernel keeps a lock as long as its process lives: it is never lost."""

    def check(self) -> None:
        """Nothing can have happened."""

    def superseded(self) -> str | None:
        """Nothing is waited for in a folder."""
        return None


@dataclass(slots=True)
class FolderLedger:
    """The inventories and records of one environment of one source. `tell` takes what a person should know."""

    files: Files
    source: str
    environment: str
    holder: Holder
    deadline: Deadline
    tell: Callable[[str], None]
    step: Callable[[str], None]
    limit: int = RECORDS_KEPT
    pause: Callable[[float], None] = time.sleep
    _told: set[str] = field(default_factory=set)
    _lock: RLock = field(default_factory=RLock)

    # Inventories

    def inventory(self, target: Target) -> Inventory:
        expected = Inventory(target, self.source, "")
        held = self.files.contents(f"{_INVENTORIES}/{self.environment}/{target.app}")
        for name in sorted(held.keys() - {f"{expected.name}.json"}):
            self._refuse_another(target, name, held[name])
        content = held.get(f"{expected.name}.json")
        return expected if content is None else replace(self._inventory(content, expected), target=target)

    def _refuse_another(self, target: Target, name: str, content: bytes) -> None:
        """One folder holds the manifests of one source."""
        try:
            owner = parse_inventory(_text(content), "").source
        except ValueError:
            return
        raise RefusedError(
            f"{target} in {self.files} is held by another source: {plain(owner)} ({name}).",
            hint="Give one of the two another folder or branch.",
        )

    def inventories(self) -> tuple[Inventory, ...]:
        return tuple(
            found for app in self.files.folders(f"{_INVENTORIES}/{self.environment}")
            if (found := self._of_app(Target(app, self.environment, "")))
        )  # fmt: skip

    def _of_app(self, target: Target) -> Inventory | None:
        """None where only other sources keep one."""
        expected = Inventory(target, self.source, "")
        content = self.files.read(self._inventory_path(expected))
        if content is None:
            return None
        try:
            return self._inventory(content, expected)
        except ClusterError as error:
            self._tell_once(error.message)
            return replace(expected, problem=error.message)

    def _inventory(self, content: bytes, expected: Inventory) -> Inventory:
        path = self._inventory_path(expected)
        try:
            inventory = parse_inventory(_text(content), "")
            if inventory.name != expected.name:
                raise ValueError(f"it speaks of {inventory.target} of {inventory.source}")
        except ValueError as error:
            raise ClusterError(
                f"{path} in {self.files} is no inventory: {plain(str(error))}.",
                hint="Restore the file. Or delete it and deploy again: the manifests are adopted then, and those that "
                "left Git meanwhile stay.",
            ) from error
        return replace(inventory, resource_version=_version(content))

    def keep(self, inventory: Inventory) -> Inventory:
        if inventory.problem:
            raise ClusterError(inventory.problem)
        path, content = self._inventory_path(inventory), _json(inventory.document)
        with self._lock:
            there = self.files.read(path)
            if there is not None and there != content and _version(there) != inventory.resource_version:
                raise self._overtaken(f"the inventory of {inventory.target}")
            if there is None and inventory.resource_version:
                raise self._overtaken(f"the inventory of {inventory.target}")
            if there != content:
                self.files.write(path, content)
        return replace(inventory, resource_version=_version(content))

    def _overtaken(self, what: str) -> TemporaryError:
        return TemporaryError(
            f"Another run has written {what} in {self.files} since we read it.",
            hint="Run it again: it goes on from what is there.",
        )

    def drop(self, inventory: Inventory) -> None:
        folder = self._records_folder(inventory.target)
        for name in self._record_files(inventory.target):
            self.files.remove(f"{folder}/{name}")
        self.files.remove(self._inventory_path(inventory))

    def _inventory_path(self, inventory: Inventory) -> str:
        return f"{_INVENTORIES}/{self.environment}/{inventory.target.app}/{inventory.name}.json"

    # Records

    def records(self, target: Target | None = None) -> tuple[Record, ...]:
        apps = (target.app,) if target else self.files.folders(f"{_RECORDS}/{self.environment}")
        found = (
            self._record(name, content)
            for app in apps
            for name, content in self._record_files(Target(app, self.environment, "")).items()
        )
        return newest_first(record for record in found if record)

    def _record_files(self, target: Target) -> Mapping[str, bytes]:
        """Those of our source, whose records are named after its inventory."""
        ours = f"{Inventory(target, self.source, '').name}."
        held = self.files.contents(self._records_folder(target))
        return {name: content for name, content in held.items() if name.startswith(ours) and name.endswith(".json")}

    def _records_folder(self, target: Target) -> str:
        return f"{_RECORDS}/{self.environment}/{target.app}"

    def _record(self, name: str, content: bytes) -> Record | None:
        try:
            record = parse_record(_text(content))
            if (record.source, record.target.environment) != (self.source, self.environment):
                raise ValueError(f"it speaks of {record.target} of {record.source}")
            if f"{record.name}.json" != name:
                raise ValueError(f"it holds the record {record.name}")
        except ValueError as error:
            self._tell_once(f"{name} in {self.files} is no record and is left out: {plain(str(error))}.")
            return None
        return record

    def _tell_once(self, message: str) -> None:
        with self._lock:
            new = message not in self._told
            self._told.add(message)
        if new:
            self.tell(message)

    def write(self, record: Record) -> Record:
        record = masked(record)
        folder = self._records_folder(record.target)
        self.files.write(f"{folder}/{record.name}.json", _json(record.document))
        if record.closed:
            for old in overdue(self.records(record.target), self.limit):
                self.files.remove(f"{folder}/{old.name}.json")
        return record

    # Writing

    @contextmanager
    def writing(self, target: Target, *, patient: bool = True) -> Iterator[Writer]:
        with ExitStack() as held:
            self._take(held, target, self.deadline if patient else Deadline.after(0))
            yield Locked()

    def _take(self, held: ExitStack, target: Target, deadline: Deadline) -> None:
        told = False
        while True:
            try:
                held.enter_context(self.files.lock(f"{_LOCKS}/{self.environment}.{target.app}", self.holder.said))
                return
            except TemporaryError as error:
                if deadline.over:
                    raise TemporaryError(f"{target}: {error.message}", hint=error.hint) from error
                if not told:
                    self.step(f"{target}: waiting: {error.message}")
                    told = True
            self.pause(min(_LOOK_EVERY, deadline.left()))

    def plan_key(self, *, make: bool = False) -> bytes | None:
        """None: manifests are there to be seen, and a key beside them would be no secret."""
        return None


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _text(content: bytes) -> str:
    return content.decode()  # an error of it is a ValueError too


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
