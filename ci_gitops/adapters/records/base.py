"""What every place of records can do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target


class Writer(Protocol):
    """The right to write to one target, as long as it lasts."""

    def check(self) -> None:
        """TemporaryError where the right was lost, to whom it says: nothing more may be written."""

    def superseded(self) -> str | None:
        """A newer revision that another run waits to bring; None where there is none."""


class Ledger(Protocol):
    """Inventories and records of one environment of one source, in one place. Safe to use from several threads."""

    source: str
    environment: str

    def inventory(self, target: Target) -> Inventory:
        """What the target holds; an empty one that is not kept yet where it was never deployed.

        ClusterError where it cannot be read, RefusedError where it is another tool's: it is never taken for empty.
        """

    def inventories(self) -> tuple[Inventory, ...]:
        """Of all targets of the environment that were ever deployed and not deleted.

        One that cannot be read is told and has its `problem` and no members; `inventory` raises for it.
        """

    def keep(self, inventory: Inventory) -> Inventory:
        """Write it down, as the next version of what was read; TemporaryError where another run wrote since."""

    def drop(self, inventory: Inventory) -> None:
        """The target holds nothing any more; its records go with it."""

    def records(self, target: Target | None = None) -> tuple[Record, ...]:
        """Newest first. One that cannot be read is told and left out."""

    def write(self, record: Record) -> Record:
        """Open, change or close a record. Closing one lets the oldest of the target go."""

    def writing(self, target: Target, *, patient: bool = True) -> AbstractContextManager[Writer]:
        """Be the one who writes to the target.

        Waits for another run until the ledger's deadline (not `patient`: not at all), then TemporaryError that names
        it.
        """

    def plan_key(self, *, make: bool = False) -> bytes | None:
        """The key of secrets' digests in plans; with `make` there is one from now on."""
