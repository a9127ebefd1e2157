"""Rendering by the real tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters import box
from ci_gitops.adapters.renderers import declared_files, render
from ci_gitops.errors import RenderError
from tests.rig.helm import chart
from tests.rig.renderers import renderer_path, write

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: registry.example.com/web:1}]}}}
"""


@pytest.fixture
def path() -> str:
    """The PATH with kustomize on it."""
    return renderer_path("kustomize")


def overlay(root: Path) -> None:
    write(root, {
        "base/kustomization.yaml": "resources: [web.yaml]\n",
        "base/web.yaml": DEPLOYMENT,
        "overlays/staging/kustomization.yaml":
            "resources: [../../base]\nnamePrefix: staging-\nimages: [{name: registry.example.com/web, newTag: '2'}]\n",
    })  # fmt: skip


def test_an_overlay_is_built_with_its_image(tmp_path: Path, path: str) -> None:
    overlay(tmp_path)
    (manifest,) = render(tmp_path, "overlays/staging", {"PATH": path})
    assert manifest.name == "staging-web"
    assert "registry.example.com/web:2" in str(manifest.document)


def test_an_overlay_that_does_not_build_says_why_without_our_paths(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"overlays/staging/kustomization.yaml": "resources: [nothing.yaml]\n"})
    with pytest.raises(RenderError, match=r"cannot render overlays/staging: .*nothing\.yaml") as caught:
        render(tmp_path, "overlays/staging", {"PATH": path})
    assert str(tmp_path) not in str(caught.value)


def test_without_kustomize_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    overlay(tmp_path)
    with pytest.raises(RenderError, match="Neither kustomize nor kubectl") as caught:
        render(tmp_path, "overlays/staging", {"PATH": "/nowhere"})
    assert "https://" in str(caught.value.hint)


def test_plain_files_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, {"staging/b.yaml": DEPLOYMENT, "staging/a.yml": DEPLOYMENT.replace("web", "first", 1)})
    write(tmp_path, {"staging/notes.txt": "no yaml", "staging/.hidden.yaml": "{"})
    assert [manifest.name for manifest in render(tmp_path, "staging", {})] == ["first", "web"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"staging/a.yaml": DEPLOYMENT, "secret.yaml": DEPLOYMENT.replace("web", "secret")})
    (tmp_path / "staging/z.yaml").symlink_to(tmp_path / "secret.yaml")
    assert [manifest.name for manifest in render(tmp_path, "staging", {})] == ["web"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../outside", "leaves the repository"),
        ("nowhere", "no folder nowhere"),
        ("empty", "holds nothing to render"),
    ],
)
def test_what_cannot_be_rendered(tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "tree/empty").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    with pytest.raises(RenderError, match=message):
        render(tmp_path / "tree", target, {})


REMOTE = [
    "https://github.com/a/b//c?ref=v1",
    "github.com/a/b?ref=v1",
    "git@github.com:a/b.git",
    "git::https://127.0.0.1:1/x/y.git//z",
    "ssh://git@example.com/a",
    "http://127.0.0.1:1/web.yaml",
]


@pytest.mark.parametrize("remote", REMOTE)
@pytest.mark.parametrize("key", ["resources", "components", "transformers"])
def test_remote_parts_are_refused_by_name(tmp_path: Path, path: str, key: str, remote: str) -> None:
    write(tmp_path, {
        "a/kustomization.yaml": "resources: [../base]\n",
        "base/kustomization.yaml": f"{key}: ['{remote}']\n",
    })  # fmt: skip
    with pytest.raises(RenderError, match="only what is in the repository is rendered") as caught:
        render(tmp_path, "a", {"PATH": path})
    assert f"base/kustomization.yaml ({key}) names the remote '{remote}'" in caught.value.message


@pytest.mark.parametrize(
    ("kustomization", "message"),
    [
        ("resources: [../../outside.yaml]", "outside of the repository"),
        ("resources: [/etc/passwd]", "outside of the repository"),
        ("configMapGenerator: [{name: a, files: [x=../../outside.yaml]}]", "outside of the repository"),
        ("configMapGenerator: [{name: a, envs: [link.yaml]}]", "a link out of the repository"),
        ("patches: [{path: link.yaml}]", "a link out of the repository"),
        ("helmCharts: [{name: redis, repo: 'https://charts.example.com'}]", "takes the chart 'redis' from https"),
        ("generators: [plugin.yaml]", "a/plugin.yaml is a kustomize plugin"),
        ('transformers:\n- |-\n  {"apiVersion": x/v1,\n  kind: Y}\n', r"\(transformers\) is a kustomize plugin"),
        ("Resources: [https://example.com/x.yaml]", "writes 'Resources' for `resources`"),
        ("re\u017fources: [own.yaml]", "for `resources`"),
        ("patches: [{Path: ../../outside.yaml}]", "writes 'Path' for `path`"),
        ("transformers:\n- |-\n  apiVersion: x/v1\n  kind: Y", r"\(transformers\) is a kustomize plugin"),
        (
            "validators:\n- |-\n  kind: Y\n  metadata: {annotations: {config.kubernetes.io/function: z}}",
            "is a kustomize",
        ),
    ],
)
def test_what_leaves_the_tree_or_runs_programs_is_refused(
    tmp_path: Path, path: str, kustomization: str, message: str
) -> None:
    tree = tmp_path / "tree"
    write(tmp_path, {"outside.yaml": DEPLOYMENT})
    write(tree, {"a/kustomization.yaml": kustomization + "\n"})
    write(tree, {"a/plugin.yaml": "apiVersion: someteam.example.com/v1\nkind: Maker\nmetadata: {name: x}\n"})
    (tree / "a/link.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(RenderError, match=message):
        render(tree, "a", {"PATH": path})


@pytest.mark.parametrize(
    ("resource", "words"),
    [("../../outside.yaml", "permission denied"), ("http://127.0.0.1:1/web.yaml", "operation not permitted")],
)
def test_the_box_stops_what_the_scan_would_overlook(tmp_path: Path, path: str, resource: str, words: str) -> None:
    tree, scratch = tmp_path / "tree", tmp_path / "scratch"
    scratch.mkdir()
    write(tmp_path, {"outside.yaml": DEPLOYMENT, "tree/a/kustomization.yaml": f"resources: ['{resource}']\n"})
    done = box.run(
        [f"{path}/kustomize", "build", "--load-restrictor", "LoadRestrictionsNone", str(tree / "a")],
        box.Room(tree, scratch), box.level_for("require"), cwd=tree,
    )  # fmt: skip
    assert done.code
    assert words in done.errors


def test_an_alias_bomb_ends(tmp_path: Path, path: str) -> None:
    rows = "\n".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))
    bomb = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  a0: &a0 [{'x, ' * 9}x]\n{rows}\n"
    write(tmp_path, {"a/kustomization.yaml": "resources: [bomb.yaml]\n", "a/bomb.yaml": bomb})
    with pytest.raises(RenderError, match=r"memory|excessive aliasing"):
        render(tmp_path, "a", {"PATH": path})


def test_charts_of_a_kustomization_are_inflated_from_the_repository(tmp_path: Path, path: str) -> None:
    renderer_path("helm")
    write(tmp_path, {"a/kustomization.yaml": "helmCharts: [{name: shop, releaseName: mine}]\nnamePrefix: x-\n"})
    chart(tmp_path / "a/charts/shop", "shop", "1.0.0")
    write(tmp_path, {"a/charts/shop/values.yaml": "{}\n"})
    (manifest,) = render(tmp_path, "a", {"PATH": path})
    assert manifest.name == "x-shop"


def test_the_files_of_a_target_wherever_they_lie(tmp_path: Path) -> None:
    overlay(tmp_path)
    write(tmp_path, {
        "charts/web/Chart.yaml": "name: web\ndependencies: [{name: lib, repository: 'file://../lib'}]\n",
        "charts/web/templates/web.yaml": DEPLOYMENT, "charts/web/values-live.yaml": "a: 1\n",
        "charts/lib/Chart.yaml": "name: lib\n", "charts/lib/values.yaml": "a: 1\n",
        "charts/other/Chart.yaml": "a: 1\n",
        "sonnet/live/main.jsonnet": "local base = import '../base.libsonnet'; base + import 'k.libsonnet'\n",
        "sonnet/base.libsonnet": "(importstr 'words.txt')\n", "sonnet/words.txt": "x", "lib/k.libsonnet": "{}\n",
        "lib/unused.libsonnet": "{}\n",
    })  # fmt: skip
    assert {*declared_files(tmp_path, "overlays/staging")} == {
        "overlays/staging/kustomization.yaml", "base/kustomization.yaml", "base/web.yaml",
    }  # fmt: skip
    assert {*declared_files(tmp_path, "charts/web/values-live.yaml")} == {
        "charts/web/Chart.yaml", "charts/web/templates/web.yaml", "charts/web/values-live.yaml",
        "charts/lib/Chart.yaml", "charts/lib/values.yaml",
    }  # fmt: skip
    assert {*declared_files(tmp_path, "sonnet/live")} == {
        "sonnet/live/main.jsonnet", "sonnet/base.libsonnet", "sonnet/words.txt", "lib/k.libsonnet",
    }  # fmt: skip
    with pytest.raises(RenderError, match="There is no overlays/live"):
        declared_files(tmp_path, "overlays/live")
