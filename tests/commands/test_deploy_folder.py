"""`deploy` to rendered manifests: in a folder, and on a branch of their own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.commands.test_deploy import CONFIG, SECOND, commit, git
from tests.rig.cli import Cli
from tests.rig.git_server import GitServer
from tests.rig.parts import program
from tests.rig.renderers import renderer_path

RENDERED = "deploy/staging"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a config repository with two apps; what it commits is pushed by `push`."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    folder = tmp_path / "config"
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), str(folder))
    git(folder, "switch", "-q", "-c", "main")
    commit(folder, {"environments/staging/shop/a.yaml": CONFIG, "environments/staging/shop/b.yaml": SECOND,
                    "environments/staging/blog/a.yaml": CONFIG})  # fmt: skip
    git(folder, "push", "-q", "-u", "origin", "main")
    return folder


def removed(folder: Path, *paths: str) -> None:
    git(folder, "rm", "-q", "-r", *paths)
    git(folder, "commit", "-qm", "Remove")


def on_branch(clone: Path) -> list[str]:
    bare = clone.parent / "origin.git"
    names = git(bare, "ls-tree", "-r", "--name-only", RENDERED).split()
    return [name for name in names if not name.startswith("out/.ci-gitops/")]


def test_manifests_are_pushed_to_a_branch_of_their_own(cli: Cli, clone: Path) -> None:
    bare = clone.parent / "origin.git"
    words = ("deploy", "--environment", "staging", "--destination", f"dir:out@{RENDERED}", "--prune")
    planned = cli(*words, "--dry-run", cwd=clone)
    assert planned.code == 0, planned.err
    assert git(bare, "branch", "--list", RENDERED) == ""
    first = cli("-o", "json", *words, cwd=clone)
    assert first.code == 0, first.err
    assert [each["outcome"] for each in first.json["targets"]] == ["applied", "applied"]
    assert on_branch(clone) == ["out/staging/blog/v1_configmap_settings.yaml",
                                "out/staging/shop/v1_configmap_more.yaml",
                                "out/staging/shop/v1_configmap_settings.yaml"]  # fmt: skip
    message = git(bare, "log", "-1", "--format=%B", RENDERED)
    assert message.startswith("render(staging): blog, shop at ")
    revision = git(clone, "rev-parse", "HEAD")
    assert f"Ci-Gitops-Revision: {revision}\nCi-Gitops-Target: staging/blog\nCi-Gitops-Target: staging/shop" in message
    assert git(bare, "rev-list", "--count", RENDERED) == "1"
    head = git(bare, "rev-parse", RENDERED)
    again = cli("-o", "json", *words, cwd=clone)
    assert [each["outcome"] for each in again.json["targets"]] == ["unchanged", "unchanged"], again.err
    assert git(bare, "rev-parse", RENDERED) == head
    removed(clone, "environments/staging/shop/b.yaml", "environments/staging/blog")
    last = cli("-o", "json", *words, cwd=clone)
    assert last.code == 0, last.err
    assert on_branch(clone) == ["out/staging/shop/v1_configmap_settings.yaml"]
    listed = git(bare, "ls-tree", "-r", "--name-only", RENDERED, "out/.ci-gitops/").split()
    assert [name.split("/")[4] for name in listed if "/inventory/" in name] == ["shop"]
    records = [name for name in listed if "/records/" in name]
    outcomes = {json.loads(git(bare, "show", f"{RENDERED}:{name}"))["outcome"] for name in records}
    assert outcomes == {"applied"}


def test_drift_in_a_folder_is_told_and_healed_by_what_is_new(cli: Cli, clone: Path, tmp_path: Path) -> None:
    words = (
        "-o",
        "json",
        "deploy",
        "--environment",
        "staging",
        "--app",
        "shop",
        "--destination",
        f"dir:{tmp_path}/out",
    )
    assert cli(*words, cwd=clone).code == 0
    file = tmp_path / "out/staging/shop/v1_configmap_settings.yaml"
    declared = file.read_text()
    file.write_text(declared.replace("calm", "wild"))
    drifted = cli(*words, "--exit-code", cwd=clone)
    assert drifted.code == 3, drifted.err
    assert drifted.json["targets"][0]["outcome"] == "drifted"
    assert "wild" in file.read_text()
    commit(clone, {"environments/staging/shop/c.yaml": CONFIG.replace("settings", "new")})
    assert cli(*words, cwd=clone).code == 0
    assert file.read_text() == declared
    assert (tmp_path / "out/staging/shop/v1_configmap_new.yaml").exists()


def test_what_an_environment_does_not_allow_is_refused_whole(cli: Cli, clone: Path, tmp_path: Path) -> None:
    """By the rules of the branch: the target's own change of them does not help it."""
    allow = "{kinds: ['*', '!Secret'], namespaces: ['shop*'], repositories: [ours/*]}"
    commit(clone, {".ci-gitops.yaml": f"environments: {{staging: {{allow: {allow}}}}}\n"})
    git(clone, "push", "-q", "origin", "main")
    git(clone, "remote", "set-head", "origin", "main")
    git(clone, "switch", "-q", "-c", "other")
    spec = "{containers: [{name: web, image: theirs/web:1}]}"
    pod = f"{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {spec}}}\n"
    commit(clone, {
        ".ci-gitops.yaml": "environments: {staging: {}}\n", "environments/staging/shop/web.yaml": pod,
        "environments/staging/shop/more.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: a}}\n"
        "---\n{apiVersion: v1, kind: Service, metadata: {name: b, namespace: kube-system}}\n"
        "---\n{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: c}}\n",
    })  # fmt: skip
    where = ("--environment", "staging", "--app", "shop", "--destination", f"dir:{tmp_path}/out")
    ran = cli("-o", "json", "deploy", *where, cwd=clone)
    assert ran.code == 5, ran.err
    assert ran.json["targets"][0]["outcome"] == "refused"
    message = ran.json["error"]["message"]
    assert ".ci-gitops.yaml: environments.staging.allow does not allow" in message
    for words in ("Secret a: the kind Secret (kinds: !Secret)", "Pod web: the image theirs/web:1 (repositories: only",
                  "Service kube-system/b: the namespace kube-system (namespaces: only shop*)",
                  "ClusterRole c: an object of the whole cluster"):  # fmt: skip
        assert words in message
    assert not (tmp_path / "out/staging").exists()
    assert "whose rules count here: environments.staging.allow" in ran.err


def test_what_sops_decrypted_is_not_pushed_in_clear(cli: Cli, clone: Path, tmp_path: Path) -> None:
    key = tmp_path / "age.key"
    subprocess.run([program("age-keygen", "Debian's package age"), "-o", key], check=True, capture_output=True)
    recipient = next(line.split()[-1] for line in key.read_text().splitlines() if "public key" in line)
    secret = clone / "environments/staging/shop/secret.yaml"
    secret.write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: tr0ub4dor-and-3}\n"
    )
    path = renderer_path("sops", "git")
    subprocess.run(
        [program("sops", "https://getsops.io"), "--disable-version-check", "encrypt", "--in-place",
         "--encrypted-regex", "^stringData$", "--age", recipient, secret],
        check=True, capture_output=True, env={"HOME": str(tmp_path)},
    )  # fmt: skip
    commit(clone, {})
    words = ("deploy", "--environment", "staging", "--app", "shop", "--destination")
    ran = cli(*words, f"dir:out@{RENDERED}", cwd=clone, PATH=path, SOPS_AGE_KEY_FILE=str(key))
    assert ran.code == 5, ran.err
    assert "shop in staging holds what SOPS decrypted: it would be pushed in clear to branch deploy/staging" in ran.err
    assert git(clone.parent / "origin.git", "branch", "--list", RENDERED) == ""
    here = cli(*words, f"dir:{tmp_path}/out", cwd=clone, PATH=path, SOPS_AGE_KEY_FILE=str(key))
    assert here.code == 0, here.err


def test_a_branch_that_may_not_be_pushed_is_told(cli: Cli, clone: Path) -> None:
    hook = clone.parent / "origin.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho rendered branches are protected >&2\nexit 1\n")
    hook.chmod(0o755)
    ran = cli("-o", "json", "deploy", "--environment", "staging", "--destination", f"dir:out@{RENDERED}", cwd=clone)
    assert ran.code == 5, ran.err
    assert {each["outcome"] for each in ran.json["targets"]} == {"refused"}
    assert "rendered branches are protected" in ran.json["error"]["message"]


def test_a_server_is_pushed_to_with_the_token_that_reads_it(cli: Cli, git_server: GitServer, tmp_path: Path) -> None:
    url = git_server.create("config", {"environments/staging/shop/a.yaml": CONFIG.encode()})
    words = ("deploy", "--environment", "staging", "--repo", url, "--destination", f"dir:.@{RENDERED}")
    ran = cli(*words, cwd=tmp_path, CI_GITOPS_TOKEN=git_server.password)
    assert ran.code == 0, ran.err
    assert b"calm" in git_server.read("config", "staging/shop/v1_configmap_settings.yaml", RENDERED)
    refused = cli(*words, cwd=tmp_path, CI_GITOPS_TOKEN="wrong")
    assert refused.code != 0
    assert "wrong" not in refused.err


def test_files_are_not_waited_for_between_waves(cli: Cli, clone: Path, tmp_path: Path) -> None:
    """Nothing acts on a file: it never gets healthy, and a definition is never established."""
    later = CONFIG.replace("name: settings", 'name: later, annotations: {ci-gitops/sync-wave: "1"}')
    names = "{plural: flanges, singular: flange, kind: Flange}"
    versions = "[{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]"
    definition = (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        "metadata: {name: flanges.acme.example}\n"
        f"spec: {{group: acme.example, scope: Namespaced, names: {names}, versions: {versions}}}\n"
    )
    workload = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n"
        "  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web:1}]}}\n"
    )
    shop = "environments/staging/shop"
    commit(clone, {f"{shop}/crd.yaml": definition, f"{shop}/web.yaml": workload, f"{shop}/later.yaml": later})
    ran = cli("-o", "json", "deploy", "--environment", "staging", "--app", "shop", "--destination",
              f"dir:{tmp_path}/live", "--timeout", "60s", cwd=clone)  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["outcome"] == "applied"
    assert len(list((tmp_path / "live/staging/shop").glob("*.yaml"))) == 5
