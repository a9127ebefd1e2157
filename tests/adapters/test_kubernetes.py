"""Server-side apply on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters.cluster import kubernetes_login
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.core.manifests import parse
from ci_gitops.errors import ClusterError, SettingsError, TemporaryError
from tests.contracts.cluster_rigs import deployment
from tests.rig.cluster import Cluster

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: calm}
"""


def destination(cluster: Cluster, namespace: str) -> Kubernetes:
    return Kubernetes(Access(None, str(cluster.kubeconfig)), namespace)


def test_a_kind_that_the_cluster_does_not_know(cluster: Cluster, namespace: str) -> None:
    (manifest,) = parse("apiVersion: absent.example.com/v1\nkind: Flange\nmetadata: {name: x}\n", "a file")
    with pytest.raises(ClusterError, match=r"no kind Flange in absent\.example\.com/v1"):
        destination(cluster, namespace).apply(manifest.document)


def test_what_the_server_refuses_is_said_in_its_words(cluster: Cluster, namespace: str) -> None:
    (manifest,) = parse(CONFIG.replace("data: {mode: calm}", "data: [calm]"), "a file")
    with pytest.raises(ClusterError, match=r"ConfigMap test-\w+/settings: .* refused: .*data"):
        destination(cluster, namespace).apply(manifest.document)


def test_fields_of_another_manager_are_a_conflict(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "configmap", "settings", "-n", namespace, "--from-literal=mode=theirs")
    (manifest,) = parse(CONFIG, "a file")
    with pytest.raises(ClusterError, match="conflict"):
        destination(cluster, namespace).apply(manifest.document)
    assert cluster.get("configmap", "settings", namespace)["data"] == {"mode": "theirs"}


def test_a_missing_namespace_names_both_ways(cluster: Cluster) -> None:
    (manifest,) = parse(CONFIG, "a file")
    with pytest.raises(ClusterError, match="not found") as caught:
        destination(cluster, "nowhere").apply(manifest.document)
    assert "declare it" in str(caught.value.hint)


def test_a_server_that_is_away_is_temporary(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        '{"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [],'
        '"clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],'
        '"contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}]}'
    )
    (manifest,) = parse(CONFIG, "a file")
    with pytest.raises(TemporaryError, match=r"cluster a cannot be reached: .*refused") as caught:
        Kubernetes(Access(None, str(kubeconfig)), None, wait=lambda _: None).apply(manifest.document)
    assert "http://127.0.0.1:1" in str(caught.value.hint)


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text('{"apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [], "users": []}')
    with pytest.raises(SettingsError, match="staging"):
        Kubernetes(Access("staging", str(kubeconfig)), None)


def test_what_charts_ask_for(cluster: Cluster, namespace: str) -> None:
    known = destination(cluster, namespace).api_versions
    assert {"v1", "v1/ConfigMap", "apps/v1", "apps/v1/Deployment"} <= set(known)


def test_a_server_far_away_sends_less(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_login, "is_loopback", lambda _: False)
    target = destination(cluster, namespace)
    big = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "x" * 300_000}}
    target.apply(big)
    maps = target.resource("v1", "ConfigMap")
    assert maps
    (found,) = target.list(maps, namespace, fields="metadata.name=big").items
    assert found["data"] == big["data"]
    target.close()


def test_what_the_server_warns_of_is_told_once(cluster: Cluster, namespace: str) -> None:
    told: list[str] = []
    target = Kubernetes(Access(None, str(cluster.kubeconfig)), namespace, tell=told.append)
    label = "pod-security.kubernetes.io/warn=restricted"
    cluster.kubectl("label", "namespace", namespace, label)
    for name in ("one", "two"):
        target.apply(deployment(name=name, replicas=0), dry_run=True)
        target.apply(deployment(name=name, replicas=0))
    target.close()
    (warning,) = told
    assert warning.startswith(f'Deployment {namespace}/one: would violate PodSecurity "restricted:latest": ')
