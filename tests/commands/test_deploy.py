"""`deploy`, to a folder and to a real API server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.renderers import renderer_path

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: calm}
"""
SECOND = CONFIG.replace("settings", "more")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {
        "environments/staging/shop/settings.yaml": CONFIG,
        "environments/staging/blog/settings.yaml": SECOND,
        "environments/production/shop/settings.yaml": CONFIG,
    })  # fmt: skip
    return folder


def test_a_checkout_is_deployed_to_a_folder_at_its_head(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    words = ("deploy", "--environment", "staging", "--destination", f"dir:{tmp_path}/live", "-o", "json")
    first = cli(*words[-2:], *words[:-2], cwd=checkout)
    assert first.code == 0, first.err
    assert first.json["kind"] == "DeployResult"
    assert first.json["outcome"] == "applied"
    assert first.json["revision"] == git(checkout, "rev-parse", "HEAD")
    assert [target["target"]["app"] for target in first.json["targets"]] == ["blog", "shop"]
    assert first.json["targets"][1]["plan"]["summary"]["create"] == 1
    assert (tmp_path / "live/staging/shop/v1_configmap_settings.yaml").exists()
    assert not (tmp_path / "live/production").exists()
    again = cli(*words[-2:], *words[:-2], cwd=checkout)
    assert again.json["outcome"] == "unchanged"


def test_one_app_and_a_dry_run(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    ran = cli("deploy", "--environment", "staging", "--app", "shop", "--destination", f"dir:{tmp_path}/live",
              "--dry-run", cwd=checkout)  # fmt: skip
    assert ran.code == 0
    assert "staging at " in ran.out
    assert "planned" in ran.out
    assert "+ ConfigMap settings" in ran.out
    assert "blog" not in ran.out
    assert not (tmp_path / "live").exists()


def test_an_older_revision_by_its_commit(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    old = git(checkout, "rev-parse", "HEAD")
    commit(checkout, {"environments/staging/shop/settings.yaml": CONFIG.replace("calm", "wild")})
    ran = cli("deploy", "--environment", "staging", "--repo", checkout, "--revision", old, "--destination",
              "dir:live", cwd=tmp_path)  # fmt: skip
    assert ran.code == 0, ran.err
    assert "calm" in (tmp_path / "live/staging/shop/v1_configmap_settings.yaml").read_text()


def test_a_revision_by_its_tag_branch_or_short_id(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    old = git(checkout, "rev-parse", "HEAD")
    git(checkout, "tag", "-a", "-m", "one", "v1")
    git(checkout, "branch", "kept")
    new = commit(checkout, {"environments/staging/shop/settings.yaml": CONFIG.replace("calm", "wild")})
    words = ("-o", "json", "deploy", "--environment", "staging", "--destination", "dir:live", "--dry-run", "--revision")
    found = {name: cli(*words, name, cwd=checkout).json["revision"] for name in ("v1", "kept", old[:9], "HEAD")}
    assert found == {"v1": old, "kept": old, old[:9]: old, "HEAD": new}
    assert cli(*words, "v1", "--repo", checkout, cwd=tmp_path).json["revision"] == old
    wrong = cli(*words, "v2", "--repo", checkout, cwd=tmp_path)
    assert (wrong.code, "has no branch 'v2'" in wrong.json["error"]["message"]) == (1, True)


def test_an_environment_on_a_branch_of_its_own(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    commit(checkout, {".ci-gitops.yaml": "environments:\n  staging: {repository: {branch: staging}}\n"})
    git(checkout, "switch", "-q", "-c", "staging")
    head = commit(checkout, {"environments/staging/shop/settings.yaml": CONFIG.replace("calm", "wild")})
    git(checkout, "switch", "-q", "main")
    words = ("-o", "json", "deploy", "--environment", "staging", "--app", "shop", "--destination", "dir:live")
    own = cli(*words, "--repo", checkout, cwd=tmp_path)
    assert own.json["revision"] == head, own.err
    here = cli(*words, cwd=checkout)
    assert here.json["revision"] == git(checkout, "rev-parse", "main"), here.err


def test_the_commit_of_the_update_before_it_counts(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "job"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{checkout}", str(shallow))
    new = commit(checkout, {"environments/staging/shop/settings.yaml": CONFIG.replace("calm", "wild")})
    words = ("deploy", "--environment", "staging", "--destination", f"dir:{tmp_path}/live")
    ran = cli(*words, cwd=shallow, CI_GITOPS_COMMIT=new)
    assert ran.code == 0, ran.err
    assert "wild" in (tmp_path / "live/staging/shop/v1_configmap_settings.yaml").read_text()


def test_uncommitted_changes_are_left_out_and_told(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    (checkout / "environments/staging/shop/settings.yaml").write_text(CONFIG.replace("calm", "wild"))
    ran = cli("deploy", "--environment", "staging", "--destination", f"dir:{tmp_path}/live", cwd=checkout)
    assert f"1 uncommitted change of {checkout} is left out.\n" in ran.err
    (checkout / ".ci-gitops.yaml").write_text("version: 1\nname: unseen\n")
    ran = cli("render", "--environment", "staging", cwd=checkout)
    assert f"2 uncommitted changes of {checkout} are left out; to count, .ci-gitops.yaml must be committed" in ran.err
    assert "calm" in (tmp_path / "live/staging/shop/v1_configmap_settings.yaml").read_text()


def test_a_checkout_that_another_user_cloned(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    """As in GitLab jobs, whose image has a user of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 1000, 1000)
    ran = cli("deploy", "--environment", "staging", "--destination", f"dir:{tmp_path}/live", cwd=checkout)
    assert ran.code == 0, ran.err


def test_what_does_not_render_keeps_the_others_from_nothing(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    commit(checkout, {"environments/staging/shop/broken.yaml": "kind: Nameless\n"})
    ran = cli("deploy", "--environment", "staging", "--destination", f"dir:{tmp_path}/live", cwd=checkout)
    assert ran.code == 1
    assert "shop in staging: broken.yaml" in ran.err
    assert (tmp_path / "live/staging/blog").is_dir()
    assert not (tmp_path / "live/staging/shop").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--environment", "stagging"), "Did you mean 'staging'?"),
        (("--environment", "staging", "--app", "shopp"), "Did you mean 'shop'?"),
        ((), "there are: staging, production"),
        (("--environment", "staging"), "has no destination"),
        (("--environment", "staging", "--destination", "ftp:x"), "'ftp:x' is not known"),
    ],
)
def test_what_cannot_be_meant(cli: Cli, checkout: Path, words: tuple[str, ...], message: str) -> None:
    ran = cli("deploy", *words, cwd=checkout)
    assert ran.code == 2
    assert message in ran.err


def test_a_branch_says_the_environment(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    config = "environments:\n  staging:\n    sourceBranches: [develop]\n    destination: 'dir:live'\n  production: {}\n"
    commit(checkout, {".ci-gitops.yaml": config})
    ran = cli("deploy", cwd=checkout, CI_COMMIT_BRANCH="develop")
    assert ran.code == 0, ran.err
    assert (checkout / "live/staging/shop/v1_configmap_settings.yaml").exists()


def test_a_real_cluster_gets_what_git_declares(cli: Cli, checkout: Path, cluster: Cluster, namespace: str) -> None:
    config = f"environments:\n  staging:\n    destination: {{namespace: {namespace}}}\n  production: {{}}\n"
    commit(checkout, {".ci-gitops.yaml": config})
    first = cli("deploy", "--environment", "staging", cwd=checkout, KUBECONFIG=str(cluster.kubeconfig))
    assert first.code == 0, first.err
    assert "2 created" in first.out or first.out.count("1 created") == 2
    assert cluster.get("configmap", "settings", namespace)["data"] == {"mode": "calm"}
    again = cli("-o", "json", "deploy", "--environment", "staging", cwd=checkout, KUBECONFIG=str(cluster.kubeconfig))
    assert again.json["outcome"] == "unchanged"


def test_a_refusal_in_the_middle_tells_what_was_done(
    cli: Cli, checkout: Path, cluster: Cluster, namespace: str
) -> None:
    commit(checkout, {
        ".ci-gitops.yaml": f"environments:\n  staging:\n    destination: {{namespace: {namespace}}}\n",
        "environments/staging/shop/z.yaml": CONFIG.replace("settings", "NOT_A_NAME"),
    })  # fmt: skip
    ran = cli("-o", "json", "deploy", "--environment", "staging", cwd=checkout, KUBECONFIG=str(cluster.kubeconfig))
    assert ran.code == 1
    assert "NOT_A_NAME" in ran.json["error"]["message"]
    assert [target["outcome"] for target in ran.json["targets"]] == ["succeeded", "failed"]
    assert ran.json["targets"][1]["plan"]["summary"]["create"] == 2


def test_a_chart_is_told_what_its_cluster_can_do(cli: Cli, checkout: Path, cluster: Cluster, namespace: str) -> None:
    show = CONFIG.replace("name: settings", "name: '{{ .Release.Namespace }}'").replace(
        "calm", "'{{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.APIVersions.Has \"apps/v1/Deployment\" }}'"
    )
    commit(checkout, {
        ".ci-gitops.yaml": "apps: {shop: {path: 'charts/shop/values-{environment}.yaml'}}\n"
        f"environments: {{staging: {{destination: {{namespace: {namespace}}}}}}}\n",
        "charts/shop/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
        "charts/shop/values-staging.yaml": "{}\n",
        "charts/shop/templates/show.yaml": show,
    })  # fmt: skip
    path = renderer_path("helm", "git")
    ran = cli("deploy", "--environment", "staging", cwd=checkout, KUBECONFIG=str(cluster.kubeconfig), PATH=path)
    assert ran.code == 0, ran.err
    mode = cluster.get("configmap", namespace, namespace)["data"]["mode"]
    assert mode.startswith("v1.")
    assert mode.endswith(" true")
