"""What we read from managedFields is what a real API server says itself: it names the same fields in a conflict."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops.adapters.cluster.kubernetes import FIELD_MANAGER
from ci_gitops.core.differences import updated
from ci_gitops.core.fieldsets import MISSING, applied, ends, owned, read, text, value_at
from ci_gitops.core.settled import is_settled
from tests.rig.cluster import Cluster

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app.kubernetes.io/name: web}, annotations: {}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, creationTimestamp: null}
    spec:
      containers:
      - name: web
        image: nginx:1
        args: [-v]
        ports: [{containerPort: 80, protocol: TCP}, {containerPort: 80, protocol: UDP}]
        env: [{name: EMPTY, value: ""}, {name: LEVEL, value: info}]
        resources: {limits: {cpu: 100m}}
      - {name: side, image: "side:1"}
      volumes: [{name: scratch, emptyDir: {}}]
      tolerations: [{key: spot, operator: Exists}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, protocol: TCP}, {name: tls, port: 443, protocol: TCP}]
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {mode: calm, a.b-c: "1", lines: "one\\ntwo\\n"}
"""
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sprockets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Sprocket, plural: sprockets, singular: sprocket, listKind: SprocketList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              teeth: {type: integer}
              sizes: {type: array, items: {type: string}}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [id]
                items: {type: object, required: [id], properties: {id: {type: integer}, label: {type: string}}}
"""
SPROCKET = """
apiVersion: example.com/v1
kind: Sprocket
metadata: {name: web}
spec:
  teeth: 12
  sizes: [s, m]
  tags: [a, b]
  parts: [{id: 1, label: one}, {id: 2, label: two}]
"""
SOURCES = {"deployment": DEPLOYMENT, "service": SERVICE, "configmap": CONFIG, "sprocket": SPROCKET}
DOCUMENTS = {name: yaml.safe_load(source) for name, source in SOURCES.items()}


@pytest.fixture(scope="session", autouse=True)
def definition(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    file = tmp_path_factory.mktemp("definition") / "sprockets.yaml"
    file.write_text(DEFINITION)
    cluster.kubectl("apply", "--server-side", "--field-manager", FIELD_MANAGER, "-f", str(file))
    cluster.kubectl("wait", "--for=condition=Established", "crd/sprockets.example.com", "--timeout=30s")
    yield
    cluster.kubectl("delete", "crd", "sprockets.example.com", "--wait=false", "--ignore-not-found")


class Applier:
    """Applies documents to one namespace and reads them back with their managers."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self._cluster, self._namespace, self._file = cluster, namespace, folder / "object.json"

    def apply(self, document: dict[str, Any], *flags: str, manager: str = FIELD_MANAGER) -> None:
        self._file.write_text(json.dumps(document))
        self._cluster.kubectl("apply", "--server-side", "--field-manager", manager, "-n", self._namespace,
                              "-f", str(self._file), *flags)  # fmt: skip

    def dry_run(self, document: dict[str, Any]) -> Any:
        self._file.write_text(json.dumps(document))
        return json.loads(self._cluster.kubectl(
            "apply", "--server-side", "--dry-run=server", "--field-manager", FIELD_MANAGER, "-n", self._namespace,
            "-f", str(self._file), "--force-conflicts", "--show-managed-fields", "-o", "json",
        ))  # fmt: skip

    def live(self, kind: str) -> Any:
        return json.loads(self._cluster.kubectl(
            "get", kind, "web", "-n", self._namespace, "-o", "json", "--show-managed-fields"
        ))  # fmt: skip

    def conflicts(self, document: dict[str, Any]) -> set[str]:
        """The fields that the server names when another manager wants all of them otherwise."""
        with pytest.raises(subprocess.CalledProcessError) as refused:
            self.apply(document, manager="somebody")
        words = [line.split(": ")[-1].removeprefix("- ") for line in refused.value.stderr.splitlines()]
        return {word for word in words if word.startswith(".")}


@pytest.fixture
def applier(cluster: Cluster, namespace: str, tmp_path: Path) -> Applier:
    return Applier(cluster, namespace, tmp_path)


def otherwise(value: Any, key: str = "") -> Any:
    """The same document with every value changed but those that lists are merged by."""
    if isinstance(value, dict):
        return {name: otherwise(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [otherwise(inner, key) for inner in value]
    if key in ("name", "id", "containerPort", "protocol", "port", "apiVersion", "kind", "tags"):
        return value
    return value + 1 if isinstance(value, int) else "7" if key == "cpu" else f"{value or ''}x"


@pytest.mark.parametrize(
    ("kind", "changed", "expected"),
    [
        ("configmap", None, {".data.mode", ".data.a.b-c", ".data.lines"}),
        ("sprocket", None, {".spec.teeth", ".spec.sizes", ".spec.parts[id=1].label", ".spec.parts[id=2].label"}),
        ("service", None, {".spec.selector"}),
        ("deployment", {"replicas": 3}, {".spec.replicas"}),
        ("deployment", {"image": "nginx:2"}, {'.spec.template.spec.containers[name="web"].image'}),
    ],
)
def test_the_server_names_the_fields_that_we_read(
    applier: Applier, kind: str, changed: dict[str, Any] | None, expected: set[str]
) -> None:
    document = DOCUMENTS[kind]
    applier.apply(document)
    ours = owned(applier.live(kind), FIELD_MANAGER)
    other = otherwise(document) if changed is None else copy.deepcopy(document)
    if changed and "replicas" in changed:
        other["spec"].update(changed)
    elif changed:
        other["spec"]["template"]["spec"]["containers"][0].update(changed)
    named = applier.conflicts(other)
    assert expected <= named  # the rest is what the server had dropped because it was empty
    assert named <= {"." + text(path).replace('["a.b-c"]', ".a.b-c") for path in ours}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_what_we_own_is_what_we_gave(applier: Applier, kind: str) -> None:
    """Each owned field has a declared value; where the server keeps it, it is the live one too."""
    document = DOCUMENTS[kind]
    applier.apply(document)
    live = applier.live(kind)
    paths = ends(owned(live, FIELD_MANAGER))
    assert len(paths) >= 3
    for path in paths:
        given, kept = value_at(document, path), value_at(live, path)
        assert given is not MISSING, text(path)
        assert kept == given or (kept is MISSING and not given), text(path)


def test_a_definition_is_read_too(cluster: Cluster) -> None:
    live = json.loads(cluster.kubectl("get", "crd", "sprockets.example.com", "-o", "json", "--show-managed-fields"))
    entry = applied(live, FIELD_MANAGER)
    assert entry is not None
    document = yaml.safe_load(DEFINITION)
    paths = ends(read(entry.fields))
    assert {value_at(document, path) is MISSING for path in paths} == {False}
    assert is_settled(document, live, FIELD_MANAGER)
    document["spec"]["versions"][0]["served"] = False
    assert not is_settled(document, live, FIELD_MANAGER)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_an_applied_object_is_settled_and_a_dry_run_agrees(applier: Applier, kind: str) -> None:
    document = DOCUMENTS[kind]
    applier.apply(document)
    live = applier.live(kind)
    assert is_settled(document, live, FIELD_MANAGER)
    again = applier.dry_run(document)
    assert (again.get("spec"), again.get("data")) == (live.get("spec"), live.get("data"))
    assert updated(live, again, FIELD_MANAGER).operation == "unchanged"


@pytest.mark.parametrize("kind", ["configmap", "sprocket", "service"])
def test_what_differs_by_one_field_is_not_settled(applier: Applier, kind: str) -> None:
    document = DOCUMENTS[kind]
    applier.apply(document)
    live = applier.live(kind)
    for path in ends(owned(live, FIELD_MANAGER)):
        if path[0] != "metadata":
            assert not is_settled(without(document, path), live, FIELD_MANAGER), text(path)


def test_an_objects_field_that_another_took_is_not_settled(applier: Applier) -> None:
    document = DOCUMENTS["deployment"]
    applier.apply(document)
    applier.apply({**document, "spec": {**document["spec"], "replicas": 5}}, "--force-conflicts", manager="somebody")
    applier.apply({**document, "spec": {**document["spec"], "replicas": 2}}, manager="somebody")
    live = applier.live("deployment")
    assert live["spec"]["replicas"] == 2
    assert ("spec", "replicas") not in owned(live, FIELD_MANAGER)
    assert not is_settled(document, live, FIELD_MANAGER)


def without(document: Any, path: tuple[Any, ...]) -> Any:
    """A copy that lacks the value at `path`."""
    copied = copy.deepcopy(document)
    parent = value_at(copied, path[:-1])
    if isinstance(path[-1], str):
        del parent[path[-1]]
    else:
        parent.remove(value_at(copied, path))
    return copied
