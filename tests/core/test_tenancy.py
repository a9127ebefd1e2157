from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.object_images import named_images
from ci_gitops.core.targets import Target
from ci_gitops.core.tenancy import Bounds, allows, refuse_violations, violations
from ci_gitops.errors import RefusedError

CLUSTER_WIDE = {"Namespace", "ClusterRole", "CustomResourceDefinition"}


def scopes(api_version: str, kind: str) -> bool | None:
    return None if kind == "Widget" else kind not in CLUSTER_WIDE


def thing(kind: str, name: str = "a", group: str = "", namespace: str = "", **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata, **rest}


def pod(image: str) -> dict[str, Any]:
    return thing("Pod", spec={"containers": [{"name": "a", "image": image}]})


def rules(document: dict[str, Any], **bounds: tuple[str, ...]) -> list[str]:
    return [found.rule for found in violations([document], Bounds(**bounds), namespace="shop", scopes=scopes)]


@pytest.mark.parametrize(
    ("document", "bounds", "broken"),
    [
        (thing("Secret"), {}, []),
        (thing("Secret"), {"kinds": ("Deployment", "Service")}, ["kinds: only Deployment, Service"]),
        (thing("Secret"), {"kinds": ("*", "!Secret")}, ["kinds: !Secret"]),
        (thing("Secret"), {"kinds": ("!Secret", "Secret")}, ["kinds: !Secret"]),
        (thing("ConfigMap"), {"kinds": ("!Secret",)}, []),
        (thing("Role", group="rbac.authorization.k8s.io"), {"kinds": ("!*.rbac.authorization.k8s.io",)},
         ["kinds: !*.rbac.authorization.k8s.io"]),
        (thing("Certificate", group="cert-manager.io"), {"kinds": ("Certificate.cert-manager.io",)}, []),
        (thing("Service"), {"namespaces": ("shop",)}, []),
        (thing("Service"), {"namespaces": ("team-*",)}, ["namespaces: only team-*"]),
        (thing("Service", namespace="kube-system"), {"namespaces": ("!kube-*",)}, ["namespaces: !kube-*"]),
        (thing("Widget", namespace="other"), {"namespaces": ("shop",)}, ["namespaces: only shop"]),
        (thing("Namespace", "shop"), {"namespaces": ("shop",)}, []),
        (thing("Namespace", "other"), {"namespaces": ("shop",)}, ["namespaces: only shop"]),
        (thing("ClusterRole"), {"namespaces": ("shop",)},
         ["namespaces is set: kinds must name such a kind to allow it"]),
        (thing("ClusterRole"), {"namespaces": ("shop",), "kinds": ("*",)},
         ["namespaces is set: kinds must name such a kind to allow it"]),
        (thing("ClusterRole"), {"namespaces": ("shop",), "kinds": ("ClusterRole", "Deployment")}, []),
        (pod("nginx:1"), {"repositories": ("registry.example.com/*",)}, ["repositories: only registry.example.com/*"]),
        (pod("nginx:1"), {"repositories": ("nginx",)}, []),
        (pod("nginx:1"), {"repositories": ("docker.io/library/*",)}, []),
        (pod("nginx:1"), {"repositories": ("*", "!docker.io/*")}, ["repositories: !docker.io/*"]),
        (pod("registry.example.com:5000/a/b@sha256:" + "a" * 64), {"repositories": ("registry.example.com:5000/a/*",)},
         []),
        (pod("Not An Image"), {"repositories": ("a/*",)}, ["repositories: only a/*"]),
    ],
)  # fmt: skip
def test_what_is_allowed(document: dict[str, Any], bounds: dict[str, tuple[str, ...]], broken: list[str]) -> None:
    assert rules(document, **bounds) == broken


def test_the_refusal_names_object_rule_and_file() -> None:
    bounds = Bounds(kinds=("!Secret",), said_by=".ci-gitops.yaml: environments.production.allow")
    documents = [thing("Secret", f"s{number}", namespace="shop") for number in range(7)]
    with pytest.raises(RefusedError) as raised:
        refuse_violations(Target("shop", "production", "apps/shop"), documents, bounds, namespace="", scopes=scopes)
    assert raised.value.message.startswith(
        "shop in production (apps/shop) holds what .ci-gitops.yaml: environments.production.allow does not allow: "
        "Secret shop/s0: the kind Secret (kinds: !Secret); Secret shop/s1"
    )
    assert raised.value.message.endswith("; and 2 more.")


def test_images_are_found_wherever_they_are_named() -> None:
    document = thing(
        "CronJob", "b", "batch",
        spec={"jobTemplate": {"spec": {"template": {"spec": {
            "initContainers": [{"image": "one"}], "containers": [{"image": "two"}, {"image": "two"}],
            "volumes": [{"image": {"reference": "three"}}]}}}}},
    )  # fmt: skip
    assert named_images(document) == ("one", "two", "three")
    assert named_images(thing("Prometheus", group="monitoring.coreos.com", spec={"image": "four", "logo": {}})) == (
        "four",
    )
    assert named_images(thing("ConfigMap", data={"image": "five"})) == ()
    assert named_images(thing("Page", group="x", spec={"image": "https://example.com/a.png"})) == ()


@given(st.lists(st.sampled_from(["*", "a*", "!a*", "ab", "!ab", "b"])), st.sampled_from(["a", "ab", "b", "c"]))
def test_a_denial_always_wins(patterns: list[str], name: str) -> None:
    broken = rules(thing("Service", namespace=name), namespaces=tuple(patterns))
    if ("!a*" in patterns and name.startswith("a")) or ("!ab" in patterns and name == "ab"):
        assert broken
    elif "*" in patterns or not patterns:
        assert not broken


def test_hosts_are_allowed_only_by_name() -> None:
    assert not allows((), "charts.example.com")
    assert not allows(("!other",), "charts.example.com")
    assert allows(("*.example.com",), "charts.example.com")
    assert not allows(("*.example.com", "!charts.*"), "charts.example.com")
