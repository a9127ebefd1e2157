"""Each place of records, ready to be tried: one rig opens ledgers, and breaks what they keep as a person might."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.files import LocalFiles
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records import Ledger, open_ledger
from ci_gitops.adapters.records.lease import Holder
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target

NAMES = ("kubernetes", "folder")


def nothing(message: str) -> None:
    """Nobody listens."""


class LedgerRig(Protocol):
    told: list[str]

    def open(self, source: str = ..., environment: str = ..., *, said: str = ..., seconds: float = ...) -> Ledger: ...

    def break_inventory(self, inventory: Inventory, content: str) -> None: ...

    def break_record(self, record: Record, content: str) -> None: ...


@dataclass
class KubernetesRig:
    kubeconfig: Path
    namespace: str
    kubectl: Callable[..., str]
    told: list[str] = field(default_factory=list)
    _open: list[Kubernetes] = field(default_factory=list)

    def cluster(self) -> Kubernetes:
        self._open.append(Kubernetes(Access(None, str(self.kubeconfig)), self.namespace))
        return self._open[-1]

    def open(
        self, source: str = "acme", environment: str = "production", *, said: str = "this test", seconds: float = 0.0
    ) -> Ledger:
        return open_ledger(
            self.cluster(), source=source, environment=environment, holder=Holder(f"id of {said}", said),
            deadline=Deadline.after(seconds), tell=self.told.append, step=nothing,
        )  # fmt: skip

    def break_inventory(self, inventory: Inventory, content: str) -> None:
        self._patch(inventory.name, {"data": {"inventory.json": content}})

    def break_record(self, record: Record, content: str) -> None:
        self._patch(record.name, {"data": {"record.json": content}})

    def _patch(self, name: str, patch: Any) -> None:
        self.kubectl("patch", "configmap", name, "-n", self.namespace, "--type=merge", "-p", json.dumps(patch))

    def close(self) -> None:
        for cluster in self._open:
            cluster.close()


@dataclass
class FolderRig:
    folder: Path
    told: list[str] = field(default_factory=list)

    def open(
        self, source: str = "acme", environment: str = "production", *, said: str = "this test", seconds: float = 0.0
    ) -> Ledger:
        where = Directory(LocalFiles(self.folder), Target("shop", environment, "."))
        return open_ledger(
            where, source=source, environment=environment, holder=Holder(f"id of {said}", said),
            deadline=Deadline.after(seconds), tell=self.told.append, step=nothing,
        )  # fmt: skip

    def break_inventory(self, inventory: Inventory, content: str) -> None:
        self._write(inventory.name, content)

    def break_record(self, record: Record, content: str) -> None:
        self._write(record.name, content)

    def _write(self, name: str, content: str) -> None:
        (file,) = self.folder.rglob(f"{name}.json")
        file.write_text(content)

    def close(self) -> None:
        """Files need none."""


def make(name: str, request: pytest.FixtureRequest) -> KubernetesRig | FolderRig:
    if name == "folder":
        return FolderRig(request.getfixturevalue("tmp_path"))
    cluster = request.getfixturevalue("cluster")
    return KubernetesRig(cluster.kubeconfig, request.getfixturevalue("namespace"), cluster.kubectl)
