"""What only a cluster's ledger does, on a real API server; the promises of every ledger are in tests/contracts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.cluster import PLAN_KEY, ClusterLedger
from ci_gitops.adapters.records.lease import Holder
from ci_gitops.core.inventory import Inventory, Key, Member, owner_labels
from ci_gitops.core.records import Record, open_record
from ci_gitops.core.targets import Target
from ci_gitops.errors import ClusterError, RefusedError, TemporaryError
from tests.rig.cluster import Cluster

SHOP = Target("shop", "production", "apps/shop")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MEMBERS = (
    Member(Key("apps", "Deployment", "shop", "web"), "v1", "uid-1"),
    Member(Key("", "ConfigMap", "other", "web"), "v1", "uid-2"),
    Member(Key("rbac.authorization.k8s.io", "ClusterRole", "", "reader"), "v1", "uid-3"),
)


@dataclass
class Place:
    """One namespace of the cluster, with ledgers in it."""

    kubernetes: Kubernetes
    cluster: Cluster
    namespace: str
    told: list[str]

    def ledger(self, **more: Any) -> ClusterLedger:
        given: dict[str, Any] = {
            "source": "acme", "environment": "production", "namespace": self.namespace,
            "holder": Holder("id", "this test"), "deadline": Deadline.after(0), "tell": self.told.append,
            "step": self.told.append, **more,
        }  # fmt: skip
        return ClusterLedger(self.kubernetes, **given)

    def config_map(self, name: str) -> Any:
        return self.cluster.get("configmap", name, self.namespace)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(*arguments, "-n", self.namespace)


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    kubernetes = Kubernetes(Access(None, str(cluster.kubeconfig)), namespace)
    yield Place(kubernetes, cluster, namespace, [])
    kubernetes.close()


def opened(ledger: ClusterLedger, minute: int = 0) -> Record:
    now = NOON + timedelta(minutes=minute)
    return open_record(ledger.inventory(SHOP), (), now=now, revision="a" * 40, rendered="sha256:1")


# The inventory is an ApplySet


def test_an_inventory_is_an_applyset_that_others_can_read(place: Place) -> None:
    ledger = place.ledger(source="https://git.example.com/acme/config.git")
    kept = ledger.keep(replace(ledger.inventory(SHOP), members=MEMBERS))
    metadata = place.config_map(kept.name)["metadata"]
    assert metadata["labels"]["applyset.kubernetes.io/id"] == kept.applyset
    assert metadata["labels"]["ci-gitops/app"] == "shop"
    assert metadata["labels"]["ci-gitops/environment"] == "production"
    assert metadata["annotations"] == {
        "applyset.kubernetes.io/tooling": "ci-gitops/v1",
        "applyset.kubernetes.io/contains-group-kinds": (
            "ClusterRole.rbac.authorization.k8s.io,ConfigMap,Deployment.apps"
        ),
        "applyset.kubernetes.io/additional-namespaces": "other,shop",
        "ci-gitops/source": "https://git.example.com/acme/config.git",
    }


def test_kubectl_leaves_our_set_alone_and_we_leave_its(place: Place) -> None:
    ledger = place.ledger()
    kept = ledger.keep(ledger.inventory(SHOP))
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}}
    assert "ci-gitops" in _applyset(place, kept, manifest)
    place.kubectl("delete", "configmap", kept.name)
    assert _applyset(place, kept, manifest) == ""
    with pytest.raises(RefusedError, match="ApplySet of another tool: kubectl/v"):
        _shaped(place, ledger, kept)


def _applyset(place: Place, kept: Inventory, manifest: dict[str, Any]) -> str:
    """What kubectl complains of when it applies `manifest` as the set of that parent."""
    program = str(place.cluster.programs / "kubectl") if place.cluster.programs else "kubectl"
    done = subprocess.run(
        [program, "--kubeconfig", str(place.cluster.kubeconfig), "apply", "-n", place.namespace, "--prune",
         f"--applyset=configmaps/{kept.name}", "-f", "-"],
        input=json.dumps(manifest), env={**os.environ, "KUBECTL_APPLYSET": "true"}, check=False, text=True,
        capture_output=True,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


def _shaped(place: Place, ledger: ClusterLedger, kept: Inventory) -> None:
    """Read their parent as if somebody had put our content and labels into it."""
    patch = {
        "data": {"inventory.json": json.dumps(kept.document)},
        "metadata": {"labels": {name: value for name, value in owner_labels(kept).items() if "part-of" not in name}},
    }
    place.kubectl("patch", "configmap", kept.name, "--type=merge", "-p", json.dumps(patch))
    (listed,) = ledger.inventories()
    assert "another tool" in listed.problem
    ledger.inventory(SHOP)


def test_a_parent_that_is_not_what_its_label_says_is_refused(place: Place) -> None:
    ledger = place.ledger()
    kept = ledger.keep(ledger.inventory(SHOP))
    place.kubectl("label", "--overwrite", "configmap", kept.name, "applyset.kubernetes.io/id=applyset-other-v1")
    with pytest.raises(RefusedError, match="does not stand for the set of its name"):
        ledger.inventory(SHOP)


def test_two_sources_keep_two_inventories_of_the_same_names(place: Place) -> None:
    ours, theirs = place.ledger(source="acme"), place.ledger(source="other")
    kept = ours.keep(replace(ours.inventory(SHOP), members=MEMBERS))
    assert theirs.inventory(SHOP).members == ()
    also = theirs.keep(theirs.inventory(SHOP))
    assert kept.name != also.name
    assert owner_labels(kept) != owner_labels(also)
    assert len(ours.inventories()) == len(theirs.inventories()) == 1


def test_a_namespace_that_is_missing_holds_nothing_and_takes_nothing(place: Place) -> None:
    ledger = place.ledger(namespace=f"{place.namespace}-missing")
    assert (ledger.inventories(), ledger.records(), ledger.inventory(SHOP).members) == ((), (), ())
    with pytest.raises(ClusterError, match="missing"):
        ledger.write(opened(ledger))


def test_an_inventory_of_thousands_fits(place: Place) -> None:
    uid = "01234567-89ab-cdef-0123-456789abcdef"
    members = tuple(
        Member(Key("apps", "Deployment", "shop", f"some-deployment-with-a-name-{number}"), "v1", uid)
        for number in range(5000)
    )
    ledger = place.ledger()
    ledger.keep(replace(ledger.inventory(SHOP), members=members))
    assert len(ledger.inventory(SHOP).members) == 5000


# Records


def test_a_record_is_labelled_for_people_who_select(place: Place) -> None:
    ledger = place.ledger()
    record = ledger.write(opened(ledger))
    select = "ci-gitops/app=shop,ci-gitops/environment=production,ci-gitops/outcome"
    assert record.name in place.kubectl("get", "configmaps", "-l", f"{select}=running", "-o", "name")
    ledger.write(replace(record, outcome="succeeded", finished=record.started))
    assert record.name in place.kubectl("get", "configmaps", "-l", f"{select}=succeeded", "-o", "name")
    content = json.loads(place.config_map(record.name)["data"]["record.json"])
    assert (content["kind"], content["outcome"]) == ("Record", "succeeded")


def test_a_record_that_somebody_else_changed_is_not_overwritten(place: Place) -> None:
    one, two = place.ledger(), place.ledger()
    record = one.write(opened(one))
    two.records()
    two.write(replace(record, outcome="failed"))
    with pytest.raises(TemporaryError, match="Another run has written the record of shop in production"):
        one.write(replace(record, outcome="succeeded"))


def test_what_was_written_already_is_no_conflict(place: Place) -> None:
    """The answer to a write may be lost, and the write be tried again."""
    one, two = place.ledger(), place.ledger()
    record = opened(one)
    assert one.write(record) == two.write(record)
    kept = one.keep(one.inventory(SHOP))
    assert two.keep(replace(kept, resource_version="")) == kept


# The key of plans


def test_the_key_is_a_secret_that_runs_share(place: Place) -> None:
    key = place.ledger().plan_key(make=True)
    assert key is not None
    assert len(key) == 32
    assert place.ledger(environment="staging").plan_key() == key


def test_a_secret_that_holds_no_key_is_told(place: Place) -> None:
    place.kubectl("create", "secret", "generic", PLAN_KEY, "--from-literal=key=c2hvcnQ=")
    with pytest.raises(ClusterError, match="holds no key of 32 bytes"):
        place.ledger().plan_key()


def test_an_account_that_may_not_read_secrets_goes_without(
    place: Place, restricted: Callable[[str], Kubernetes]
) -> None:
    place.ledger().plan_key(make=True)
    place.kubernetes = restricted(place.namespace)
    assert place.ledger().plan_key(make=True) is None


@pytest.fixture
def restricted(cluster: Cluster, tmp_path: Any) -> Iterator[Callable[[str], Kubernetes]]:
    """The account `default` of a namespace, which may do nothing."""
    made: list[Kubernetes] = []

    def account(namespace: str) -> Kubernetes:
        token = cluster.kubectl("create", "token", "default", "-n", namespace).strip()
        config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(config))
        made.append(Kubernetes(Access(None, str(file)), namespace))
        return made[-1]

    yield account
    for kubernetes in made:
        kubernetes.close()
