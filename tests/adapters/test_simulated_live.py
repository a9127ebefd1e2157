"""The simulated cluster's answers are those of a real API server: the same random calls to both, answer by answer."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops.adapters.cluster.base import ApiError, Cluster
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.cluster.simulated import Simulated
from ci_gitops.core.desired import desired
from ci_gitops.core.manifests import parse
from ci_gitops.errors import CiGitopsError
from tests.conftest import SEED
from tests.contracts.cluster_rigs import until
from tests.rig import openapi
from tests.rig.cluster import Cluster as Real

_MANAGERS = ("ci-gitops", "kubectl-edit", "somebody")
_ADDRESS = re.compile(r"10\.96\.\d+\.\d+")
_SUFFIX = re.compile(r"kube-api-access-[a-z0-9]{5}")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: What controllers of a real cluster write while we look.
_CONTROLLERS = ("kube-controller-manager", "kube-apiserver", "kubelet")


class Pair:
    """Both clusters, with one namespace of the same name in each."""

    def __init__(self, real: Cluster, simulated: Cluster, namespace: str) -> None:
        self.clusters = (real, simulated)
        self.namespace = namespace
        self.used: dict[tuple[str, str], dict[str, Any]] = {}  # one document of each kind that was written

    def release(self) -> None:
        """Take the finalizers away in the real cluster, so that everything can go."""
        real = self.clusters[0]
        for document in self.used.values():
            with contextlib.suppress(CiGitopsError):
                operations = [{"op": "remove", "path": "/metadata/finalizers"}]
                real.patch(_of(real, document), self.namespace, document["metadata"]["name"], operations)

    def both(self, call: Callable[[Cluster], Any]) -> tuple[Any, Any]:
        first, second = (_outcome(cluster, call) for cluster in self.clusters)
        return first, second


def _outcome(cluster: Cluster, call: Callable[[Cluster], Any]) -> Any:
    try:
        return json.loads(_SUFFIX.sub("token", _UID.sub("uid", json.dumps(plain(call(cluster))))))
    except ApiError as error:
        causes = sorted({(field, _words(message)) for field, message in error.causes})
        words = error.message.partition(" refused: ")[2] if not causes else ""
        if unknown := re.search(r"\.\S+: field not declared in schema", words):
            words = unknown[0]  # with some of the others, by chance
        elif "errors:" in words:
            words = "\n".join(sorted(words.splitlines()))
        return {"status": error.status, "reason": error.reason, "message": words, "causes": causes}
    except CiGitopsError as error:
        return {"type": type(error).__name__}


def _words(message: str) -> str:
    """Without the long values that the server shows in the names of Go's types, and the patch of a claim."""
    message = re.sub(r"Invalid value: \{.*\}: (minAvailable)", r"Invalid value: …: \1", message)
    message = re.sub(r"Invalid value: \".*\": (illegal base64)", r"Invalid value: …: \1", message)
    message = re.sub(r"Invalid value: [{\[].*: (field is immutable)", r"Invalid value: …: \1", message, flags=re.DOTALL)
    return _ADDRESS.sub("10.96.x.x", message.partition("\n@@")[0].rstrip())


def plain(found: Any) -> Any:
    """Without what is another each time, and what controllers do meanwhile."""
    if not isinstance(found, Mapping):
        return found
    metadata = {
        name: value for name, value in found["metadata"].items()
        if name not in ("creationTimestamp", "resourceVersion", "uid", "deletionTimestamp") and value is not None
    }  # fmt: skip
    entries = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in metadata.pop("managedFields", ()) if entry["manager"] not in _CONTROLLERS
    ]  # fmt: skip
    annotations = {name: value for name, value in (metadata.pop("annotations", None) or {}).items()
                   if name != "deployment.kubernetes.io/revision"}  # fmt: skip
    metadata["annotations"] = annotations
    # Within one second managers are sorted by name, else by time: the order says how fast the machine is.
    metadata["managedFields"] = sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))
    made = {**found, "metadata": metadata}
    made.pop("status", None)
    spec = made.get("spec")
    if isinstance(spec, Mapping) and "clusterIP" in spec:
        made["spec"] = {name: value for name, value in spec.items() if name not in ("clusterIP", "clusterIPs")}
        for port in made["spec"].get("ports", ()):
            port.pop("nodePort", None)
    return made


@pytest.fixture
def pair(cluster: Real, tmp_path: Path) -> Iterator[Pair]:
    namespace = f"same-{uuid.uuid4().hex[:8]}"
    real = Kubernetes(Access(None, str(cluster.kubeconfig)), namespace)
    simulated = Simulated(tmp_path / "cluster.json", namespace)
    made = Pair(real, simulated, namespace)
    made.both(lambda each: each.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
    yield made
    made.release()
    spaces = real.resource("v1", "Namespace")
    assert spaces
    real.delete(spaces, "", namespace)
    real.close()


class Dice:
    """Random objects that meet each other often."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, *values: Any) -> Any:
        return self.random.choice(values)

    def maybe(self, made: dict[str, Any], name: str, *values: Any, often: float = 0.4) -> None:
        if self.random.random() < often:
            made[name] = self.some(*values)

    def part(self, values: list[Any]) -> list[Any]:
        """Some of them, in any order."""
        return self.random.sample(values, self.random.randint(0, len(values)))

    def metadata(self, name: str) -> dict[str, Any]:
        made: dict[str, Any] = {"name": name}
        for field in ("labels", "annotations"):
            self.maybe(made, field, {"a": "1"}, {"a": "2", "b": "1"}, {"c.example.com/d": "x"}, {}, None, {"b": ""})
        self.maybe(made, "finalizers", ["example.com/a"], ["example.com/b", "example.com/a"], [], often=0.1)
        return made

    def config(self) -> dict[str, Any]:
        made: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self.metadata("thing")}
        self.maybe(made, "data", {"a": "1"}, {"a": "2"}, {"b": "1", "a": "1"}, {}, None, {"c": ""}, often=0.8)
        self.maybe(made, "binaryData", {"z": "AAEC"}, {"z": "not base64"}, often=0.1)
        self.maybe(made, "unknown", 1, often=0.05)
        return made

    def container(self, name: str) -> dict[str, Any]:
        made: dict[str, Any] = {"name": name, "image": self.some("a:1", "b", "c:latest", "d@sha256:" + "0" * 64)}
        variables = [{"name": "A", "value": self.some("1", "2", "")}, {"name": "B", "value": "x"},
                     {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]  # fmt: skip
        self.maybe(made, "env", self.part(variables))
        ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}, {"containerPort": 443, "name": "tls"}]
        self.maybe(made, "ports", self.part(ports))
        self.maybe(made, "args", ["-v"], ["-v", "-x"], [])
        self.maybe(made, "resources", {"limits": {"cpu": "1000m"}}, {"limits": {"cpu": 1, "memory": "0.5Gi"}}, {},
                   {"requests": {"memory": "1000000"}})  # fmt: skip
        self.maybe(made, "readinessProbe", {"httpGet": {"port": 80}}, {"exec": {"command": ["true"]}})
        self.maybe(
            made, "volumeMounts", self.part([{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}])
        )
        self.maybe(made, "securityContext", {}, {"privileged": False}, {"capabilities": {"drop": ["ALL"]}})
        self.maybe(made, "tty", False, True, often=0.1)
        return made

    def deployment(self) -> dict[str, Any]:
        pods: dict[str, Any] = {"containers": [self.container(name) for name in self.part(["a", "b", "c"])]}
        self.maybe(pods, "volumes", [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "x"}}],
                   [{"name": "w"}, {"name": "v"}], often=0.8)  # fmt: skip
        self.maybe(pods, "hostNetwork", False, often=0.1)
        self.maybe(pods, "serviceAccountName", "x", "y", often=0.2)
        self.maybe(pods, "imagePullSecrets", self.part([{"name": "r"}, {"name": "s"}]))
        self.maybe(pods, "tolerations", [{"operator": "Exists"}], often=0.2)
        self.maybe(pods, "topologySpreadConstraints", [{
            "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "x"}}}], often=0.2)  # fmt: skip
        labels: dict[str, Any] = {"app": "x"}
        self.maybe(labels, "tier", "a", "b", often=0.2)
        metadata: dict[str, Any] = {"labels": labels}
        self.maybe(metadata, "annotations", {"n": "1"}, {}, often=0.3)
        spec = {"selector": {"matchLabels": {"app": "x"}}, "replicas": 0,
                "template": {"metadata": metadata, "spec": pods}}  # fmt: skip
        self.maybe(spec, "minReadySeconds", 0, 5, often=0.2)
        self.maybe(spec, "strategy", {"type": "Recreate"}, {"rollingUpdate": {"maxSurge": 1}}, often=0.3)
        self.maybe(spec, "revisionHistoryLimit", 0, 3, None, often=0.3)
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self.metadata("thing"), "spec": spec}

    def service(self) -> dict[str, Any]:
        ports = [{"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "UDP"},
                 {"name": "c", "port": 443, "targetPort": "tls"}]  # fmt: skip
        spec: dict[str, Any] = {"ports": self.part(ports), "selector": self.some({"app": "x"}, {"app": "y"})}
        self.maybe(spec, "type", "ClusterIP", "NodePort", "LoadBalancer", often=0.3)
        self.maybe(spec, "sessionAffinity", "ClientIP", often=0.1)
        self.maybe(spec, "publishNotReadyAddresses", False, True, often=0.1)
        return {"apiVersion": "v1", "kind": "Service", "metadata": self.metadata("thing"), "spec": spec}

    def role(self) -> dict[str, Any]:
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                 {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]}]  # fmt: skip
        made: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
        self.maybe(made, "rules", rules, rules[:1], rules[::-1], often=0.8)
        return {**made, "metadata": self.metadata("thing")}

    def policy(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"podSelector": self.some({}, {"matchLabels": {"app": "x"}})}
        rules = [{"ports": [{"port": 80}, {"port": "tls", "protocol": "TCP"}]}, {"from": [{"podSelector": {}}]}, {}]
        self.maybe(spec, "ingress", rules, rules[:1], rules[::-1])
        self.maybe(spec, "egress", [{}], [{}, {}], often=0.3)
        self.maybe(spec, "policyTypes", ["Ingress"], ["Egress"], often=0.3)
        metadata = self.metadata("thing")
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}

    def ingress(self) -> dict[str, Any]:
        backend = {"service": {"name": "x", "port": {"number": 80}}}
        paths = [{"path": "/a", "pathType": "Prefix", "backend": backend},
                 {"path": "/b", "pathType": self.some("Exact", "Wrong"), "backend": backend}]  # fmt: skip
        rules = [{"host": "a.example.com", "http": {"paths": self.some(paths, paths[:1])}}, {"host": "b.example.com"}]
        spec: dict[str, Any] = {}
        self.maybe(spec, "rules", rules, rules[:1], rules[::-1], often=0.8)
        self.maybe(spec, "defaultBackend", backend)
        self.maybe(spec, "ingressClassName", "nginx", "other")
        self.maybe(spec, "tls", [{"hosts": ["a.example.com"], "secretName": "tls"}])
        metadata = self.metadata("thing")
        return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}

    def budget(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"selector": {"matchLabels": {"app": self.some("x", "y")}}}
        self.maybe(spec, "minAvailable", 0, 1, "50%", often=0.7)
        self.maybe(spec, "unhealthyPodEvictionPolicy", "AlwaysAllow")
        metadata = self.metadata("thing")
        return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}

    def autoscaler(self) -> dict[str, Any]:
        cpu = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
        }
        target = {"type": "AverageValue", "averageValue": "1024Mi"}
        memory = {"type": "Resource", "resource": {"name": "memory", "target": target}}
        spec: dict[str, Any] = {"maxReplicas": self.some(0, 1, 3, 5)}
        spec["scaleTargetRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.some("absent", "missing")}
        self.maybe(spec, "minReplicas", 1, 2)
        self.maybe(spec, "metrics", [cpu], [memory, cpu], [])
        self.maybe(
            spec, "behavior", {"scaleDown": {"stabilizationWindowSeconds": 0}}, {"scaleUp": {"selectPolicy": "Min"}}
        )
        metadata = self.metadata("thing")
        return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}

    def stateful_set(self) -> dict[str, Any]:
        found = self.deployment()
        spec = {"selector": found["spec"]["selector"], "template": found["spec"]["template"], "replicas": 0,
                "serviceName": self.some("x", "x", "y")}  # fmt: skip
        claim = {"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"],
                 "resources": {"requests": {"storage": self.some("1Gi", "1Gi", "1024Mi", "2Gi")}}}}  # fmt: skip
        self.maybe(spec, "volumeClaimTemplates", [claim], often=0.7)
        self.maybe(spec, "podManagementPolicy", "Parallel", often=0.1)
        self.maybe(spec, "updateStrategy", {"type": "OnDelete"}, {"rollingUpdate": {"partition": 1}}, often=0.3)
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": found["metadata"], "spec": spec}

    def daemon_set(self) -> dict[str, Any]:
        found = self.deployment()
        spec = {"selector": found["spec"]["selector"], "template": found["spec"]["template"]}
        spec["template"]["spec"]["nodeSelector"] = {"no.example.com/node": self.some("a", "b")}
        self.maybe(spec, "updateStrategy", {"type": "OnDelete"}, {"rollingUpdate": {"maxUnavailable": 2}}, often=0.3)
        return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": found["metadata"], "spec": spec}

    def cron_job(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"schedule": self.some("0 0 1 1 *", "@yearly", "wrong"), "suspend": True}
        pods: dict[str, Any] = {"containers": [self.container("a")], "volumes": [{"name": "v"}, {"name": "w"}]}
        self.maybe(pods, "restartPolicy", "Never", "OnFailure", "Always", often=0.9)
        job: dict[str, Any] = {"template": {"spec": pods}}
        self.maybe(job, "backoffLimit", 0, 3)
        spec["jobTemplate"] = {"spec": job}
        self.maybe(spec, "concurrencyPolicy", "Forbid", "Never")
        return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": self.metadata("thing"), "spec": spec}

    def job(self) -> dict[str, Any]:
        found = self.cron_job()
        spec = {**found["spec"]["jobTemplate"]["spec"], "suspend": True}
        self.maybe(spec, "completions", 1, 2)
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": found["metadata"], "spec": spec}

    def account(self) -> dict[str, Any]:
        made: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self.metadata("thing")}
        self.maybe(made, "automountServiceAccountToken", False, True)
        self.maybe(made, "imagePullSecrets", self.part([{"name": "r"}, {"name": "s"}]))
        return made

    def secret(self) -> dict[str, Any]:
        made: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": self.metadata("thing")}
        self.maybe(made, "data", {"a": "MQ=="}, {"a": "MQ==", "b": ""}, {"tls.crt": "MQ==", "tls.key": "MQ=="})
        self.maybe(made, "stringData", {"a": "2"}, {"c": "ü"}, {"a": None})
        self.maybe(made, "type", "Opaque", "kubernetes.io/tls", "example.com/x", often=0.3)
        self.maybe(made, "immutable", False, True, often=0.1)
        return made

    def binding(self) -> dict[str, Any]:
        subjects = [{"kind": "ServiceAccount", "name": "a", "namespace": "b"}, {"kind": "User", "name": "u"},
                    {"kind": "ServiceAccount", "name": "c"}]  # fmt: skip
        made: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
        made["roleRef"] = {"kind": "Role", "name": self.some("x", "x", "y"), "apiGroup": "rbac.authorization.k8s.io"}
        self.maybe(made, "subjects", self.part(subjects), often=0.8)
        return {**made, "metadata": self.metadata("thing")}

    def claim(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"storageClassName": "absent"}
        self.maybe(spec, "accessModes", ["ReadWriteOnce"], ["ReadWriteMany"], often=0.9)
        spec["resources"] = {"requests": {"storage": self.some("1Gi", "1024Mi")}}
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self.metadata("thing"), "spec": spec}

    def gear(self, kind: str) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        self.maybe(spec, "teeth", 3, 12, 12.0, 2, 1.5, "3", None, often=0.7)
        self.maybe(spec, "material", "steel", "brass", "wood", None)
        self.maybe(spec, "tags", self.part(["a", "b", "c"]), ["a", "a"], [])
        self.maybe(spec, "parts", self.part([{"name": "x"}, {"name": "y", "count": 2}, {"name": "z", "box": {}}]),
                   [{"name": "y", "count": 3, "box": {"size": 9}}], [{"count": 1}], [])  # fmt: skip
        self.maybe(spec, "sizes", [1, 2], [2, 1], [], ["one"])
        self.maybe(spec, "free", {"a": {"b": 1}}, {"a": {"c": [1]}}, {"d": None}, {})
        self.maybe(spec, "labels", {"a": "1"}, {"b": "2"}, {})
        self.maybe(spec, "port", 80, "http")
        self.maybe(spec, "ratio", 0.5, 1)
        self.maybe(spec, "box", {"size": 1}, {"colour": "red"}, {}, None)
        self.maybe(spec, "whole", {"a": "1"}, {"b": "2", "a": "1"}, {})
        self.maybe(spec, "nothing", None, "x")
        self.maybe(spec, "unknown", 1, often=0.05)
        made = {"apiVersion": "same.example.com/v1", "kind": kind, "metadata": self.metadata("thing")}
        self.maybe(made, "spec", spec, often=0.95)
        self.maybe(made, "status", {"phase": "Ready"}, often=0.1)
        return made

    def document(self) -> dict[str, Any]:
        made: dict[str, Any] = self.some(
            self.config,
            self.deployment,
            self.deployment,
            self.service,
            self.role,
            self.policy,
            self.ingress,
            self.budget,
            self.autoscaler,
            self.stateful_set,
            self.daemon_set,
            self.cron_job,
            self.job,
            self.account,
            self.secret,
            self.binding,
            self.claim,
        )()
        return made


def step(dice: Dice, pair: Pair, document: dict[str, Any]) -> tuple[str, tuple[Any, Any]]:
    """One call to both."""
    what = dice.some(*["apply"] * 8, "create", "replace", "patch", "delete", "get")
    name = document["metadata"]["name"]
    pair.used[document["apiVersion"], document["kind"]] = document
    if what == "apply":
        options = {"manager": dice.some(*_MANAGERS), "force": dice.some(True, False, False),
                   "dry_run": dice.some(True, False, False, False)}  # fmt: skip
        return f"apply {options}", pair.both(lambda each: each.apply(document, **options))
    if what == "create":
        return what, pair.both(lambda each: each.create(document))
    if what == "replace":
        return what, pair.both(lambda each: each.replace(document))
    if what == "patch":
        operations = [dice.some(
            {"op": "add", "path": "/metadata/labels", "value": {"patched": "1"}},
            {"op": "remove", "path": "/metadata/labels"}, {"op": "replace", "path": "/data/a", "value": "9"},
            {"op": "remove", "path": "/spec/template/spec/containers/0/env"},
            {"op": "replace", "path": "/spec/ports", "value": [{"name": "p", "port": 81}]},
        )]  # fmt: skip
        return f"patch {operations}", pair.both(
            lambda each: each.patch(_of(each, document), pair.namespace, name, operations)
        )
    if what == "delete" and document["kind"] != "PersistentVolumeClaim":  # which a controller lets go, some time
        found = pair.both(lambda each: each.delete(_of(each, document), pair.namespace, name))
        return what, found
    return what, pair.both(lambda each: each.get(_of(each, document), pair.namespace, name))


def _of(cluster: Cluster, document: Mapping[str, Any]) -> Any:
    resource = cluster.resource(document["apiVersion"], document["kind"])
    assert resource
    return resource


def test_the_recorded_types_are_the_servers(cluster: Real) -> None:
    known = json.loads(gzip.decompress(openapi.FILE.read_bytes()))
    found = json.loads(openapi.record(lambda path: json.loads(cluster.kubectl("get", "--raw", path))))
    if known.pop("version").rpartition(".")[0] == found.pop("version").rpartition(".")[0]:
        assert known == found, "run `python -m tests.rig.openapi`"


@pytest.mark.parametrize("run", range(3))
def test_the_same_calls_get_the_same_answers(pair: Pair, run: int) -> None:
    seed = SEED * 100 + run
    dice = Dice(seed)
    for number in range(int(os.environ.get("CI_GITOPS_TEST_STEPS", "60"))):
        document = dice.document()
        what, (real, simulated) = step(dice, pair, document)
        assert simulated == real, f"seed {seed}, step {number}: {what} {document}"


_BOX = {
    "type": "object", "default": {"size": 5},
    "properties": {"size": {"type": "integer", "default": 1}, "colour": {"type": "string"}},
}  # fmt: skip
_GEAR = {
    "type": "object",
    "properties": {
        "teeth": {"type": "integer", "minimum": 3, "maximum": 100},
        "material": {"type": "string", "enum": ["steel", "brass"], "default": "steel"},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "parts": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "count": {"type": "integer", "default": 1}, "box": _BOX}},
        },
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "port": {"x-kubernetes-int-or-string": True},
        "ratio": {"type": "number"},
        "box": _BOX,
        "whole": {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
        "nothing": {"type": "string", "nullable": True},
    },
}  # fmt: skip


def gears(kind: str) -> dict[str, Any]:
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": _GEAR, "status": status}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
               "subresources": {"status": {}}}  # fmt: skip
    names = {"plural": f"{kind.lower()}s", "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.same.example.com"},
        "spec": {"group": "same.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }  # fmt: skip


@pytest.fixture
def kind(pair: Pair) -> Iterator[str]:
    """A kind of the test's own on both."""
    made = f"Gear{pair.namespace.removeprefix('same-')}"
    definition = gears(made)
    pair.both(lambda each: each.apply(definition))
    real = pair.clusters[0]

    def served() -> bool:
        real.forget()
        return real.resource("same.example.com/v1", made) is not None

    until(served, "the kind is served")
    yield made
    pair.release()
    real.delete(_of(real, definition), "", definition["metadata"]["name"])


def test_the_same_calls_of_a_kind_of_ones_own(pair: Pair, kind: str) -> None:
    seed = SEED * 100 + 50
    dice = Dice(seed)
    for number in range(int(os.environ.get("CI_GITOPS_TEST_STEPS", "60"))):
        document = dice.gear(kind)
        what, (real, simulated) = step(dice, pair, document)
        assert simulated == real, f"seed {seed}, step {number}: {what} {document}"


WRONG = tuple(yaml.safe_load_all((Path(__file__).parents[1] / "golden/refused.yaml").read_text()))


def test_what_is_wrong_is_refused_in_the_same_words(pair: Pair) -> None:
    for document in WRONG:
        real, simulated = pair.both(lambda each, document=document: each.apply(document, dry_run=True))
        assert simulated == real, document


def test_calls_that_cannot_be_done_are_refused_in_the_same_words(pair: Pair) -> None:
    def config(name: str = "a", **metadata: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}

    def names(cluster: Cluster, **options: str) -> list[str]:
        listed = cluster.list(_of(cluster, config()), pair.namespace, **options)
        return [item["metadata"]["name"] for item in listed.items]

    calls: list[Callable[[Cluster], Any]] = [
        lambda each: each.apply(config(resourceVersion="5")),
        lambda each: each.apply(config("b", uid="00000000-0000-0000-0000-000000000000")),
        lambda each: each.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
        lambda each: each.create(config("c", namespace="nowhere")),
        lambda each: each.delete(_of(each, {"apiVersion": "v1", "kind": "Namespace"}), "", "kube-system"),
        lambda each: each.delete(_of(each, config()), pair.namespace, "nothing", dry_run=True),
        lambda each: each.patch(_of(each, config()), pair.namespace, "nothing", [{"op": "remove", "path": "/data"}]),
        lambda each: names(each, fields="spec.x=1"),
    ]
    for number, call in enumerate(calls):
        real, simulated = pair.both(call)
        assert simulated == real, number


@pytest.mark.full
def test_other_peoples_manifests_get_the_same_answers(pair: Pair, corpus: Path) -> None:
    seen: set[str] = set()
    compared = 0
    for file in sorted(corpus.rglob("*.yaml")):
        for document in _objects(file):
            digest = json.dumps(document, sort_keys=True, default=str)
            resource = pair.clusters[1].resource(document["apiVersion"], document["kind"])
            if digest in seen or resource is None or document["kind"] == "PersistentVolumeClaim":
                continue  # a simulated cluster has a storage class for claims without one
            seen.add(digest)
            sent = json.loads(json.dumps(desired(document), default=str))
            if resource.namespaced:
                sent["metadata"]["namespace"] = pair.namespace
            real, simulated = pair.both(lambda each, sent=sent: each.apply(sent, dry_run=True))
            assert simulated == real, f"{file}: {document['kind']} {document['metadata']['name']}"
            compared += 1
    assert compared > 300


def _objects(file: Path) -> Iterator[dict[str, Any]]:
    """What can be read; annotations of alpha times, which the server takes away, are not ours to follow."""
    try:
        found = parse(file.read_text(), file.name)
    except (CiGitopsError, UnicodeDecodeError):
        return
    for manifest in found:
        if "pod.beta.kubernetes.io" not in str(manifest.document):
            yield dict(manifest.document)
