"""Rendered manifests on a branch of their own, pushed to a real repository."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.branch_files import BranchFiles
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.core.rendered_commit import rendered_message
from ci_gitops.core.targets import Target
from ci_gitops.errors import RefusedError, TemporaryError, UsageError
from tests.rig.git_server import BareRepositories, run_git

AUTHOR = Person("Deployer", "deployer@example.com")
SHOP, CART = (Target(app, "production", f"apps/{app}") for app in ("shop", "cart"))


def config(value: str, name: str = "web") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}}


@pytest.fixture
def server(tmp_path: Path) -> BareRepositories:
    server = BareRepositories(tmp_path)
    server.create("config", {"apps/shop/a.yaml": b"a: 1\n"})
    return server


@contextmanager
def opened(server: BareRepositories, folder: str = "rendered", **options: Any) -> Iterator[BranchFiles]:
    with Repository.open(server.url("config"), GitAccess()) as repository:
        yield BranchFiles(repository, "deploy/production", folder, AUTHOR, sleep=lambda seconds: None, **options)


def files(server: BareRepositories) -> list[str]:
    return run_git("-C", server.bare("config"), "ls-tree", "-r", "--name-only", "deploy/production").split()


def test_a_missing_branch_is_made_with_nothing_but_manifests(server: BareRepositories) -> None:
    message = rendered_message("production", "f" * 40, [SHOP, CART])
    with opened(server) as branch:
        for target in (SHOP, CART):
            Directory(branch, target).apply(config("1"))
        assert "refs/heads/deploy/production" not in server.refs("config")  # nothing is seen before it is published
        branch.publish(message)
        Directory(branch, CART).publish(message)  # there is nothing left to say
    assert files(server) == [f"rendered/production/{app}/v1_configmap_web.yaml" for app in ("cart", "shop")]
    (written,) = server.messages("config", "deploy/production")
    assert written.startswith("render(production): cart, shop at ffffffffffff\n")
    assert "Ci-Gitops-Revision: " + "f" * 40 in written
    assert "Ci-Gitops-Target: production/cart\nCi-Gitops-Target: production/shop" in written


def test_a_target_is_pushed_without_what_another_one_has_only_begun(server: BareRepositories) -> None:
    with opened(server, ".") as branch:
        for target in (SHOP, CART):
            Directory(branch, target).apply(config("1"))
        Directory(branch, SHOP).publish("shop\n")
        assert files(server) == ["production/shop/v1_configmap_web.yaml"]
        Directory(branch, CART).publish("cart\n")
    assert server.messages("config", "deploy/production") == ["cart", "shop"]


def test_what_is_the_same_is_not_pushed_and_what_went_is_removed(server: BareRepositories) -> None:
    for value in ("1", "1", "2"):
        with opened(server, ".") as branch:
            directory = Directory(branch, SHOP)
            directory.apply(config(value))
            directory.apply(config(value, "other"))
            directory.publish("render\n")
    assert len(server.messages("config", "deploy/production")) == 2
    with opened(server, ".") as branch:
        assert branch.folders("") == ("production",)
        directory = Directory(branch, SHOP)
        resource = directory.resource("v1", "ConfigMap")
        assert resource
        assert len(directory.list(resource).items) == 2
        assert directory.delete(resource, "", "other")
        directory.publish("render\n")
    assert files(server) == ["production/shop/v1_configmap_web.yaml"]


def test_another_targets_push_is_built_upon_and_the_same_targets_wins(server: BareRepositories) -> None:
    with opened(server) as branch:
        Directory(branch, SHOP).apply(config("0"))
        branch.publish("first\n")
    with opened(server) as one, opened(server) as two, opened(server) as three:
        for branch, target in ((one, SHOP), (two, CART), (three, SHOP)):
            Directory(branch, target).apply(config("1", f"by-{id(branch)}"))
        one.publish("one\n")
        two.publish("two\n")
        with pytest.raises(TemporaryError, match=r"Another run wrote production/shop/.* first"):
            three.publish("three\n")
    assert server.messages("config", "deploy/production") == ["two", "one", "first"]
    assert len(files(server)) == 3


def test_a_protected_branch_is_told_in_the_servers_words(server: BareRepositories) -> None:
    server.reject("config", "deploy branches are protected")
    with opened(server) as branch:
        Directory(branch, SHOP).apply(config("1"))
        with pytest.raises(RefusedError, match="deploy branches are protected"):
            branch.publish("render\n")


def test_a_folder_is_one_of_the_repository(server: BareRepositories) -> None:
    for folder in ("/etc", "../other", "a/../../b"):
        with pytest.raises(UsageError, match="outside of the repository"), opened(server, folder):
            pass
