"""`status` and `history`, of a real API server and of a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_deploy import commit, git
from tests.rig.cli import Cli, Ran
from tests.rig.cluster import Cluster

WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.invalid/shop/web:1.2"}]}
"""


def config_map(name: str, mode: str = "calm") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{mode: {mode}}}\n"


@dataclass
class Place:
    """A checkout and the namespace or folder that it is deployed to."""

    cli: Cli
    checkout: Path
    namespace: str
    cluster: Cluster

    def __call__(self, *words: str, **variables: str) -> Ran:
        return self.cli(*words, cwd=self.checkout, KUBECONFIG=str(self.cluster.kubeconfig), **variables)

    def items(self, *words: str) -> list[dict[str, Any]]:
        ran = self("-o", "json", *words)
        assert ran.code == 0, ran.err
        found: list[dict[str, Any]] = ran.json["items"]
        return found

    def state(self, app: str) -> dict[str, Any]:
        """The target's item of `status`."""
        (item,) = self.items("status", "--environment", "staging", "--app", app)
        return item

    def deploy(self, *words: str, code: int = 0) -> Ran:
        ran = self("deploy", "--environment", "staging", *words)
        assert ran.code == code, ran.err
        return ran

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *words)


@pytest.fixture
def make(cli: Cli, tmp_path: Path, cluster: Cluster) -> Callable[[str, str], Place]:
    def made(name: str, namespace: str) -> Place:
        folder = tmp_path / name
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        commit(folder, {
            ".ci-gitops.yaml": f"name: {name}\nenvironments:\n  staging: {{destination: {{namespace: {namespace}}}}}\n"
            "  production: {}\n",
            "environments/staging/shop/settings.yaml": config_map("settings"),
        })  # fmt: skip
        return Place(cli, folder, namespace, cluster)

    return made


@pytest.fixture
def place(make: Callable[[str, str], Place], namespace: str) -> Place:
    return make("acme", namespace)


def test_before_the_first_deploy(place: Place) -> None:
    ran = place("status")
    assert ran.code == 0, ran.err
    assert "Nothing was deployed to staging yet; `ci-gitops deploy` does it." in ran.out
    assert "production has no destination: what runs there is not known." in ran.err
    shop = place.state("shop")
    assert (shop["revision"], shop["sync"], shop["health"]["status"]) == (None, "out-of-sync", "missing")
    assert (shop["changes"], shop["record"], shop["since"]) == ({"create": 1}, None, None)
    assert "Nothing was deployed yet." in place("history", "--environment", "staging").out


def test_what_runs_and_how_it_does(place: Place) -> None:
    head = git(place.checkout, "rev-parse", "HEAD")
    place.deploy()
    shop = place.state("shop")
    assert (shop["revision"], shop["sync"], shop["health"]["status"]) == (head, "synced", "healthy")
    assert (shop["since"], shop["message"]) == (shop["record"]["finished"], None)

    place.kubectl("patch", "configmap", "settings", "--type=merge", "-p", '{"data": {"mode": "wild"}}')
    ran = place("status", "--environment", "staging")
    assert ran.out.splitlines()[1].split()[1:5] == ["shop", "out-of-sync", "healthy", head[:12]]
    assert "A deploy has 1 to update." in ran.out

    place.kubectl("delete", "configmap", "settings")
    shop = place.state("shop")
    assert (shop["sync"], shop["health"]["status"], shop["changes"]) == ("out-of-sync", "missing", {"create": 1})


def test_a_hold_is_told_and_stops_what_is_new(place: Place) -> None:
    place.deploy()
    commit(place.checkout, {
        ".ci-gitops/holds/staging.yaml": "- {app: shop, reason: it loses orders, by: alice}\n",
        "environments/staging/shop/settings.yaml": config_map("settings", "wild"),
    })  # fmt: skip
    ran = place.deploy(code=5)
    assert "shop in staging is held by alice: it loses orders. Something new waits for it." in ran.err
    ran = place("status", "--environment", "staging")
    assert "shop in staging: It is held by alice: it loses orders." in ran.out
    assert place.state("shop")["hold"] == {"reason": "it loses orders", "by": "alice", "at": None}


def test_a_tree_down_to_what_controllers_made(place: Place) -> None:
    commit(place.checkout, {"environments/staging/shop/web.yaml": WORKLOAD})
    place.deploy("--no-wait")
    ran = place("status", "--environment", "staging", "--tree")
    assert f"Deployment {place.namespace}/web " in ran.out
    assert "web:1.2" in ran.out
    (shop,) = place.items("status", "--environment", "staging", "--tree")
    assert shop["images"] == ["registry.invalid/shop/web:1.2"]
    assert shop["health"]["status"] in ("progressing", "degraded")
    assert [each["object"]["kind"] for each in shop["objects"]] == ["ConfigMap", "Deployment"]
    assert shop["objects"][0]["health"]["status"] == "healthy"


def test_what_left_git_and_what_does_not_render(place: Place) -> None:
    commit(place.checkout, {"environments/staging/blog/settings.yaml": config_map("blog")})
    place.deploy()
    git(place.checkout, "rm", "-rq", "environments/staging/blog")
    commit(place.checkout, {"environments/staging/shop/broken.yaml": "kind: Nameless\n"})
    found = {each["target"]["app"]: each for each in place.items("status", "--environment", "staging")}
    assert (found["blog"]["sync"], found["blog"]["message"]) == ("out-of-sync", "Its declaration left Git.")
    assert (found["shop"]["sync"], found["shop"]["health"]["status"]) == ("unknown", "healthy")
    assert "broken.yaml" in found["shop"]["message"]
    (record,) = place.items("history", "--environment", "staging", "--app", "blog")
    assert record["outcome"] == "succeeded"


def test_history_newest_first(place: Place) -> None:
    place.deploy()
    first = git(place.checkout, "rev-parse", "HEAD")
    second = commit(place.checkout, {"environments/staging/shop/settings.yaml": config_map("settings", "wild")})
    place.deploy()
    found = place.items("history", "--environment", "staging", "--app", "shop")
    assert [(each["kind"], each["revision"]) for each in found] == [("Record", second), ("Record", first)]

    name = found[0]["name"]
    place.kubectl("patch", "configmap", name, "--type=merge", "-p", json.dumps({"data": {"record.json": "{}"}}))
    ran = place("history", "--environment", "staging")
    assert ran.out.splitlines()[1].split()[1:4] == ["shop", "succeeded", first[:12]]
    assert f"{name} is no record and is left out: the document: apiVersion is missing" in ran.err
    unknown = place("history", "--environment", "staging", "--app", "shpo")
    assert (unknown.code, "Did you mean 'shop'?" in unknown.err) == (2, True)


def test_an_inventory_that_cannot_be_read_stops_its_own_target_only(place: Place) -> None:
    commit(place.checkout, {"environments/staging/blog/settings.yaml": config_map("blog")})
    place.deploy()
    name = place.kubectl(
        "get", "configmaps", "-l", "applyset.kubernetes.io/id,ci-gitops/app=shop", "-o", "name"
    ).strip()
    place.kubectl("patch", name, "--type=merge", "-p", json.dumps({"data": {"inventory.json": "{"}}))
    commit(place.checkout, {"environments/staging/blog/settings.yaml": config_map("blog", "wild")})
    ran = place.deploy("--prune", code=1)
    assert "is no inventory: inventory.json:" in ran.err
    assert place.kubectl("get", "configmap", "settings", "-o", "name")
    found = {each["target"]["app"]: each for each in place.items("status", "--environment", "staging")}
    assert (found["blog"]["sync"], found["shop"]["sync"], found["shop"]["health"]) == ("synced", "unknown", None)
    assert "is no inventory" in found["shop"]["message"]


def test_an_environment_that_nobody_deploys(place: Place) -> None:
    commit(place.checkout, {"environments/production/shop/settings.yaml": config_map("settings")})
    ran = place("status", "--environment", "production")
    assert ran.code == 2
    assert "has no destination" in ran.err


def test_a_folder_has_no_health_but_all_the_rest(place: Place, tmp_path: Path) -> None:
    where = ("--environment", "staging", "--destination", f"dir:{tmp_path}/live")
    place("deploy", *where)
    head = git(place.checkout, "rev-parse", "HEAD")
    (shop,) = place.items("status", *where, "--tree")
    assert (shop["sync"], shop["health"], shop["revision"]) == ("synced", None, head)
    assert shop["objects"][0]["health"] is None
    (tmp_path / "live/staging/shop/v1_configmap_settings.yaml").write_text(config_map("settings", "wild"))
    assert [each["sync"] for each in place.items("status", *where)] == ["out-of-sync"]
    assert [each["outcome"] for each in place.items("history", *where)] == ["applied"]


# Two runs, two repositories, old jobs


def test_two_repositories_with_the_same_names_in_one_namespace(
    make: Callable[[str, str], Place], namespace: str
) -> None:
    ours, theirs = make("acme", namespace), make("other", namespace)
    ours.deploy()
    ran = theirs.deploy("--prune", code=5)
    assert "belongs to shop in staging of acme" in ran.err
    assert ours.state("shop")["sync"] == "synced"
    assert (theirs.state("shop")["revision"], theirs.state("shop")["record"]) == (None, None)
    labels = json.loads(ours.kubectl("get", "configmap", "settings", "-o", "json"))["metadata"]["labels"]
    git(theirs.checkout, "mv", "environments/staging/shop", "environments/staging/other")
    commit(theirs.checkout, {"environments/staging/other/settings.yaml": config_map("of-others")})
    theirs.deploy("--prune")
    assert json.loads(ours.kubectl("get", "configmap", "settings", "-o", "json"))["metadata"]["labels"] == labels


@pytest.mark.parametrize("depth", [["--depth=1"], []], ids=["shallow", "full"])
def test_a_retried_old_job_is_refused(place: Place, tmp_path: Path, depth: list[str]) -> None:
    old = git(place.checkout, "rev-parse", "HEAD")
    new = commit(place.checkout, {"environments/staging/shop/settings.yaml": config_map("settings", "wild")})
    place.deploy()
    job = tmp_path / "job"
    git(tmp_path, "init", "-q", str(job))
    git(job, "remote", "add", "origin", f"file://{place.checkout}")
    git(job, "fetch", "-q", *depth, "origin", old)
    git(job, "checkout", "-q", "--detach", "FETCH_HEAD")
    retried = Place(place.cli, job, place.namespace, place.cluster)
    ran = retried.deploy(code=5)
    assert f"shop in staging: {old[:12]} is older than {new[:12]}, which was applied last" in ran.err
    mode = ("get", "configmap", "settings", "-o", "jsonpath={.data.mode}")
    assert place.kubectl(*mode) == "wild"
    retried.deploy("--revision", old)
    assert place.kubectl(*mode) == "calm"


def test_the_record_of_a_killed_run_is_closed_by_a_pass_that_has_nothing_to_do(place: Place) -> None:
    place.deploy()
    name = place.items("history", "--environment", "staging")[0]["name"]
    live = json.loads(place.kubectl("get", "configmap", name, "-o", "json"))
    later = f"{name.rpartition('.')[0]}.999999"
    record = {**json.loads(live["data"]["record.json"]), "name": later, "outcome": "running", "finished": None,
              "cause": "heal", "started": "2099-01-01T00:00:00Z"}  # fmt: skip
    labels = {**live["metadata"]["labels"], "ci-gitops/outcome": "running"}
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"record.json": json.dumps(record)},
            "metadata": {"name": later, "labels": labels}}  # fmt: skip
    file = place.checkout.parent / "killed.json"
    file.write_text(json.dumps(kept))
    place.kubectl("create", "-f", str(file))
    assert "A deployment is under way." in place("status", "--environment", "staging").out
    assert "unchanged" in place.deploy().out
    found = place.items("history", "--environment", "staging")
    assert [(each["outcome"], (each["failure"] or {}).get("kind")) for each in found] == [
        ("failed", "trouble"), ("succeeded", None)
    ]  # fmt: skip


def test_two_runs_at_once_do_one_after_the_other(place: Place) -> None:
    """Both want to apply the same; one of them finds it done."""
    with ThreadPoolExecutor(3) as pool:
        results = [pool.submit(place, "deploy", "--environment", "staging") for _ in range(3)]
    for ran in (each.result() for each in results):
        assert ran.code == 0, (ran.out, ran.err)
    assert len(place.items("history", "--environment", "staging", "--app", "shop")) == 1


def test_who_waits_in_vain_is_told_for_whom(place: Place) -> None:
    place.deploy()
    commit(place.checkout, {"environments/staging/shop/settings.yaml": config_map("settings", "wild")})
    name = place.kubectl("get", "leases", "-l", "ci-gitops/app=shop", "-o", "name").strip()
    held = {"metadata": {"annotations": {"ci-gitops/holder": "https://ci.example.com/jobs/7"}},
            "spec": {"holderIdentity": "another", "leaseDurationSeconds": 15}}  # fmt: skip
    place.kubectl("patch", name, "--type=merge", "-p", json.dumps(held))
    ran = place.deploy("--timeout", "3s", code=75)
    assert "shop in staging: https://ci.example.com/jobs/7 is writing to it now." in ran.err


# The revision that the settings name


def test_an_environment_at_the_newest_tag_or_at_one_commit(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    wanted = "environments:\n  staging: {repository: {%s}, destination: 'dir:live'}\n"

    def settle(mode: str, pin: str) -> str:
        return commit(folder, {".ci-gitops.yaml": wanted % pin,
                               "environments/staging/shop/settings.yaml": config_map("settings", mode)})  # fmt: skip

    first = settle("first", "tag: 'v*'")
    git(folder, "tag", "v1.9.0")
    second = settle("second", "tag: 'v*'")
    git(folder, "tag", "-a", "-m", "ten", "v1.10.0")
    settle("third", "tag: 'v*'")
    git(folder, "tag", "v2.0.0-rc.1")
    job = tmp_path / "job"
    git(tmp_path, "clone", "-q", "--depth=1", "--no-tags", f"file://{folder}", str(job))
    for where in (folder, job):
        ran = cli("-o", "json", "deploy", "--environment", "staging", cwd=where)
        assert (ran.code, ran.json["revision"]) == (0, second), ran.err
    assert "second" in (folder / "live/staging/shop/v1_configmap_settings.yaml").read_text()
    settle("fourth", f"commit: {first}")
    back = cli("-o", "json", "deploy", "--environment", "staging", cwd=folder)
    assert (back.code, back.json["revision"]) == (0, first), back.err
    assert "first" in (folder / "live/staging/shop/v1_configmap_settings.yaml").read_text()
    asked = cli("-o", "json", "deploy", "--environment", "staging", "--revision", "HEAD", "--dry-run", cwd=folder)
    assert asked.json["revision"] == git(folder, "rev-parse", "HEAD")
    settle("fifth", "tag: 'w*'")
    none = cli("deploy", "--environment", "staging", cwd=folder)
    assert (none.code, "has no tag that fits 'w*'" in none.err) == (1, True)
