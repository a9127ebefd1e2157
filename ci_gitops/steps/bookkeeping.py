"""The record of the deployment that is under way: every change of it is written before what comes next."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import Any

from ci_gitops.adapters.records.base import Ledger
from ci_gitops.core.records import HookRun, Record


class Book:
    """One open record. Safe to use from several threads."""

    def __init__(self, ledger: Ledger, record: Record) -> None:
        self._ledger = ledger
        self._lock = Lock()
        self._record = ledger.write(record)

    @property
    def record(self) -> Record:
        return self._record

    def note(self, **fields: Any) -> Record:
        """Change these fields of the record."""
        with self._lock:
            self._record = self._ledger.write(replace(self._record, **fields))
            return self._record

    def hook(self, ran: HookRun) -> None:
        """How a hook stands now, in place of what was written of it before."""
        with self._lock:
            same = (ran.phase, ran.group, ran.kind, ran.namespace, ran.name)
            others = tuple(
                hook for hook in self._record.hooks
                if (hook.phase, hook.group, hook.kind, hook.namespace, hook.name) != same
            )  # fmt: skip
            self._record = self._ledger.write(replace(self._record, hooks=(*others, ran)))
