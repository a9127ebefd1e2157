"""`rbac`: an account with exactly what it prints can deploy, and one right less is told before the first write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands.test_deploy import commit, git
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster

TEMPLATE = "{metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: registry.invalid/web:1}]}}"
OBJECTS = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec: {{replicas: 0, selector: {{matchLabels: {{app: web}}}}, template: {TEMPLATE}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}}}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: web}}, stringData: {{password: first-secret}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader}}
rules: [{{apiGroups: [""], resources: [pods/status], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: viewer}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
subjects: [{{kind: ServiceAccount, name: default}}]
---
{{apiVersion: v1, kind: ConfigMap, metadata: {{name: hook, annotations: {{ci-gitops/hook: PreSync}}}}}}
"""
EXTRA = "{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}\n"


@pytest.fixture
def checkout(tmp_path: Path, namespace: str) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, {
        "environments/staging/shop/all.yaml": OBJECTS, "environments/staging/shop/extra.yaml": EXTRA,
        ".ci-gitops.yaml": f"environments: {{staging: {{destination: {{namespace: {namespace}, prune: true}}}}}}\n",
    })  # fmt: skip
    return folder


def account(cluster: Cluster, namespace: str, folder: Path) -> Path:
    """A kubeconfig of the ServiceAccount that the roles name."""
    config = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--minify"))
    config["users"][0]["user"] = {"token": cluster.kubectl("create", "token", "ci-gitops", "-n", namespace).strip()}
    file = folder / "account.kubeconfig"
    file.write_text(json.dumps(config))
    return file


def test_exactly_these_rights_are_enough(
    cli: Cli, cluster: Cluster, namespace: str, checkout: Path, tmp_path: Path
) -> None:
    printed = cli("rbac", "--environment", "staging", cwd=checkout, KUBECONFIG=str(cluster.kubeconfig))
    assert printed.code == 0, printed.err
    roles = list(yaml.safe_load_all(printed.out))
    assert [each["kind"] for each in roles] == ["ServiceAccount", "Role", "RoleBinding"]  # nothing of the whole cluster
    file = tmp_path / "roles.yaml"
    file.write_text(printed.out)
    cluster.kubectl("apply", "-f", str(file))
    deploy = ("-o", "json", "deploy", "--environment", "staging")
    who = {"KUBECONFIG": str(account(cluster, namespace, tmp_path))}

    first = cli(*deploy, cwd=checkout, **who)
    assert first.code == 0, first.err
    assert first.json["targets"][0]["outcome"] == "succeeded"
    assert "cannot be read" not in first.err
    again = cli(*deploy, cwd=checkout, **who)
    assert (again.code, again.json["targets"][0]["outcome"]) == (0, "unchanged"), again.err
    git(checkout, "rm", "-q", "environments/staging/shop/extra.yaml")
    commit(checkout, {"environments/staging/shop/all.yaml": OBJECTS.replace("first-secret", "second-secret")})
    changed = cli(*deploy, cwd=checkout, **who)
    assert changed.code == 0, changed.err
    summary = changed.json["targets"][0]["plan"]["summary"]
    assert (summary["update"], summary["delete"]) == (1, 1)

    roles[1]["rules"] = list(_without(roles[1]["rules"], "services", "create"))
    file.write_text(json.dumps(roles[1]))
    cluster.kubectl("apply", "-f", str(file))
    cluster.kubectl("delete", "service", "web", "-n", namespace)
    commit(checkout, {"environments/staging/shop/more.yaml": EXTRA.replace("extra", "more")})
    refused = cli(*deploy, cwd=checkout, **who)
    assert refused.code == 1
    message = refused.json["error"]["message"]
    assert f"shop in staging: the account may not create services in {namespace} (Service {namespace}/web)" in message
    assert "Nothing was written." in message
    assert "ci-gitops rbac --environment staging" in refused.json["error"]["hint"]
    maps = cluster.kubectl("get", "configmaps", "-n", namespace, "-o", "name")
    assert "configmap/more" not in maps


def _without(rules: list[dict[str, Any]], resource: str, verb: str) -> Any:
    for rule in rules:
        if resource not in rule["resources"]:
            yield rule
            continue
        yield {**rule, "resources": [each for each in rule["resources"] if each != resource]}
        yield {**rule, "resources": [resource], "verbs": [each for each in rule["verbs"] if each != verb]}
