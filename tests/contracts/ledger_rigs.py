"""Each place of records, ready to be tried: one rig opens ledgers, and breaks what they keep as a person might."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.files import LocalFiles
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.cluster.simulated import Simulated
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records import Ledger, open_ledger
from ci_gitops.adapters.records.lease import Holder
from ci_gitops.adapters.records.objects import CONFIG_MAPS
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target

NAMES = ("kubernetes", "simulated", "folder")


def nothing(message: str) -> None:
    """Nobody listens."""


class LedgerRig(Protocol):
    told: list[str]

    def open(self, source: str = ..., environment: str = ..., *, said: str = ..., seconds: float = ...) -> Ledger: ...

    def break_inventory(self, inventory: Inventory, content: str) -> None: ...

    def break_record(self, record: Record, content: str) -> None: ...


@dataclass
class ClusterRig:
    """A real API server, or a simulated one: what a person changes is changed through the same door."""

    connect: Callable[[], Cluster]
    namespace: str
    told: list[str] = field(default_factory=list)
    _open: list[Cluster] = field(default_factory=list)

    def cluster(self) -> Cluster:
        self._open.append(self.connect())
        return self._open[-1]

    def open(
        self, source: str = "acme", environment: str = "production", *, said: str = "this test", seconds: float = 0.0
    ) -> Ledger:
        return open_ledger(
            self.cluster(), source=source, environment=environment, holder=Holder(f"id of {said}", said),
            deadline=Deadline.after(seconds), tell=self.told.append, step=nothing,
        )  # fmt: skip

    def break_inventory(self, inventory: Inventory, content: str) -> None:
        self._change(inventory.name, {"inventory.json": content})

    def break_record(self, record: Record, content: str) -> None:
        self._change(record.name, {"record.json": content})

    def _change(self, name: str, data: dict[str, str]) -> None:
        cluster = self.cluster()
        live = cluster.get(CONFIG_MAPS, self.namespace, name)
        assert live is not None
        cluster.replace({**live, "data": data})

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


def make(name: str, request: pytest.FixtureRequest) -> ClusterRig | FolderRig:
    folder: Path = request.getfixturevalue("tmp_path")
    if name == "folder":
        return FolderRig(folder)
    if name == "simulated":
        rig = ClusterRig(lambda: Simulated(folder / "cluster.json", "shop"), "shop")
        rig.cluster().create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        return rig
    cluster, namespace = request.getfixturevalue("cluster"), request.getfixturevalue("namespace")
    access = Access(None, str(cluster.kubeconfig))
    return ClusterRig(lambda: Kubernetes(access, namespace), namespace)
