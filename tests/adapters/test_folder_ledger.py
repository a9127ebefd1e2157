"""What only a folder's ledger does; the promises of every ledger are in tests/contracts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.branch_files import BranchFiles
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.files import Files, LocalFiles
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.adapters.records import Ledger, open_ledger
from ci_gitops.core.inventory import Key, Member
from ci_gitops.core.records import open_record
from ci_gitops.core.targets import Target
from ci_gitops.errors import ClusterError, RefusedError, TemporaryError
from tests.rig.git_server import BareRepositories, run_git

TARGET = Target("shop", "production", "apps/shop")
MEMBER = Member(Key("apps", "Deployment", "shop", "web"), "v1", "uid")
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def ledger(files: Files, source: str = "acme", tell: Any = lambda message: None) -> Ledger:
    return open_ledger(
        Directory(files, TARGET), source=source, environment="production", tell=tell, step=lambda message: None
    )


def deployed(ledger: Ledger, revision: str = "a" * 40) -> None:
    inventory = ledger.inventory(TARGET)
    record = open_record(inventory, ledger.records(TARGET), now=NOW, revision=revision, rendered="r")
    ledger.write(record)
    ledger.keep(replace(inventory, members=(MEMBER,), revision=revision))
    ledger.write(replace(record, outcome="succeeded", finished="2026-11-21T10:00:01Z"))


def test_what_is_kept_is_there_for_the_next_run(tmp_path: Path) -> None:
    deployed(ledger(LocalFiles(tmp_path)))
    again = ledger(LocalFiles(tmp_path))
    assert again.inventory(TARGET).members == (MEMBER,)
    assert [found.target.app for found in again.inventories()] == ["shop"]
    (record,) = again.records()
    assert (record.outcome, record.revision) == ("succeeded", "a" * 40)
    folders = sorted(str(file.relative_to(tmp_path).parent) for file in tmp_path.rglob("*.json"))
    assert folders == [".ci-gitops/inventory/production/shop", ".ci-gitops/records/production/shop"]
    again.drop(again.inventory(TARGET))
    assert again.records() == ()
    assert again.inventories() == ()
    assert not list(tmp_path.rglob("*.json"))


def test_a_run_that_read_before_another_wrote_gives_way(tmp_path: Path) -> None:
    one, other = ledger(LocalFiles(tmp_path)), ledger(LocalFiles(tmp_path))
    before = one.inventory(TARGET)
    kept = other.keep(replace(other.inventory(TARGET), revision="b" * 40))
    with pytest.raises(TemporaryError, match="Another run has written the inventory of shop in production"):
        one.keep(replace(before, revision="a" * 40))
    with pytest.raises(TemporaryError, match="Another run"):
        one.keep(replace(before, revision="c" * 40, resource_version="old"))
    assert other.keep(replace(kept, revision="d" * 40)).revision == "d" * 40


def test_another_sources_manifests_are_not_taken(tmp_path: Path) -> None:
    deployed(ledger(LocalFiles(tmp_path)))
    other = ledger(LocalFiles(tmp_path), "another")
    with pytest.raises(RefusedError, match="held by another source: acme"):
        other.inventory(TARGET)
    assert other.inventories() == ()
    assert other.records() == ()


def test_what_cannot_be_read_is_never_taken_for_nothing(tmp_path: Path) -> None:
    deployed(ledger(LocalFiles(tmp_path)))
    (inventory,) = (tmp_path / ".ci-gitops/inventory").rglob("*.json")
    (record,) = (tmp_path / ".ci-gitops/records").rglob("*.json")
    document = json.loads(inventory.read_text())
    inventory.write_text(json.dumps({**document, "members": [["apps"]]}))
    record.write_text("{}")
    told: list[str] = []
    damaged = ledger(LocalFiles(tmp_path), tell=told.append)
    with pytest.raises(ClusterError, match="is no inventory"):
        damaged.inventory(TARGET)
    (found,) = damaged.inventories()
    assert found.problem
    assert found.members == ()
    with pytest.raises(ClusterError, match="is no inventory"):
        damaged.keep(found)
    assert damaged.records() == damaged.records(TARGET) == ()
    assert len(told) == 2


def test_a_second_writer_is_told_who_is_the_first(tmp_path: Path) -> None:
    one, other = ledger(LocalFiles(tmp_path)), ledger(LocalFiles(tmp_path))
    with one.writing(TARGET) as writer:
        writer.check()
        with (
            pytest.raises(TemporaryError, match=r"shop in production: process \d+ on .* is writing"),
            other.writing(TARGET),
        ):
            pass
    with other.writing(TARGET):
        pass


def test_on_a_branch_all_is_one_commit(tmp_path: Path) -> None:
    server = BareRepositories(tmp_path)
    url = server.create("config", {"a": b""})
    for revision in ("a" * 40, "b" * 40):
        with Repository.open(url, GitAccess()) as repository:
            branch = BranchFiles(repository, "rendered", ".", Person("A", "a@example.com"))
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": revision}}
            with ledger(branch).writing(TARGET) as writer:
                writer.check()
                Directory(branch, TARGET).apply(document)
                deployed(ledger(branch), revision)
            branch.publish(f"render {revision[0]}\n")
    assert server.messages("config", "rendered") == ["render b", "render a"]
    names = run_git("-C", server.bare("config"), "ls-tree", "-r", "--name-only", "rendered").split()
    assert [name.rpartition("/")[0] for name in names] == [
        ".ci-gitops/inventory/production/shop",
        *[".ci-gitops/records/production/shop"] * 2,
        "production/shop",
    ]
