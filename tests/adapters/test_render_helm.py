"""Charts, rendered by the real Helm from what lies in the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ci_gitops.adapters.renderers import render, rendering
from ci_gitops.core.recipes import Chart, Recipe
from ci_gitops.errors import RenderError
from tests.fakes.web import Reply, scripted_web
from tests.rig.helm import Helm, chart
from tests.rig.renderers import renderer_path, write

SHOW = """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}", namespace: "{{ .Release.Namespace }}"}
data:
  mode: {{ .Values.mode | quote }}
  replicas: {{ .Values.replicas | quote }}
  kube: {{ .Capabilities.KubeVersion.Version | quote }}
  monitoring: {{ .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" | quote }}
"""


@pytest.fixture
def path() -> str:
    return renderer_path("helm")


def shop(root: Path, template: str = SHOW) -> None:
    write(root, {
        "charts/shop/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
        "charts/shop/values.yaml": "mode: default\nreplicas: 1\n",
        "charts/shop/values-staging.yaml": "mode: staging\n",
        "charts/shop/templates/show.yaml": template,
    })  # fmt: skip


def data(tree: Path, at: str, path: str, recipe: Recipe) -> dict[str, str]:
    (manifest,) = render(tree, at, {"PATH": path}, recipe)
    return dict(manifest.document["data"], name=manifest.name, namespace=manifest.namespace)


def test_a_chart_with_the_values_file_that_the_target_is(tmp_path: Path, path: str) -> None:
    shop(tmp_path)
    shown = data(tmp_path, "charts/shop/values-staging.yaml", path, Recipe(app="shop", namespace="web"))
    assert (shown["name"], shown["namespace"], shown["mode"], shown["replicas"]) == ("shop", "web", "staging", "1")


def test_all_settings_of_a_chart(tmp_path: Path, path: str) -> None:
    shop(tmp_path)
    write(tmp_path, {"apps/shop/staging/extra.yaml": "mode: extra\n"})
    sets = (("replicas", "2"), ("other", json.dumps({"a": [1, "b,c=d"]})))
    settings = Chart(chart="charts/shop", values=("extra.yaml",), sets=sets, release="mine")
    recipe = Recipe(chart=settings, kube_version="1.31.0", api_versions=("monitoring.coreos.com/v1",))
    shown = data(tmp_path, "apps/shop/staging", path, recipe)
    assert (shown["name"], shown["mode"], shown["replicas"]) == ("mine", "extra", "2")
    assert (shown["kube"], shown["monitoring"]) == ("v1.31.0", "true")


def test_crds_come_along_and_tests_do_not(tmp_path: Path, path: str) -> None:
    shop(tmp_path)
    crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.example.com}\n"
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n"
    write(tmp_path, {"charts/shop/crds/a.yaml": crd, "charts/shop/templates/test.yaml": pod})
    kinds = {manifest.kind for manifest in render(tmp_path, "charts/shop", {"PATH": path})}
    assert kinds == {"CustomResourceDefinition", "ConfigMap"}


def test_local_dependencies_are_laid_into_a_copy(tmp_path: Path, path: str) -> None:
    """Two levels of them, beside one that is vendored as an archive."""
    chart(tmp_path / "charts/deep", "deep", "1.0.0")
    chart(tmp_path / "charts/common", "common", "1.0.0",
          "dependencies: [{name: deep, version: 1.0.0, repository: 'file://../deep'}]\n")  # fmt: skip
    chart(tmp_path / "charts/shop", "shop", "1.0.0",
          "dependencies: [{name: common, version: 1.0.0, repository: 'file://../common'}]\n")  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    names = {manifest.name for manifest in render(tmp_path, "charts/shop", {"PATH": path})}
    assert names == {"deep", "common", "shop"}
    assert sorted(tmp_path.rglob("*")) == before


def test_vendored_archives_are_taken_as_they_lie(tmp_path: Path, path: str, helm: Helm) -> None:
    chart(tmp_path / "redis", "redis", "1.2.3")
    needs = "dependencies: [{name: redis, version: 1.2.3, repository: 'https://charts.example.com'}]\n"
    place = chart(tmp_path / "tree/shop", "shop", "1.0.0", needs)
    with pytest.raises(RenderError, match=r"depends on redis from https://charts\.example\.com, which is not in its"):
        render(tmp_path / "tree", "shop", {"PATH": path})
    packed = helm("package", tmp_path / "redis", "--destination", place.parent / "charts")
    assert packed.returncode == 0, packed.stderr
    assert len(render(tmp_path / "tree", "shop", {"PATH": path})) == 2


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ .Files.Get \"../../outside\" | required \"nothing there\" }}", "nothing there"),
        ("{{ .Files.Get \"/etc/passwd\" | required \"nothing there\" }}", "nothing there"),
        ("{{ getHostByName \"localhost\" | required \"nothing there\" }}", "nothing there"),
        ("{{ $x := \"xxxxxxxxxxxxxxxx\" }}{{ range until 40 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
         "more than 600 MiB of memory"),
        ("{{ fail \"no such mode\" }}", r"helm cannot render charts/shop: .*no such mode"),
    ],
)  # fmt: skip
def test_templates_that_want_out(tmp_path: Path, path: str, template: str, message: str) -> None:
    shop(tmp_path / "tree", template)
    write(tmp_path, {"outside": "secret"})
    with pytest.raises(RenderError, match=message) as caught:
        render(tmp_path / "tree", "charts/shop", {"PATH": path})
    assert str(tmp_path) not in caught.value.message


def test_links_out_of_the_tree_are_refused(tmp_path: Path, path: str) -> None:
    shop(tmp_path / "tree")
    write(tmp_path, {"outside": "mode: secret\n"})
    (tmp_path / "tree/charts/shop/templates/link.yaml").symlink_to(tmp_path / "outside")
    with pytest.raises(RenderError, match="a link out of the repository"):
        render(tmp_path / "tree", "charts/shop", {"PATH": path})


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(chart=Chart(chart="redis", repository="https://charts.example.com")), "is not fetched from https"),
        (Recipe(chart=Chart(chart="oci://registry.example.com/redis")), "is not fetched from oci"),
        (Recipe(chart=Chart(values=("nothing.yaml",))), "no values file charts/shop/nothing.yaml"),
        (Recipe(chart=Chart(chart="charts/other")), "no Chart.yaml there"),
        (Recipe(chart=Chart(chart="../../x")), "not in the repository"),
    ],
)
def test_what_is_not_in_the_repository(tmp_path: Path, path: str, recipe: Recipe, message: str) -> None:
    shop(tmp_path / "tree")
    with pytest.raises(RenderError, match=message):
        render(tmp_path / "tree", "charts/shop", {"PATH": path}, recipe)


def test_what_comes_out_differently_each_time_is_named(tmp_path: Path, path: str) -> None:
    shop(tmp_path, SHOW + "  token: {{ randAlphaNum 16 }}\n")
    chart(tmp_path / "charts/common", "common", "1.0.0")
    with (tmp_path / "charts/shop/Chart.yaml").open("a") as file:
        file.write("dependencies: [{name: common, version: 1.0.0, repository: 'file://../common'}]\n")
    found = rendering(tmp_path, "charts/shop", {"PATH": path})
    assert [each.pointer for each in found.unstable] == ["/data/token"]


def test_a_chart_that_is_stable(tmp_path: Path, path: str) -> None:
    shop(tmp_path)
    assert rendering(tmp_path, "charts/shop", {"PATH": path}).unstable == ()


@pytest.fixture
def repository(tmp_path: Path, helm: Helm) -> Iterator[str]:
    """A chart repository over HTTP, with `redis` 1.2.3."""
    folder = tmp_path / "repository"
    folder.mkdir()
    chart(tmp_path / "redis", "redis", "1.2.3")
    for words in (("package", tmp_path / "redis", "--destination", folder), ("repo", "index", folder)):
        done = helm(*words)
        assert done.returncode == 0, done.stderr
    files = {f"/{file.name}": file.read_bytes() for file in folder.iterdir()}
    with scripted_web(lambda asked: Reply(200 if asked.path in files else 404, {}, files.get(asked.path, b""))) as web:
        yield f"http://{web.host}"


def test_a_chart_is_fetched_from_an_allowed_host_at_its_version(tmp_path: Path, path: str, repository: str) -> None:
    write(tmp_path / "tree", {"a/values.yaml": "{}\n"})
    before = sorted((tmp_path / "tree").rglob("*"))
    recipe = Recipe(
        chart=Chart(chart="redis", repository=repository, version="1.2.3", values=("values.yaml",)),
        hosts=("127.0.0.*",), sandbox="require",
    )  # fmt: skip
    (manifest,) = render(tmp_path / "tree", "a", {"PATH": path}, recipe)
    assert manifest.name == "redis"
    assert sorted((tmp_path / "tree").rglob("*")) == before
    for changed, message in (
        (replace(recipe, hosts=()), "is not fetched from http"),
        (replace(recipe, hosts=("example.com",)), "is not fetched from http"),
        (replace(recipe, chart=Chart(chart="redis", repository=repository)), "has no version"),
        (replace(recipe, chart=Chart(chart="redis", repository=repository, version="9")), "helm cannot render a: "),
    ):
        with pytest.raises(RenderError, match=message):
            render(tmp_path / "tree", "a", {"PATH": path}, changed)
