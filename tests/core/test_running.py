"""What runs, as records tell it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ci_gitops.core.health import Health
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Failure, Record, open_record, stamp
from ci_gitops.core.running import as_it_lives, from_records
from ci_gitops.core.target_images import images_in
from ci_gitops.core.targets import Target
from ci_gitops.core.update_work import TargetFiles
from tests.core.trees import MemoryTree

WELL = Health("healthy", "All is well.")
SHOP = Target("shop", "staging", "apps/shop/overlays/staging")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WEB = "registry.example.com/shop/web"


def record(minutes: int, outcome: Any = "succeeded", **more: Any) -> Record:
    """Of a deployment that began so many minutes after noon and took one."""
    start = NOON + timedelta(minutes=minutes)
    fields = {"revision": f"{minutes:02}" * 20, "rendered": f"sha256:{minutes}", **more}
    made = open_record(Inventory(SHOP, "acme", "shop"), (), now=start, revision=fields.pop("revision"),
                       rendered=fields.pop("rendered"), cause=fields.pop("cause", "deploy"))  # fmt: skip
    finished = None if outcome == "running" else stamp(start + timedelta(minutes=1))
    return replace(made, outcome=outcome, finished=finished, images=(f"{WEB}:{minutes}",), **fields)


def seconds(minutes: int) -> int:
    return int((NOON + timedelta(minutes=minutes)).timestamp())


def test_the_newest_success_runs_since_its_end() -> None:
    found = from_records(SHOP, [record(1), record(5), record(3, "failed")])
    assert (found.healthy, found.images, found.revision) == (True, (f"{WEB}:5",), "05" * 20)
    assert (found.since, found.evidence) == (seconds(6), "records")
    assert found.reason == "Healthy since 2026-11-21T12:06:00Z, at 050505050505, as its deployment record says."


def test_what_is_under_way_hides_nothing_and_what_gave_way_is_nothing() -> None:
    found = from_records(SHOP, [record(1), record(5, "superseded"), record(7, "running")])
    assert (found.healthy, found.images, found.since) == (True, (f"{WEB}:1",), seconds(2))
    assert "a newer deployment (070707070707) is under way since 2026-11-21T12:07:00Z" in found.reason


def test_a_failure_and_a_deployment_that_nobody_waited_for_never_count() -> None:
    failure = Failure("degraded", "Deployment shop/web: ImagePullBackOff.")
    failed = from_records(SHOP, [record(1), record(5, "failed", failure=failure)])
    assert (failed.healthy, failed.since, failed.images) == (False, 0, (f"{WEB}:5",))
    assert failed.reason.endswith("failed at 2026-11-21T12:06:00Z: Deployment shop/web: ImagePullBackOff.")
    applied = from_records(SHOP, [record(1), record(5, "applied")])
    assert (applied.healthy, applied.since) == (False, 0)
    assert "nobody waited for its health" in applied.reason


def test_a_way_back_counts_and_healing_begins_nothing_new() -> None:
    back = from_records(SHOP, [record(1), record(5, "failed"), record(6, cause="rollback")])
    assert (back.healthy, back.since) == (True, seconds(7))
    healed = from_records(SHOP, [record(1), record(5, cause="heal", rendered="sha256:1")])
    assert (healed.healthy, healed.since) == (True, seconds(2))


def test_nothing_runs() -> None:
    never = from_records(SHOP, [])
    assert (never.healthy, never.deployed, never.reason) == (False, False, "Nothing of it was deployed to staging yet.")
    assert "under way since" in from_records(SHOP, [record(1, "running")]).reason
    assert "deleted" in from_records(SHOP, [record(1), record(5, cause="delete")]).reason


# What a tree declares


def test_the_images_of_an_overlay_with_its_bases() -> None:
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"
        "      containers:\n      - {name: web, image: web}\n      - {name: cache, image: 'redis:7'}\n"
    )
    tree = MemoryTree({
        "base/deployment.yaml": deployment,
        "base/kustomization.yaml": "resources: [deployment.yaml]\n",
        "overlays/staging/kustomization.yaml":
            f"resources: [../../base]\nimages:\n- {{name: web, newName: {WEB}, newTag: '1.2'}}\n",
    })  # fmt: skip
    files = TargetFiles(Target("shop", "staging", "overlays/staging"))
    assert images_in(tree, files) == ("redis:7", f"{WEB}:1.2")


def test_the_images_of_values_are_those_of_all_files_together() -> None:
    digest = "sha256:" + "a" * 64
    tree = MemoryTree({
        "chart/values.yaml": f"image: {{repository: {WEB}, tag: 1.10, pullPolicy: Always}}\n",
        "chart/values-staging.yaml": f"image: {{tag: 1.20, digest: '{digest}'}}\n",
    })  # fmt: skip
    both = ("chart/values.yaml", "chart/values-staging.yaml")
    files = TargetFiles(Target("shop", "staging", "chart/values-staging.yaml"), values=both)
    assert images_in(tree, files) == (f"{WEB}:1.20@{digest}",)


def test_the_images_of_plain_manifests() -> None:
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: a, image: '{WEB}:1'}}]}}\n"
    tree = MemoryTree({"plain/staging/pod.yaml": pod, "plain/staging/README": WEB})
    assert images_in(tree, TargetFiles(Target("shop", "staging", "plain/staging"))) == (f"{WEB}:1",)


# With a look at what runs now


def test_a_tag_gets_the_one_digest_that_its_pods_run() -> None:
    digest, other = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    found = from_records(SHOP, [record(1)])
    assert as_it_lives(found, WELL, {f"{WEB}:1": [digest]}).images == (f"{WEB}:1@{digest}",)
    assert as_it_lives(found, WELL, {f"{WEB}:1": [digest, other]}).images == (f"{WEB}:1",)
    pinned = replace(found, images=(f"{WEB}:1@{other}", "not an image"))
    assert as_it_lives(pinned, WELL, {f"{WEB}:1@{other}": [digest]}).images == pinned.images


def test_what_is_degraded_now_is_not_healthy_and_what_is_on_its_way_is() -> None:
    found = from_records(SHOP, [record(1)])
    broken = as_it_lives(found, Health("degraded", "Pod shop/web: CrashLoopBackOff."), {})
    assert (broken.healthy, broken.since) == (False, 0)
    assert broken.reason == "It was healthy at 010101010101, and is degraded now: Pod shop/web: CrashLoopBackOff."
    assert as_it_lives(found, Health("progressing", "1 of 2 replicas is updated."), {}).healthy
    failed = from_records(SHOP, [record(1, "failed")])
    assert as_it_lives(failed, WELL, {}).healthy is False
