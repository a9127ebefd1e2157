"""`diff`: against a folder, a real API server and another revision; its plan file, and the deploy that keeps to it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.commands.test_deploy import CONFIG, commit, git
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster

FILE = "environments/staging/shop/settings.yaml"
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter22, again: hunter22}
"""
LONG = "".join(f"  key{number}: value {number}\n" for number in range(10, 30))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {FILE: CONFIG.replace("data: {mode: calm}", f"data:\n{LONG}")})
    return folder


def test_a_change_is_a_short_diff_then_a_table_then_the_sums(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    words = ("--environment", "staging", "--destination", f"dir:{tmp_path}/live")
    assert cli("deploy", *words, cwd=checkout).code == 0
    assert "nothing to do" in cli("diff", *words, "--exit-code", cwd=checkout).out
    commit(checkout, {FILE: (checkout / FILE).read_text().replace("value 20", "changed")})
    ran = cli("diff", *words, "--exit-code", cwd=checkout)
    assert ran.code == 3
    text = ran.out.splitlines()
    start = text.index("@@ update configmap/settings (v1) @@")
    assert text[start + 1 : start + 9] == [
        "  ...",
        " 11, 11     key18: value 18",
        " 12, 12     key19: value 19",
        " 13     -   key20: value 20",
        "     13 +   key20: changed",
        " 14, 14     key21: value 21",
        " 15, 15     key22: value 22",
        "  ...",
    ]
    assert "shop  (cluster)  ConfigMap  settings  update  1 field" in ran.out
    assert "Op: 0 create, 1 update, 0 delete, 0 unchanged, 0 skipped, 0 unknown" in ran.out
    assert cli("diff", *words, cwd=checkout).code == 0


def test_a_dry_run_of_deploy_shows_the_same(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    words = ("--environment", "staging", "--destination", f"dir:{tmp_path}/live")
    ran = cli("deploy", *words, "--dry-run", cwd=checkout)
    assert "@@ create configmap/settings (v1) @@" in ran.out, ran.err
    assert " + data:" in ran.out
    assert not (tmp_path / "live").exists()


def test_the_document_and_the_reports(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    ran = cli("-o", "json", "diff", "--environment", "staging", "--destination", f"dir:{tmp_path}/live", "--report",
              f"terraform={tmp_path}/tf.json,junit={tmp_path}/junit.xml", cwd=checkout)  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "PlanList"
    assert list(ran.json)[:6] == ["apiVersion", "kind", "environment", "revision", "hash", "plans"]
    plan = ran.json["plans"][0]
    assert plan["summary"] == {"create": 1, "update": 0, "delete": 0, "unchanged": 0, "skipped": 0, "unknown": 0}
    assert plan["changes"][0]["object"] == {
        "apiVersion": "v1", "kind": "ConfigMap", "namespace": None, "name": "settings"
    }  # fmt: skip
    assert json.loads((tmp_path / "tf.json").read_text()) == {"create": 1, "update": 0, "delete": 0}
    assert ElementTree.parse(tmp_path / "junit.xml").getroot()[0].attrib["failures"] == "1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--report", "html=x"), "'html=x' is no report"),
        (("--report", "junit=/nowhere/x"), "/nowhere/x cannot be written"),
        (("--plan-out", "/nowhere/x"), "/nowhere/x cannot be written"),
        (("--app", "shopp"), "Did you mean 'shop'?"),
        ((), "has no destination"),
    ],
)
def test_what_cannot_be_meant(cli: Cli, checkout: Path, words: tuple[str, ...], message: str) -> None:
    ran = cli("diff", "--environment", "staging", *words, cwd=checkout)
    assert ran.code == 2
    assert message in ran.err


def test_two_revisions_without_a_cluster(cli: Cli, checkout: Path) -> None:
    commit(checkout, {
        FILE: (checkout / FILE).read_text().replace("value 20", "changed"),
        "environments/staging/shop/secret.yaml": SECRET,
        "environments/staging/blog/settings.yaml": CONFIG,
        ".ci-gitops.yaml": "version: 1\n",
    })  # fmt: skip
    ran = cli("-o", "json", "diff", "--environment", "staging", "--against", "HEAD~1", "--exit-code", cwd=checkout)
    assert ran.code == 3, ran.err
    assert ran.json["against"] == git(checkout, "rev-parse", "HEAD~1")
    blog, shop = ran.json["plans"]
    assert [change["operation"] for change in blog["changes"]] == ["create"]
    assert {change["object"]["kind"]: change["operation"] for change in shop["changes"]} == {
        "ConfigMap": "update", "Secret": "create",
    }  # fmt: skip
    assert shop["notes"][0] == ".ci-gitops.yaml itself changes."
    assert "hunter22" not in ran.out
    back = cli("diff", "--environment", "staging", "--revision", git(checkout, "rev-parse", "HEAD~1"), "--against",
               "main", cwd=checkout)  # fmt: skip
    assert "delete" in back.out, back.err
    assert cli("diff", "--environment", "staging", "--against", "nowhere", cwd=checkout).code == 1


def test_a_real_cluster_by_plan_and_only_by_that_plan(
    cli: Cli, checkout: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    config = f"name: acme\nenvironments:\n  staging:\n    destination: {{namespace: {namespace}}}\n"
    commit(checkout, {".ci-gitops.yaml": config, "environments/staging/shop/secret.yaml": SECRET})
    words, environ = ("--environment", "staging"), {"KUBECONFIG": str(cluster.kubeconfig)}
    plan = str(tmp_path / "plan.json")
    planned = cli("-o", "json", "diff", *words, "--plan-out", plan, cwd=checkout, **environ)
    assert planned.code == 0, planned.err
    assert "hunter22" not in planned.out + Path(plan).read_text()
    assert "there is no plan key" in planned.json["plans"][0]["notes"][0]
    first, second = (change["fields"] for change in planned.json["plans"][0]["changes"])
    shown = {field["path"]: field["new"] for field in (*first, *second)}
    assert shown["data.password"] == shown["data.again"]
    # Somebody merges one more change before the deploy: that was not agreed to.
    merged = commit(checkout, {"environments/staging/shop/more.yaml": CONFIG.replace("settings", "more")})
    refused = cli("deploy", *words, "--plan", plan, "--no-wait", cwd=checkout, **environ)
    assert refused.code == 5, refused.out + refused.err
    assert "no longer the reviewed one" in refused.err
    git(checkout, "reset", "-q", "--hard", f"{merged}~1")
    done = cli("deploy", *words, "--plan", plan, "--no-wait", cwd=checkout, **environ)
    assert done.code == 0, done.err
    assert cluster.get("configmap", "settings", namespace)["data"]["key10"] == "value 10"
    assert cli("deploy", *words, "--plan", plan, "--no-wait", cwd=checkout, **environ).code == 0  # the job again
    assert cli("diff", *words, "--exit-code", cwd=checkout, **environ).code == 0
    # By hand: told with who did it, and what it was.
    cluster.kubectl("patch", "configmap", "settings", "-n", namespace, "--type=merge", "-p", '{"data":{"key10":"x"}}')
    drifted = cli("-o", "json", "diff", *words, "--exit-code", cwd=checkout, **environ)
    assert drifted.code == 3
    (change,) = (change for change in drifted.json["plans"][0]["changes"] if change["operation"] == "update")
    assert change["drift"]
    assert change["fields"] == [{"path": "data.key10", "old": "x", "new": "value 10", "manager": "kubectl-patch"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is no plan"), ("{}", "is no plan: the document: apiVersion is missing"), (None, "cannot be read")],
)
def test_junk_is_no_plan(cli: Cli, checkout: Path, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "plan.json").write_text(content)
    ran = cli("deploy", "--environment", "staging", "--destination", f"dir:{tmp_path}/live", "--plan",
              tmp_path / "plan.json", cwd=checkout)  # fmt: skip
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "live").exists()


def test_a_plan_of_another_environment_or_repository_is_none(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    commit(checkout, {"environments/production/shop/settings.yaml": CONFIG})
    plan = tmp_path / "plan.json"
    place = ("--destination", f"dir:{tmp_path}/live")
    assert cli("diff", "--environment", "staging", *place, "--plan-out", plan, cwd=checkout).code == 0
    other = cli("deploy", "--environment", "production", *place, "--plan", plan, cwd=checkout)
    assert other.code == 2
    assert "a plan of the environment 'staging'" in other.err
    document = json.loads(plan.read_text())
    plan.write_text(json.dumps({**document, "source": "elsewhere"}))
    foreign = cli("deploy", "--environment", "staging", *place, "--plan", plan, cwd=checkout)
    assert foreign.code == 2
    assert "a plan of the config repository 'elsewhere'" in foreign.err


def test_the_note_on_a_merge_request_is_kept_and_what_it_says_is_deployed(
    cli: Cli, checkout: Path, tmp_path: Path
) -> None:
    hub = tmp_path / "hub.git"
    git(tmp_path, "clone", "-q", "--bare", str(checkout), str(hub))
    git(checkout, "remote", "add", "origin", str(hub))
    config = "name: acme\nenvironments:\n  staging: {write: merge-request}\n"
    commit(checkout, {".ci-gitops.yaml": config, "environments/staging/shop/kustomization.yaml":
                      "resources: [settings.yaml]\nimages: [{name: nginx, newTag: '1'}]\n"})  # fmt: skip
    git(checkout, "push", "-q", "origin", "main")
    place = ("--environment", "staging", "--destination", f"dir:{tmp_path}/live")
    updated = cli("-o", "json", "update", "nginx=nginx:2", "--environment", "staging", "--forge", "local", cwd=checkout)
    assert updated.code == 0, updated.err
    git(checkout, "fetch", "-q", "origin", "ci-gitops/staging/shop")
    git(checkout, "checkout", "-q", "--detach", "FETCH_HEAD")
    for _ in range(2):
        noted = cli("diff", *place, "--note", "--forge", "local", cwd=checkout)
        assert noted.code == 0, noted.err
        assert "The plan is noted on merge request 1." in noted.err
    merged = cli("-o", "json", "merge", "--mr", "1", "--approve", "--forge", "local", cwd=checkout)
    assert merged.code == 0, merged.err
    git(checkout, "checkout", "-q", "main")
    git(checkout, "pull", "-q", "origin", "main")
    done = cli("deploy", *place, "--plan", "merge-request", cwd=checkout)
    assert done.code == 0, done.err
    assert (tmp_path / "live/staging/shop").exists()
    commit(checkout, {FILE: CONFIG})
    unknown = cli("deploy", *place, "--plan", "merge-request", cwd=checkout)
    assert unknown.code == 5
    assert "No plan for staging was noted" in unknown.err
