"""`render`: what Git declares, printed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.commands.test_deploy import CONFIG, commit, git
from tests.rig.cli import Cli
from tests.rig.renderers import renderer_path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    template = CONFIG.replace("calm", "{{ .Values.mode }}").replace("name: settings", "name: '{{ .Release.Name }}'")
    commit(folder, {
        ".ci-gitops.yaml": """
apps:
  blog: {path: "blog/{environment}", renderer: plain}
  shop:
    path: "shop/{environment}"
    helm: {chart: charts/shop, values: ["values-{environment}.yaml"], set: {mode: wild}, release: mine}
environments: {staging: {}, production: {}}
""",
        "blog/staging/settings.yaml": CONFIG,
        "shop/staging/values-staging.yaml": "mode: calm\n",
        "charts/shop/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
        "charts/shop/templates/settings.yaml": template,
    })  # fmt: skip
    return folder


def test_a_stream_of_yaml(cli: Cli, checkout: Path) -> None:
    ran = cli("render", "--environment", "staging", cwd=checkout, PATH=renderer_path("helm", "git"))
    assert ran.code == 0, ran.err
    assert "# shop in staging" in ran.out
    assert [(each["metadata"]["name"], each["data"]["mode"]) for each in yaml.safe_load_all(ran.out)] == [
        ("settings", "calm"),
        ("mine", "wild"),
    ]
    assert "Box around renderers: full" in ran.err


def test_a_document_of_one_app_at_an_older_revision(cli: Cli, checkout: Path) -> None:
    old = git(checkout, "rev-parse", "HEAD")
    commit(checkout, {"blog/staging/settings.yaml": CONFIG.replace("calm", "new")})
    words = ("-o", "json", "render", "--environment", "staging", "--app", "blog", "--revision", old)
    ran = cli(*words, cwd=checkout)
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "RenderResult"
    assert ran.json["revision"] == old
    assert ran.json["sandbox"] == {"level": "full", "missing": []}
    assert [each["app"] for each in ran.json["targets"]] == ["blog"]
    assert [each["data"] for each in ran.json["manifests"]] == [{"mode": "calm"}]


def test_a_target_that_does_not_render(cli: Cli, checkout: Path) -> None:
    commit(checkout, {"charts/shop/templates/bad.yaml": '{{ fail "no such mode" }}'})
    ran = cli("render", "--environment", "staging", cwd=checkout, PATH=renderer_path("helm", "git"))
    assert ran.code == 1
    assert "shop in staging: helm cannot render shop/staging: " in ran.err
    assert "no such mode" in ran.err
    assert not ran.out


def test_an_open_box_is_warned_of(cli: Cli, checkout: Path) -> None:
    config = (checkout / ".ci-gitops.yaml").read_text()
    commit(checkout, {".ci-gitops.yaml": f"{config}render: {{sandbox: off}}\n"})
    ran = cli("render", "--environment", "staging", "--app", "blog", cwd=checkout)
    assert ran.code == 0, ran.err
    assert "Box around renderers: off (switched off by render.sandbox)" in ran.err


def test_a_fork_cannot_open_the_box(cli: Cli, checkout: Path) -> None:
    config = (checkout / ".ci-gitops.yaml").read_text()
    commit(checkout, {".ci-gitops.yaml": f"{config}render: {{sandbox: off}}\n"})
    fork = {"CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2"}
    ran = cli("render", "--environment", "staging", "--app", "blog", cwd=checkout, **fork)
    assert ran.code == 0, ran.err
    assert "Box around renderers: full" in ran.err


def test_what_was_rendered_before_is_taken_until_something_changes(cli: Cli, checkout: Path) -> None:
    words = ("render", "--environment", "staging")
    path = renderer_path("helm", "git")
    first = cli(*words, cwd=checkout, PATH=path)
    assert "Rendering shop in staging" in first.err
    again = cli(*words, cwd=checkout, PATH=path)
    assert again.out == first.out
    assert "Rendering" not in again.err
    assert "shop in staging: rendered before" in again.err
    git(checkout, "commit", "-q", "--allow-empty", "-m", "Nothing")
    assert "Rendering" not in cli(*words, cwd=checkout, PATH=path).err  # the same tree
    assert "Rendering shop" in cli(*words, "--no-cache", cwd=checkout, PATH=path).err
    commit(checkout, {"blog/staging/settings.yaml": CONFIG.replace("calm", "new")})
    changed = cli(*words, cwd=checkout, PATH=path)
    assert "Rendering blog in staging" in changed.err
    assert "mode: new" in changed.out
