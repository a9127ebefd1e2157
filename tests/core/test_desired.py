"""Manifests as they are sent."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from hypothesis import given

from ci_gitops.core.desired import desired
from ci_gitops.core.secret_values import LAST_APPLIED
from tests.core.test_differences import SPECS

PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n").decode()


def thing(kind: str, api_version: str = "v1", /, **content: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **content}


def definition(**client: Any) -> dict[str, Any]:
    return thing("CustomResourceDefinition", spec={"conversion": {"webhook": {"clientConfig": client}}})


def pod(**port: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", "ports": [{"containerPort": 80, **port}]}], "initContainers": [{"name": "b"}]}


@pytest.mark.parametrize(
    ("document", "sent"),
    [
        pytest.param(
            {
                **thing("Thing", status={"x": 1}),
                "metadata": {
                    "name": "a",
                    "uid": "u",
                    "creationTimestamp": None,
                    "resourceVersion": "1",
                    "labels": {},
                    "annotations": {LAST_APPLIED: "{}", "a": "b"},
                },
            },
            {**thing("Thing"), "metadata": {"name": "a", "annotations": {"a": "b"}}},
            id="what the server writes",
        ),
        pytest.param(
            thing("Secret", data={"a": "YQ==", "b": None, "c": ""}, stringData={"a": "z", "d": "x", "e": 5}),
            thing("Secret", data={"a": "eg==", "b": "", "c": "", "d": "eA==", "e": 5}),
            id="stringData",
        ),
        pytest.param(thing("Secret", data={}, stringData=None), thing("Secret"), id="an empty secret"),
        pytest.param(
            thing("Secret", "example.com/v1", stringData={"a": "b"}),
            thing("Secret", "example.com/v1", stringData={"a": "b"}),
            id="somebody else's Secret",
        ),
        pytest.param(
            thing("Service", spec={"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}),
            thing("Service", spec={"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}),
            id="ports of a service",
        ),
        pytest.param(
            thing("Service", "serving.knative.dev/v1", spec={"ports": [{"port": 80}]}),
            thing("Service", "serving.knative.dev/v1", spec={"ports": [{"port": 80}]}),
            id="another Service",
        ),
        pytest.param(thing("Pod", spec=pod()), thing("Pod", spec=pod(protocol="TCP")), id="ports of a pod"),
        pytest.param(
            thing("Deployment", "apps/v1", spec={"template": {"metadata": {"creationTimestamp": None}, "spec": pod()}}),
            thing("Deployment", "apps/v1", spec={"template": {"metadata": {}, "spec": pod(protocol="TCP")}}),
            id="ports of a template",
        ),
        pytest.param(
            thing("CronJob", spec={"jobTemplate": {"spec": {"template": {"spec": pod()}}}}),
            thing("CronJob", spec={"jobTemplate": {"spec": {"template": {"spec": pod(protocol="TCP")}}}}),
            id="ports deep in a template",
        ),
        pytest.param(definition(caBundle="Cg=="), definition(), id="a certificate to come"),
        pytest.param(definition(caBundle="not base64"), definition(), id="no certificate"),
        pytest.param(definition(caBundle=7), definition(), id="no text"),
        pytest.param(definition(caBundle=PEM), definition(caBundle=PEM), id="a certificate"),
        pytest.param(
            thing("ClusterRole", aggregationRule={"a": 1}, rules=[]),
            thing("ClusterRole", aggregationRule={"a": 1}),
            id="gathered rules",
        ),
        pytest.param(thing("ClusterRole", rules=[]), thing("ClusterRole", rules=[]), id="rules"),
        pytest.param(
            thing("Deployment", "example.com/v1", spec={"template": {"spec": pod()}}),
            thing("Deployment", "example.com/v1", spec={"template": {"spec": pod()}}),
            id="another Deployment",
        ),
        pytest.param(
            thing("Deployment", "apps/v1", spec={"template": "odd"}),
            thing("Deployment", "apps/v1", spec={"template": "odd"}),
            id="odd",
        ),
        pytest.param(
            thing("Pod", spec={"containers": ["odd"]}), thing("Pod", spec={"containers": ["odd"]}), id="odder"
        ),
        pytest.param(thing("Service", spec={"ports": 80}), thing("Service", spec={"ports": 80}), id="oddest"),
    ],
)
def test_what_is_sent(document: dict[str, Any], sent: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    assert desired(document) == sent
    assert document == before
    assert desired(sent) == sent


@pytest.mark.parametrize("kind", ["Secret", "Service", "Deployment", "CronJob", "Pod", "CustomResourceDefinition"])
@given(spec=SPECS)
def test_whatever_is_declared_can_be_sent(kind: str, spec: dict[str, Any]) -> None:
    """Nonsense is for the server to refuse."""
    for content in ({"spec": spec}, {"data": spec, "stringData": spec}, {"spec": {"template": spec, "ports": spec}}):
        once = desired(thing(kind, **content))
        assert desired(once) == once
