"""Where the charts of a target come from, in the spelling of each tool, or why that is not known."""

from __future__ import annotations

import pytest

from ci_gitops.core.chart_sources import charts_in_use
from ci_gitops.core.targets import Target

TARGET = Target("shop", "staging", "apps/shop")
HELM_REPOSITORY = """\
kind: HelmRepository
apiVersion: source.toolkit.fluxcd.io/v1
metadata: {name: ours}
spec: {url: oci://registry.example.com/charts, type: oci}
"""
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cache}
spec: {chart: {spec: {chart: redis, version: 19.1.0, sourceRef: {kind: HelmRepository, name: ours}}}}
"""
PATCH = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cache}
spec: {chart: {spec: {version: 19.1.0}}}
"""
HELMFILE = """\
repositories:
- {name: bitnami, url: https://charts.example.com/bitnami/}
- {name: ours, url: registry.example.com/charts, oci: true}
releases:
- {name: cache, chart: CHART, version: 19.1.0}
"""
APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: cache}
spec: {source: {repoURL: REPO, chart: redis, targetRevision: 19.1.0}}
"""


def source(text: str, around: str = "", path: str = "apps/shop/file.yaml") -> tuple[str, str | None]:
    """The source as text, or nothing and the problem."""
    (chart,) = charts_in_use(TARGET, {path: text}, {"base/file.yaml": around} if around else {}).values()
    return str(chart.source or ""), chart.problem


@pytest.mark.parametrize(
    ("text", "around", "said"),
    [
        ("dependencies:\n- {name: redis, version: 19.1.0, repository: https://charts.example.com/}\n", "",
         "redis of https://charts.example.com"),
        ("dependencies:\n- {name: redis, version: 19.1.0, repository: oci://registry.example.com/charts}\n", "",
         "oci://registry.example.com/charts/redis"),
        (HELMFILE.replace("CHART", "bitnami/redis"), "", "redis of https://charts.example.com/bitnami"),
        (HELMFILE.replace("CHART", "ours/redis"), "", "oci://registry.example.com/charts/redis"),
        (HELMFILE.replace("CHART", "oci://registry.example.com/x/redis"), "", "oci://registry.example.com/x/redis"),
        (f"{RELEASE}---\n{HELM_REPOSITORY}", "", "oci://registry.example.com/charts/redis"),
        (PATCH, f"{RELEASE}---\n{HELM_REPOSITORY}", "oci://registry.example.com/charts/redis"),
        (("apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: cache}\n"
         "spec: {url: oci://registry.example.com/charts/redis, ref: {tag: 19.1.0}}\n"), "",
         "oci://registry.example.com/charts/redis"),
        (("apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: cache}\n"
         "spec: {repo: https://charts.example.com, chart: redis, version: 19.1.0}\n"), "",
         "redis of https://charts.example.com"),
        (APPLICATION.replace("REPO", "https://charts.example.com"), "", "redis of https://charts.example.com"),
        (APPLICATION.replace("REPO", "registry.example.com/charts"), "", "oci://registry.example.com/charts/redis"),
        ("helmCharts:\n- {name: redis, repo: https://charts.example.com, version: 19.1.0}\n", "",
         "redis of https://charts.example.com"),
        (("apps:\n  shop: {helm: {chart: redis, repository: https://charts.example.com, version: 19.1.0}}\n"
         "  other: {helm: {chart: other, version: 1.0.0}}\n"), "", "redis of https://charts.example.com"),
        ("apps: {shop: {helm: {chart: oci://registry.example.com/charts/redis, version: 19.1.0}}}\n", "",
         "oci://registry.example.com/charts/redis"),
    ],
)  # fmt: skip
def test_sources(text: str, around: str, said: str) -> None:
    assert source(text, around) == (said, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dependencies:\n- {name: redis, version: 19.1.0, repository: file://../redis}\n", "lies in the repository"),
        ("dependencies:\n- {name: redis, version: 19.1.0}\n", "lies in the repository"),
        ("dependencies:\n- {name: redis, repository: https://charts.example.com}\n", "no version"),
        ("dependencies:\n- {name: redis, version: 19.1.0, repository: '@bitnami'}\n", "for an address elsewhere"),
        (HELMFILE.replace("CHART", "theirs/redis"), "names no repository 'theirs'"),
        (HELMFILE.replace("CHART", "./charts/redis"), "lies in the repository"),
        (RELEASE, "HelmRepository 'ours' is not in the app's files"),
        (RELEASE.replace("HelmRepository", "GitRepository"), "a GitRepository, whose revision is its version"),
        (PATCH, "the object that it patches is not in the app's files"),
        (("apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: cache}\n"
         "spec: {url: oci://registry.example.com/charts/redis, ref: {semver: 19.x}}\n"), "Flux follows itself"),
        (("apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: cache}\n"
         "spec: {url: oci://registry.example.com/charts/redis, ref: {digest: 'sha256:00'}}\n"), "by its digest"),
        (APPLICATION.replace("REPO", "'oci://{{registry}}/x'"), "no address of a chart"),
        (("dependencies:\n- {name: redis, version: 1.0.0, repository: https://a.example.com}\n"
         "- {name: redis, alias: b, version: 2.0.0, repository: https://a.example.com}\n"), "two versions"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed(text: str, problem: str) -> None:
    found, said = source(text)
    assert problem in str(said)
    assert found == "" or "two versions" in str(said)


def test_a_chart_of_its_own_and_what_is_no_yaml_have_none() -> None:
    assert charts_in_use(TARGET, {"Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n"}, {}) == {}
    assert charts_in_use(TARGET, {"templates/x.yaml": "{{- if }}\nhelmCharts: [\n", "y.yaml": "a: {{ b }}\n"}, {}) == {}
