"""`update --chart` and `--set` of a chart's dependencies: Chart.lock follows in the same commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.cli import Cli
from tests.rig.git_server import GitServer
from tests.rig.helm import Helm, chart

DEPENDENCY = "dependencies:\n- {name: cache, version: 0.1.0, repository: 'file://../cache'}  # ours\n"
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web}
spec:
  chart:
    spec: {chart: web, version: "1.0.0", sourceRef: {kind: HelmRepository, name: ours}}
"""


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


BY_KEY = ["--set", "shop:Chart.yaml:dependencies[0].version=0.2.0"]


@pytest.mark.parametrize("way", [["--chart", "cache=0.2.0"], BY_KEY])
def test_helm_takes_what_was_committed(
    cli: Cli, git_server: GitServer, helm: Helm, tmp_path: Path, way: list[str]
) -> None:
    charts = tmp_path / "charts"
    chart(charts / "cache", "cache", "0.1.0")
    declared = chart(charts / "shop", "shop", "1.0.0", DEPENDENCY)
    (charts / "shop/values-staging.yaml").write_text("replicas: 1\n")
    assert helm("dependency", "update", charts / "shop").returncode == 0
    (charts / "shop/charts/cache-0.1.0.tgz").unlink()
    url = git_server.create("config", files_below(tmp_path / "charts"))
    ran = cli("update", *way, "--environment", "staging", "--repo", url, CI_GITOPS_TOKEN=git_server.password)
    assert ran.code == 0, ran.err
    if "--chart" in way:
        assert "one for all environments" in ran.err + ran.out
    for name in ("Chart.yaml", "Chart.lock"):
        (charts / "shop" / name).write_bytes(git_server.read("config", f"shop/{name}"))
    assert declared.read_text().endswith(DEPENDENCY.replace("0.1.0", "0.2.0"))
    chart(charts / "cache", "cache", "0.2.0")
    built = helm("dependency", "build", charts / "shop")
    assert built.returncode == 0, built.stderr
    assert len(git_server.messages("config")) == 2
    again = cli("update", *way, "--environment", "staging", "--repo", url, CI_GITOPS_TOKEN=git_server.password)
    assert again.code == 0
    assert len(git_server.messages("config")) == 2


def test_a_release_in_an_overlay(cli: Cli, git_server: GitServer) -> None:
    overlay = "apps/web/overlays/staging"
    kustomization = b"resources: [release.yaml]\n"
    files = {f"{overlay}/kustomization.yaml": kustomization, f"{overlay}/release.yaml": RELEASE.encode()}
    url = git_server.create("config", files)
    token = {"CI_GITOPS_TOKEN": git_server.password}
    ran = cli("update", "--chart", "web=1.1.0", "--environment", "staging", "--repo", url, env=token)
    assert ran.code == 0, ran.err
    assert git_server.read("config", f"{overlay}/release.yaml").decode() == RELEASE.replace("1.0.0", "1.1.0")
    missing = cli("update", "--chart", "wep=1.1.0", "--environment", "staging", "--repo", url, env=token)
    assert missing.code == 1
    assert "'web'" in missing.err
