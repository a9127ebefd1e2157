"""`promote`: what is deployed and healthy in staging, written for production, on the local forge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.errors import RefusedError, UsageError
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.workplace import Reach, Workplaces
from tests.rig.promoting import Road
from tests.rig.registry import RegistryServer

REQUEST = "write: merge-request"


@pytest.fixture
def road(tmp_path: Path, registry: RegistryServer) -> Road:
    return Road(tmp_path, registry)


def made(folder: Path, registry: RegistryServer, **more: Any) -> Road:
    return Road(folder, registry, **more)


def test_the_exact_version_that_is_healthy_in_staging(road: Road) -> None:
    digest = road.push("2")
    revision = road.deployed("shop", f"{road.web}:2@{digest}", "redis:7")
    done = road()
    assert done.result, done.error
    assert (done.result.kind, done.json["outcome"]) == ("PromotionResult", "pushed")
    assert (done.json["from"], done.json["to"]) == ("staging", "production")
    (promoted,) = done.json["promoted"]
    assert (promoted["app"], promoted["revision"], promoted["evidence"]) == ("shop", revision, "records")
    assert [each["image"] for each in promoted["images"]] == [f"{road.web}:2@{digest}"]
    assert f'newTag: "2"\n  digest: {digest}\n' in road.read().replace("'", '"')
    assert "redis" not in road.read()  # the base of both says it
    assert "shop in staging: Healthy since" in done.text
    head = road.server.head("config")
    again = road()
    assert (again.json["outcome"], road.server.head("config")) == ("unchanged", head)


def test_a_digest_that_no_record_has_is_asked_for_once_and_said(road: Road) -> None:
    digest = road.push("3")
    road.deployed("shop", f"{road.web}:3")
    done = road()
    assert digest in road.read()
    assert done.json["promoted"][0]["images"][0]["digestFrom"] == "registry"
    assert "this digest is what the registry has for it now" in done.text
    road.push("3", "promoted/web2")
    road.registry.push("promoted/web", "3", {"another": "one"})  # the tag moves: nothing of it was deployed
    assert road().json["outcome"] == "unchanged"


def test_what_comes_from_the_base_of_both_is_told(road: Road) -> None:
    paths = (f"apps/shop/overlays/{name}/kustomization.yaml" for name in ("staging", "production"))
    road.server.commit("config", dict.fromkeys(paths, b"resources: [../../base]\n"), "Inherit")
    road.deployed("shop", "redis:7")
    done = road()
    assert (done.json["outcome"], done.code) == ("unchanged", 0)
    assert "what both take from one base is never copied" in done.text


def test_what_the_registry_has_not_is_not_written(road: Road) -> None:
    before = road.read()
    road.deployed("shop", f"{road.web}:never-pushed")
    done = road()
    assert (done.code, road.read()) == (5, before)
    assert "There is no image" in str(done.error)


def test_the_newest_healthy_deployment_counts(road: Road) -> None:
    for tag in ("2", "3", "4"):
        road.push(tag)
    road.deployed("shop", f"{road.web}:2", minutes=30)
    road.deployed("shop", f"{road.web}:3", minutes=20)
    road.deployed("shop", f"{road.web}:4", outcome="running", minutes=1)
    assert f"{road.web}:1 is declared there and not deployed yet" in road(dry_run=True).text
    assert [one["image"].split("@")[0] for one in road().json["promoted"][0]["images"]] == [f"{road.web}:3"]


@pytest.mark.parametrize(("outcome", "words"), [
    ("failed", "shop in staging is not healthy, so it is not promoted to production: Its deployment of"),
    ("applied", "nobody waited for its health"),
    ("running", "Its first deployment is under way"),
])  # fmt: skip
def test_what_is_not_healthy_is_refused(road: Road, outcome: Any, words: str) -> None:
    road.deployed("shop", f"{road.web}:2", outcome=outcome)
    done = road()
    assert (done.code, type(done.error)) == (5, RefusedError)
    assert words in str(done.error)
    assert done.error
    assert "--environment staging --app shop" in (done.error.hint or "")


def test_nothing_deployed_and_nothing_to_read(road: Road, tmp_path: Path, registry: RegistryServer) -> None:
    nothing = road()
    assert nothing.code == 5
    assert "Nothing can be promoted of shop in staging: Nothing of it was deployed to staging yet" in str(nothing.error)
    away = made(tmp_path, registry, staging="destination: {context: nowhere}", name="away")()
    assert away.code == 5
    assert away.error
    assert "What runs in staging cannot be read" in away.error.message
    assert "KUBECONFIG" in (away.error.hint or "")


def test_which_environments(road: Road) -> None:
    first = road(to="staging")
    assert (first.code, "staging is the first environment" in str(first.error)) == (2, True)
    assert "cannot be promoted to itself" in str(road(source="production").error)
    assert "no environment 'prodction'" in str(road(to="prodction").error)


def test_several_apps_in_one_commit_and_only_what_is_well(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, apps=("cart", "shop", "stock"))
    two, three = road.push("2"), road.push("3")
    road.deployed("cart", f"{road.web}:2")
    road.deployed("shop", f"{road.web}:3")
    road.deployed("stock", f"{road.web}:2", outcome="failed")
    done = road()
    assert done.result, done.error
    assert (two in road.read("cart"), three in road.read("shop"), three in road.read("cart")) == (True, True, False)
    assert done.json["skipped"][0]["app"] == "stock"
    assert "stock: Its deployment of" in done.text
    assert len(road.server.messages("config")) == 2
    assert road(apps=("stock",)).code == 5


def test_only_one_image_and_no_other_value(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry)
    road.push("2")
    api = registry.image("promoted/api")
    road.push("9", "promoted/api")
    for name in ("staging", "production"):
        more = f"- name: api\n  newName: {api}\n  newTag: '1'\nreplicas:\n- name: shop\n  count: {len(name)}\n"
        path = f"apps/shop/overlays/{name}/kustomization.yaml"
        road.server.commit("config", {path: (road.read(environment=name) + more).encode()})
    road.deployed("shop", f"{road.web}:2", f"{api}:9")
    only = road(only=("api",))
    assert [one["image"].split("@")[0] for one in only.json["promoted"][0]["images"]] == [f"{api}:9"]
    assert "newTag: '1'" in road.read()
    assert "count: 10" in road.read()
    unknown = road(only=("apy",))
    assert (unknown.code, type(unknown.error)) == (2, UsageError)
    assert road(only=(road.web,)).json["outcome"] == "pushed"


def test_an_environment_with_a_mirror_of_its_own_keeps_it(road: Road, registry: RegistryServer) -> None:
    mirror = registry.image("mirror/web")
    digest = road.push("2")
    path = "apps/shop/overlays/production/kustomization.yaml"
    road.server.commit("config", {path: road.read().replace(road.web, mirror).encode()})
    road.deployed("shop", f"{road.web}:2@{digest}")
    missing = road()
    assert (missing.code, mirror in str(missing.error)) == (5, True)
    assert registry.push("mirror/web", "2", {"version": "promoted/web:2"}) == digest
    assert road().json["promoted"][0]["images"][0]["image"] == f"{mirror}:2@{digest}"
    assert f"newName: {mirror}\n" in road.read()


def test_a_group_moves_as_a_whole_or_not_at_all(tmp_path: Path, registry: RegistryServer) -> None:
    groups = "apps:\n" + "".join(
        f"  {app}: {{path: 'apps/{app}/overlays/{{environment}}', group: store}}\n" for app in ("cart", "shop")
    )
    more = groups + "  stock: {path: 'apps/stock/overlays/{environment}'}\n"
    road = made(tmp_path, registry, apps=("cart", "shop", "stock"), more=more, production=REQUEST)
    road.push("2")
    for app in ("cart", "shop", "stock"):
        road.deployed(app, f"{road.web}:2", minutes=20)
    done = road(apps=("cart",))
    assert done.result, done.error
    assert done.json["mergeRequest"]["source"] == "ci-gitops/production/store"
    assert "shop moves along: its group store moves together" in done.text
    assert "'2'" in road.read("shop", branch="ci-gitops/production/store").replace('"', "'")
    road.deployed("shop", f"{road.web}:2", outcome="failed", minutes=5)
    half = road()
    assert {one["app"]: one["reason"] for one in half.json["skipped"]}["cart"] == (
        "its group store moves together, and shop stays"
    )
    assert [one["app"] for one in half.json["promoted"]] == ["stock"]


def test_apps_of_one_environment_alone_are_told(road: Road) -> None:
    road.push("2")
    road.server.commit("config", {"apps/tool/overlays/staging/kustomization.yaml": b"resources: []\n"})
    road.deployed("shop", f"{road.web}:2")
    done = road()
    assert done.json["skipped"] == [{"app": "tool", "reason": "it is only in staging"}]
    named = road(apps=("tool",))
    assert named.code == 2
    assert "tool is only in staging, not in production" in str(named.error)


def test_what_is_held_stays(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, apps=("cart", "shop"))
    road.push("2")
    for app in ("cart", "shop"):
        road.deployed(app, f"{road.web}:2")
    hold = f"- app: shop\n  image: {road.web}:2\n  reason: loses orders\n".encode()
    road.server.commit("config", {".ci-gitops/holds/production.yaml": hold})
    done = road()
    assert done.result, done.error
    assert [one["app"] for one in done.json["held"]] == ["shop"]
    assert ("'1'" in road.read("shop"), "'2'" in road.read("cart").replace('"', "'")) == (True, True)
    assert (road(apps=("shop",), only=("web",)).code, road(apps=("shop",)).code, road().code) == (5, 5, 0)
    whole = b"- reason: frozen\n"
    road.push("3")
    road.deployed("cart", f"{road.web}:3", minutes=2)
    road.server.commit("config", {".ci-gitops/holds/production.yaml": whole})
    assert road().code == 5


def test_a_dry_run_shows_diff_and_merge_request(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, production=REQUEST)
    road.push("2")
    road.deployed("shop", f"{road.web}:2")
    refs = road.server.refs("config")
    done = road(dry_run=True)
    assert done.result, done.error
    assert (done.json["outcome"], road.server.refs("config")) == ("planned", refs)
    assert "+  digest: sha256:" in done.text
    assert "Update shop in production to 2" in done.text
    assert "What runs in `staging`" in done.text


# Merge requests


def comments(road: Road, iid: int) -> list[str]:
    """What our comments on a merge request list."""
    run, _ = road.run()
    with Workplaces(run, Reach(road.server.url(road.name))) as places:
        found = forge_for(run, places.root().repository, "local").comments(iid)
    return [
        line for each in found if each.key == "promotion/staging" for line in each.text.splitlines() if "`:" in line
    ]


def test_a_newer_candidate_updates_the_open_one(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, production=REQUEST)
    road.push("2")
    newer = road.push("3")
    road.deployed("shop", f"{road.web}:2", minutes=20)
    assert road().json["mergeRequest"]["iid"] == 1
    refs = road.server.refs("config")
    assert (road().json["outcome"], road.server.refs("config")) == ("unchanged", refs)
    road.deployed("shop", f"{road.web}:3", minutes=5)
    done = road()
    assert (done.json["outcome"], done.json["mergeRequest"]["iid"]) == ("updated", 1)
    assert newer in road.read(branch="ci-gitops/production/shop")
    assert road.branches() == ["ci-gitops/production/shop"]


def test_queue_waits_behind_the_open_one(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, production=f"{REQUEST}, supersede: queue")
    two, three = road.push("2"), road.push("3")
    road.deployed("shop", f"{road.web}:2", minutes=20)
    road()
    assert road().json["outcome"] == "unchanged"
    road.deployed("shop", f"{road.web}:3", minutes=5)
    waits = road()
    assert (waits.code, waits.json["outcome"]) == (0, "waiting")
    assert "!1 is open for it" in waits.text
    assert two in road.read(branch="ci-gitops/production/shop")
    assert comments(road, 1) == [f"- `shop`: `{road.web}:3@{three}`"]
    road.command("merge", "--forge", "local", "--mr", 1)
    followed = road()
    assert (followed.json["outcome"], followed.json["mergeRequest"]["iid"]) == ("unchanged", 2)
    assert three in road.read(branch="ci-gitops/production/shop")


def test_manual_only_reports(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, production=f"{REQUEST}, supersede: manual")
    road.push("2")
    road.push("3")
    road.deployed("shop", f"{road.web}:2", minutes=20)
    road()
    road.deployed("shop", f"{road.web}:3", minutes=5)
    before = road.read(branch="ci-gitops/production/shop")
    told = road()
    assert (told.json["outcome"], road.read(branch="ci-gitops/production/shop")) == ("waiting", before)
    assert "is left as it is (supersede: manual)" in told.text
    assert len(comments(road, 1)) == 1
    road.command("merge", "--forge", "local", "--mr", 1)
    assert road().json["outcome"] == "opened"


def test_a_persons_commit_is_not_written_over(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, production=REQUEST)
    road.push("2")
    road.push("3")
    road.deployed("shop", f"{road.web}:2", minutes=20)
    road()
    branch = "ci-gitops/production/shop"
    road.server.commit("config", {"README": b"mine"}, "My own work", branch)
    road.deployed("shop", f"{road.web}:3", minutes=5)
    before = road.server.head("config", branch)
    stopped = road()
    assert (stopped.code, road.server.head("config", branch)) == (5, before)
    assert "which is not ours; it is not written over" in str(stopped.error)
    assert road.server.head("config", branch) == before


# Where somebody else deploys, and where the forge knows


def test_git_alone_where_somebody_else_deploys(tmp_path: Path, registry: RegistryServer) -> None:
    road = made(tmp_path, registry, staging="operator: external")
    digest = road.push("2")
    path = "apps/shop/overlays/staging/kustomization.yaml"
    road.server.commit("config", {path: road.read(environment="staging").replace("'1'", "'2'").encode()})
    done = road()
    assert done.result, done.error
    assert done.json["promoted"][0]["evidence"] == "git"
    assert "Git alone says what runs in staging (operator: external)" in done.text
    assert digest in road.read()


def test_the_version_of_a_chart_goes_along(tmp_path: Path, registry: RegistryServer) -> None:
    release = (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: redis}}\nspec:\n"
        "  chart:\n    spec:\n      chart: redis\n      version: {}\n"
    )
    path = "environments/{}/cache/release.yaml"
    files = {path.format("staging"): release.format("20.0.0"), path.format("production"): release.format("19.1.0")}
    road = made(tmp_path, registry, apps=(), files={name: text.encode() for name, text in files.items()})
    road.deployed("cache")
    done = road()
    assert done.result, done.error
    assert done.json["promoted"][0]["charts"] == [{"name": "redis", "version": "20.0.0"}]
    assert "version: 20.0.0\n" in road.server.read("config", path.format("production")).decode()
    assert road().json["outcome"] == "unchanged"


# With deployments that were really made


def test_what_nobody_waited_for_counts_when_a_later_deploy_finds_it_healthy(road: Road) -> None:
    road.push("1")
    road.command("deploy", "--environment", "staging", "--no-wait")
    unknown = road()
    assert unknown.code == 5
    assert unknown.error
    assert "It is not known whether shop in staging is healthy" in unknown.error.message
    assert "(without --no-wait) waits for it" in (unknown.error.hint or "")
    road.command("verify", "--environment", "staging")
    road.command("deploy", "--environment", "staging")
    done = road()
    assert done.result, done.error
    assert done.json["promoted"][0]["reason"].startswith("Healthy since")


def test_what_was_healthy_and_is_not_any_more_is_refused(road: Road) -> None:
    """The look at what runs now: here the objects are gone that the record speaks of."""
    road.push("1")
    road.command("deploy", "--environment", "staging")
    assert road(dry_run=True).code == 0
    state = json.loads(road.cluster.read_text())
    state["objects"] = [each for each in state["objects"] if each["kind"] not in ("Deployment", "ReplicaSet", "Pod")]
    road.cluster.write_text(json.dumps(state))
    gone = road()
    assert (gone.code, gone.error and "and is missing now: " in gone.error.message) == (5, True)


def test_a_branch_for_each_environment(tmp_path: Path, registry: RegistryServer) -> None:
    """One path for both; what differs between the branches besides stays as it is there."""
    own = "repository: {{branch: {}}}"
    road = made(
        tmp_path, registry, staging=f"{own.format('staging')}, destination: 'simulated:{tmp_path}/cluster.json'",
        production=f"{own.format('production')}, write: merge-request",
        more="apps: {shop: {path: apps/shop/overlays/staging}}\n",
    )  # fmt: skip
    digest = road.push("2")
    tree = {path: road.server.read("config", path) for path in (".ci-gitops.yaml", *road.declared("shop"))}
    for branch, redis in (("staging", "8"), ("production", "7")):
        path = "apps/shop/base/deployment.yaml"
        text = tree[path].decode().replace("redis:7", f"redis:{redis}").encode()
        road.server.commit("config", {**tree, path: text}, branch=branch)
    road.deployed("shop", f"{road.web}:2", "redis:8")
    registry.push("library/redis", "8")
    done = road(only=("web",))
    assert done.result, done.error
    assert (done.json["mergeRequest"]["target"], done.json["branch"]) == ("production", "production")
    brought = road.read(environment="staging", branch="ci-gitops/production/shop")
    assert (digest in brought, "redis" in brought) == (True, False)
    assert digest not in road.read(environment="staging", branch="production")
