"""What would disturb others on a cluster: a killed API server, webhooks and groups that are away, gone versions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import ApiError, Resource
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.core.fieldsets import entries
from ci_gitops.core.migration import outdated
from ci_gitops.errors import TemporaryError
from tests.adapters.test_migration_live import define, gear, migrate
from tests.contracts.cluster_rigs import config, until
from tests.rig.cluster import ApiServer, own_api_server

pytestmark = pytest.mark.xdist_group("restart")

MAPS = Resource("", "v1", "ConfigMap", "configmaps", True)
COUNT = 60


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with own_api_server() as made:
        yield made


def connected(server: ApiServer, **options: Any) -> Kubernetes:
    return Kubernetes(Access(None, str(server.cluster.kubeconfig)), "default", **options)


def test_a_server_that_is_killed_in_the_middle_loses_nothing(server: ApiServer) -> None:
    """No write is lost or made twice, and a watch goes on, or says that it must begin anew."""
    back, told = threading.Event(), []
    target = connected(server, tell=told.append, wait=lambda _: back.wait(60))
    begun, over, seen = threading.Event(), threading.Event(), set[str]()

    def watch() -> None:
        since = ""
        while not over.is_set():
            try:
                for event in target.watch(MAPS, "default", since=since, seconds=5):
                    since = event.document["metadata"]["resourceVersion"]
                    seen.add(event.document["metadata"]["name"])
                    if len(seen) >= COUNT:
                        return
            except ApiError as error:
                if error.status != 410:
                    raise
                listed = target.list(MAPS, "default")
                seen.update(item["metadata"]["name"] for item in listed.items)
                since = listed.resource_version

    def write(number: int) -> str:
        if number == COUNT // 3:
            begun.set()
        document = config(f"map-{number}", number=str(number))
        return str((target.apply if number % 2 else target.create)(document)["metadata"]["uid"])

    with ThreadPoolExecutor(5) as pool:
        watching = pool.submit(watch)
        writing = [pool.submit(write, number) for number in range(COUNT)]
        assert begun.wait(60)
        server.kill()
        server.revive()
        back.set()
        assert len({each.result(60) for each in writing}) == COUNT
        until(lambda: seen >= {f"map-{number}" for number in range(COUNT)}, "everything was seen")
        over.set()
        watching.result(60)
    assert {f"map-{number}" for number in range(COUNT)} <= {
        item["metadata"]["name"] for item in target.list(MAPS, "default").items
    }
    assert any("Try 1 of 3" in text for text in told)
    target.close()


def test_a_webhook_that_is_away_is_trouble_that_may_pass(server: ApiServer) -> None:
    waits: list[float] = []
    target = connected(server, wait=waits.append)
    target.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "guarded", "labels": {"guard": "yes"}}})
    target.apply({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "guard"},
        "webhooks": [{
            "name": "guard.example.com", "failurePolicy": "Fail", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/"},
            "namespaceSelector": {"matchLabels": {"guard": "yes"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
        }],
    })  # fmt: skip
    guarded = config("late") | {"metadata": {"name": "late", "namespace": "guarded"}}

    def asks() -> bool:
        try:
            target.apply(guarded, dry_run=True)
        except TemporaryError:
            return True
        return False

    until(asks, "the webhook is asked")
    waits.clear()
    with pytest.raises(TemporaryError, match=r'failed calling webhook "guard\.example\.com"') as caught:
        target.apply(guarded)
    assert waits == [1, 4]
    assert "guard.example.com about this object: are its pods running?" in str(caught.value.hint)
    target.close()


def test_a_group_whose_server_is_away_is_told(server: ApiServer) -> None:
    target = connected(server)
    assert target.stale == ()
    target.apply({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.gears.example.com"},
        "spec": {"group": "gears.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
                 "insecureSkipTLSVerify": True, "service": {"name": "gears", "namespace": "default"}},
    })  # fmt: skip

    def stale() -> bool:
        target.forget()
        return target.stale == ("gears.example.com/v1",)

    until(stale, "the group is told as stale")
    assert target.resource("apps/v1", "Deployment")
    with pytest.raises(TemporaryError, match="whether there is a kind Gear in gears"):
        target.resource("gears.example.com/v1", "Gear")
    target.close()


def test_a_version_that_is_no_longer_served(server: ApiServer) -> None:
    """Not on a cluster of others: an object that is left in such a version keeps every namespace from going."""
    target, kind = connected(server), "gear"
    define(target, kind, ("v1beta1", "colour", True))
    target.apply(gear(kind, "v1beta1", teeth=3))
    define(target, kind, ("v1beta1", "colour", False), ("v1", "colour", True))
    target.apply(gear(kind, "v1beta1", colour="red"), manager="somebody")  # stored as v1 from now on
    name = f"{kind}s.migration.example.com"
    stored = json.dumps({"status": {"storedVersions": ["v1"]}})
    server.cluster.kubectl("patch", "crd", name, "--subresource=status", "--type=merge", "-p", stored)
    define(target, kind, ("v1", "colour", True))
    newer = gear(kind, "v1", teeth=4)

    def refused() -> bool:
        try:
            target.apply(newer, dry_run=True)
        except ApiError as error:
            return outdated(error.message)
        return False

    until(refused, "the old version is gone")
    migrate(target, newer, "migration.example.com/v1")
    after = target.apply(newer)
    assert after["spec"] == {"teeth": 4, "colour": "red"}
    assert {entry.api_version for entry in entries(after)} == {"migration.example.com/v1"}
    target.close()
