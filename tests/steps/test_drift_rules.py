"""Each rule against false drift, on a real API server: what was deployed plans nothing, twice in a row."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import FIELD_MANAGER
from ci_gitops.core.differences import updated
from ci_gitops.core.ignoring import Rule
from ci_gitops.core.settled import is_settled
from tests.rig.cluster import Cluster
from tests.rig.webhook import mutating_webhook
from tests.steps.planner import Planner, changes, fields, operations

POD = """
metadata: {labels: {app: web}, creationTimestamp: null}
spec:
  containers:
  - name: web
    image: nginx:1
    ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]
    env: [{name: EMPTY, value: ""}]
    resources: {limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: "0.5"}}
"""
NESTED = POD.strip().replace("\n", "\n    ")
DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{}}, annotations: {{}}, creationTimestamp: null}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: web}}}}
  template:
    {NESTED}
status: {{}}
"""
CONFIG = "{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {mode: calm}}\n"
SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}\n"
AUTOSCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
"""

#: Manifests that must plan nothing when they are there, by the rule that each shows.
QUIET = {
    "D1 defaults of the server": DEPLOYMENT,
    "D2 what the server writes, and empty maps": """
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  uid: 3f0f8a52-8c2f-4a53-8dbb-7f0f10ad6a34
  resourceVersion: "1"
  generation: 7
  creationTimestamp: null
  labels: {}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
data: {mode: calm}
status: {}
""",
    "D5 a Secret in clear and in base64": """
apiVersion: v1
kind: Secret
metadata: {name: web, creationTimestamp: null}
data: {user: YWxpY2U=, empty: "", nothing: null, password: b2xk}
stringData: {password: hunter2}
---
{apiVersion: v1, kind: Secret, metadata: {name: bare}, data: {}}
""",
    "D6 ports without a protocol": SERVICE + "---\n" + DEPLOYMENT,
    "D7 roles without rules": """
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: empty}, rules: []}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: nothing}, rules: null}
""",
    "D8 metrics of an autoscaler": AUTOSCALER,
    "D9 claims of a StatefulSet": f"""
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  replicas: 0
  serviceName: web
  selector: {{matchLabels: {{app: web}}}}
  template:
    {NESTED}
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1024Mi}}}}}}
""",
    "D10 quantities of built-in kinds": """
{apiVersion: v1, kind: ResourceQuota, metadata: {name: web}, spec: {hard: {cpu: 20000m, memory: "3072Mi", pods: "99"}}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: web}
spec: {limits: [{type: Container, default: {cpu: 0.5, memory: 1024Mi}}]}
""",
    "D11 what the cluster fills in": """
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: web}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: web}
spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: web, image: nginx}]}}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web}, spec: {defaultBackend: {service: {name: web,
  port: {number: 80}}}}}
""",
    "D13 what admission adds to a Pod": """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeSelector: {nobody: has-this}
  tolerations: [{key: spot, operator: Exists}]
  volumes: [{name: scratch, emptyDir: {}}]
  containers: [{name: web, image: nginx, volumeMounts: [{name: scratch, mountPath: /scratch}]}]
""",
    "D22 an object too large for an annotation": json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"text": "x" * 600_000}}
    ),
    "lists and maps that were given empty": f"""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web}}
spec: {{podSelector: {{}}, policyTypes: [Ingress], ingress: []}}
---
{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: web}}, spec: {{minAvailable: 50%, selector: {{
  matchLabels: {{app: web}}}}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: web}}
spec:
  schedule: "@yearly"
  suspend: true
  jobTemplate:
    spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: web, image: nginx, args: []}}]}}}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    {NESTED}
      nodeSelector: {{nobody: has-this}}
""",
}


def is_quiet(planner: Planner, text: str) -> bool:
    """Nothing is planned; and what was told without asking the server, it says too."""
    planned = planner.plan(text)
    for document in planned.prepared.documents:
        resource = planner.cluster.resource(document["apiVersion"], document["kind"])
        assert resource
        live = planner.cluster.get(resource, document["metadata"].get("namespace", ""), document["metadata"]["name"])
        assert live
        if is_settled(document, live, FIELD_MANAGER):
            answer = planner.cluster.apply(document, dry_run=True, force=True)
            assert updated(live, answer, FIELD_MANAGER).operation == "unchanged"
    return not planned.work and not planned.troubles and planned.plan.is_empty


@pytest.mark.parametrize("rule", QUIET)
def test_what_is_there_plans_nothing_twice_in_a_row(planner: Planner, rule: str) -> None:
    assert all(change.operation == "create" for change in planner.deploy(QUIET[rule]).plan.changes)
    for _ in range(2):
        assert is_quiet(planner, QUIET[rule]), changes(planner.plan(QUIET[rule]))
        assert not planner.deploy(QUIET[rule]).work


# D3


def test_d3_labels_are_drift_finalizers_and_owners_are_none(planner: Planner, cluster: Cluster) -> None:
    text = CONFIG.replace("name: web", "name: web, labels: {tier: front}")
    planner.deploy(text)
    cluster.kubectl("label", "configmap", "web", "-n", planner.namespace, "--overwrite", "tier=back")
    found = planner.plan(text)
    assert fields(found) == {"metadata.labels.tier": ("back", "front")}
    assert found.drifted
    assert found.plan.changes[0].reason == "takes back metadata.labels.tier from kubectl-label"
    planner.deploy(text)
    patch = {"metadata": {"finalizers": ["example.com/theirs"], "annotations": {"theirs": "1"}}}
    cluster.kubectl("patch", "configmap", "web", "-n", planner.namespace, "--type=merge", "-p", json.dumps(patch))
    assert is_quiet(planner, text)
    cluster.kubectl("patch", "configmap", "web", "-n", planner.namespace, "--type=merge", "-p",
                    '{"metadata":{"finalizers":null}}')  # fmt: skip


# D4

POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
  validations: [{expression: "!('mode' in object.data) || object.data.mode != 'wild'", message: wild is not allowed}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec:
  policyName: NAME
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}}
"""


def test_d4_what_admission_refuses_is_unknown_in_its_words_and_never_in_sync(
    planner: Planner, cluster: Cluster, tmp_path: Path
) -> None:
    planner.deploy(CONFIG)
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.replace("NAME", planner.namespace))
    cluster.kubectl("apply", "-f", str(file))
    try:
        wild = CONFIG.replace("calm", "wild")
        found = next(found for _ in range(200) if (found := planner.plan(wild)).troubles)
        assert operations(found) == [("unknown", "ConfigMap")]
        assert "wild is not allowed" in str(found.plan.changes[0].reason)
        assert not found.plan.is_empty
        assert not found.work
        new = planner.plan(wild.replace("web", "new"), try_new=True)
        assert operations(new) == [("unknown", "ConfigMap")]
        assert operations(planner.plan(wild.replace("web", "new"))) == [("create", "ConfigMap")]
        assert is_quiet(planner, CONFIG)
    finally:
        cluster.kubectl("delete", "-f", str(file))


# D7


def test_d7_rules_that_the_cluster_gathers_are_its_own(planner: Planner, cluster: Cluster) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    role = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}}}
aggregationRule: {{clusterRoleSelectors: [{{matchLabels: {{rbac.authorization.k8s.io/aggregate-to-view: "true"}}}}]}}
rules: [{{apiGroups: [""], resources: [pods], verbs: [get]}}]
"""
    try:
        planner.deploy(role)
        cluster.kubectl("patch", "clusterrole", name, "--type=merge", "-p",
                        '{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["list"]}]}')  # fmt: skip
        for _ in range(2):
            assert is_quiet(planner, role)
    finally:
        cluster.kubectl("delete", "clusterrole", name)


# D8


def test_d8_metrics_in_another_order_are_the_same(planner: Planner, cluster: Cluster) -> None:
    planner.deploy(AUTOSCALER)
    live = json.loads(cluster.kubectl("get", "hpa", "web", "-n", planner.namespace, "-o", "json"))
    patch = json.dumps({"spec": {"metrics": live["spec"]["metrics"][::-1]}})
    cluster.kubectl("patch", "hpa", "web", "-n", planner.namespace, "--type=merge", "-p", patch)
    for _ in range(2):
        assert is_quiet(planner, AUTOSCALER)
    assert not is_quiet(planner, AUTOSCALER.replace("80", "70"))


# D10, D12

KIND = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rules.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {kind: DriftRule, plural: rules, singular: rule, listKind: DriftRuleList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
CONVERTING = """
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {caBundle: Cg==, service: {namespace: default, name: nobody}}
"""


@pytest.fixture
def group(cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """An API group with the kind DriftRule."""
    name = f"test-{uuid.uuid4().hex[:8]}.example.com"
    file = tmp_path / "kind.yaml"
    file.write_text(KIND.replace("GROUP", name))
    cluster.kubectl("apply", "-f", str(file))
    cluster.kubectl("wait", "--for=condition=Established", f"crd/rules.{name}", "--timeout=30s")
    yield name
    cluster.kubectl("delete", "crd", f"rules.{name}")


def test_d10_a_controller_may_write_the_same_otherwise(planner: Planner, cluster: Cluster, group: str) -> None:
    planner.cluster.forget()
    text = f"""
apiVersion: {group}/v1
kind: DriftRule
metadata: {{name: web}}
spec: {{limit: 1000m, every: 8760h, memory: 3072Mi, port: "8080", level: 1.0, size: big}}
"""
    planner.deploy(text)
    assert is_quiet(planner, text)
    same = {"spec": {"limit": "1", "every": "8760h0m0s", "memory": "3Gi", "port": 8080, "level": 1}}
    cluster.kubectl("patch", f"rules.{group}", "web", "-n", planner.namespace, "--type=merge", "-p", json.dumps(same),
                    "--field-manager", "controller")  # fmt: skip
    for _ in range(2):
        assert is_quiet(planner, text)
    found = planner.deploy(text.replace("big", "small"))
    assert fields(found) == {"spec.size": ("big", "small")}
    live = json.loads(cluster.kubectl("get", f"rules.{group}", "web", "-n", planner.namespace, "-o", "json"))
    assert live["spec"]["limit"] == "1"
    assert fields(planner.plan(text.replace("big", "small").replace("1000m", "2"))) == {"spec.limit": ("1", 2)}


def test_d12_a_bundle_that_an_injector_fills_is_not_sent(planner: Planner, cluster: Cluster) -> None:
    group = f"test-{uuid.uuid4().hex[:8]}.example.com"
    text = KIND.replace("GROUP", group) + CONVERTING
    try:
        planner.deploy(text)
        patch = {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": ca_bundle()}}}}}
        cluster.kubectl("patch", "crd", f"rules.{group}", "--type=merge", "-p", json.dumps(patch))
        for _ in range(2):
            assert is_quiet(planner, text)
    finally:
        cluster.kubectl("delete", "crd", f"rules.{group}", "--ignore-not-found")


# D11


def test_d11_an_injected_bundle_is_of_its_injector(planner: Planner, cluster: Cluster) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}.example.com"
    hook = f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {name}}}
webhooks:
- name: {name}
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {{service: {{namespace: {planner.namespace}, name: nobody}}}}
  namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: nowhere}}}}
  rules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
"""
    try:
        planner.deploy(hook)
        patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": ca_bundle()}]
        cluster.kubectl("patch", "validatingwebhookconfiguration", name, "--type=json", "-p", json.dumps(patch))
        for _ in range(2):
            assert is_quiet(planner, hook)
    finally:
        cluster.kubectl("delete", "validatingwebhookconfiguration", name)


def ca_bundle() -> str:
    import trustme

    return base64.b64encode(trustme.CA().cert_pem.bytes()).decode()


def test_d11_namespaces_keep_what_the_cluster_gives_them(planner: Planner, cluster: Cluster) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    text = f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}"
    try:
        planner.deploy(text)
        for _ in range(2):
            assert is_quiet(planner, text)
    finally:
        cluster.drop_namespace(name)


# D13


def patched(document: dict[str, Any]) -> list[dict[str, Any]]:
    """As a mesh injects a container once, and a policy takes images from a mirror."""
    containers = document["spec"]["template"]["spec"]["containers"]
    pod = "/spec/template"
    patch = [{"op": "replace", "path": f"{pod}/spec/containers/0/image", "value": "mirror.example.com/nginx:1"}]
    if "proxy" not in {container["name"] for container in containers}:
        proxy = {"name": "proxy", "image": "mesh:1"}
        patch.append({"op": "add", "path": f"{pod}/spec/containers/-", "value": proxy})
        patch.append({"op": "add", "path": f"{pod}/metadata/annotations", "value": {"mesh.example.com/status": "1"}})
    return patch


def test_d13_what_a_webhook_injects_and_rewrites_is_no_drift(
    planner: Planner, cluster: Cluster, tmp_path: Path
) -> None:
    if "https://127.0.0.1:" not in cluster.kubeconfig.read_text():
        pytest.skip("the API server is on another machine, where it cannot reach a webhook on this one")
    name = f"{planner.namespace}.example.com"
    with mutating_webhook(tmp_path, patched) as client:
        file = tmp_path / "webhook.json"
        rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["deployments"]}  # fmt: skip
        hook = {
            "name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": client,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": planner.namespace}},
            "rules": [rule],
        }  # fmt: skip
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
        file.write_text(json.dumps({**kind, "metadata": {"name": name}, "webhooks": [hook]}))
        cluster.kubectl("apply", "-f", str(file))
        try:
            assert any("proxy" in json.dumps(injected(planner, DEPLOYMENT)) for _ in range(500))  # it is seen soon
            planner.deploy(DEPLOYMENT)
            live = cluster.get("deployment", "web", planner.namespace)
            assert [each["name"] for each in live["spec"]["template"]["spec"]["containers"]] == ["web", "proxy"]
            for _ in range(2):
                assert is_quiet(planner, DEPLOYMENT), changes(planner.plan(DEPLOYMENT))
        finally:
            cluster.kubectl("delete", "mutatingwebhookconfiguration", name)


def injected(planner: Planner, text: str) -> Any:
    """What would become of a new object."""
    return planner.cluster.apply(planner.prepared(text).documents[0], dry_run=True)


# D14, D15


def test_d14_replicas_are_the_autoscaler_s_and_without_one_they_are_drift(planner: Planner, cluster: Cluster) -> None:
    both = DEPLOYMENT + "---\n" + AUTOSCALER
    planner.deploy(both)
    cluster.kubectl("scale", "deployment", "web", "-n", planner.namespace, "--replicas=0")
    for _ in range(2):
        assert is_quiet(planner, both)
    planner.deploy(DEPLOYMENT)
    cluster.kubectl("delete", "hpa", "web", "-n", planner.namespace)
    cluster.kubectl("scale", "deployment", "web", "-n", planner.namespace, "--replicas=3")
    found = planner.plan(DEPLOYMENT)
    assert fields(found) == {"spec.replicas": (3, 0)}
    assert found.drifted


RULES = {
    "a pointer": Rule(kind="ConfigMap", pointers=("/data/mode",)),
    "a pointer and its manager": Rule(name="w*", pointers=("/data/mode",), managers=("some*",)),
    "a manager": Rule(managers=("somebody",)),
    "the whole object": Rule(kind="ConfigMap", name="web"),
}


@pytest.mark.parametrize("rule", RULES)
def test_d15_what_is_left_to_others_stays_theirs(planner: Planner, cluster: Cluster, rule: str) -> None:
    planner.deploy(CONFIG)
    planner.rules = [RULES[rule]]
    cluster.kubectl("patch", "configmap", "web", "-n", planner.namespace, "--type=merge", "-p",
                    '{"data":{"mode":"wild"}}', "--field-manager", "somebody")  # fmt: skip
    for _ in range(2):
        found = planner.plan(CONFIG)
        assert found.plan.is_empty
        assert f"left to others by the ignore rule ({RULES[rule]})" in str(found.plan.changes[0].reason)
        planner.deploy(CONFIG.replace("mode: calm", "mode: calm, more: '1'"))
        assert cluster.get("configmap", "web", planner.namespace)["data"]["mode"] == "wild"
        planner.deploy(CONFIG)
    planner.rules = [Rule(kind="Secret"), Rule(pointers=("/data/mode",), managers=("nobody",))]
    assert not planner.plan(CONFIG).plan.is_empty


# D17, D18


def test_d17_fields_that_were_recorded_in_an_older_version(planner: Planner) -> None:
    old = """
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 9, targetCPUUtilizationPercentage: 80, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment,
  name: web}}
"""
    planner.deploy(old)
    assert is_quiet(planner, old)
    planner.deploy(AUTOSCALER)
    for _ in range(2):
        assert is_quiet(planner, AUTOSCALER)


def test_d18_an_immutable_field_is_told_and_recreated_only_when_asked(planner: Planner, cluster: Cluster) -> None:
    planner.deploy(DEPLOYMENT)
    other = DEPLOYMENT.replace("app: web", "app: other")
    found = planner.plan(other)
    assert operations(found) == [("unknown", "Deployment")]
    assert "--recreate Deployment" in str(found.troubles[0].hint)
    assert found.plan.changes[0].fields
    broken = other.replace("image: nginx:1", "image: ''")
    assert operations(planner.plan(broken, recreate=frozenset({"any"}))) == [("unknown", "Deployment")]
    uid = cluster.get("deployment", "web", planner.namespace)["metadata"]["uid"]
    done = planner.deploy(other, recreate=frozenset({"any"}))
    assert done.work[0].recreate
    assert cluster.get("deployment", "web", planner.namespace)["metadata"]["uid"] != uid
    assert is_quiet(planner, other)


# D19, D21


def test_d19_what_another_app_or_source_holds_is_refused_by_name(planner: Planner) -> None:
    other = Planner(planner.cluster, planner.namespace, app="blog", source="others")
    other.deploy(CONFIG)
    found = planner.plan(CONFIG, take_over=True)
    assert [error.exit_code for error in found.troubles] == [5]
    assert "belongs to blog in test of others" in found.troubles[0].message
    assert not found.work
    assert is_quiet(other, CONFIG)


def test_d21_equal_values_have_equal_placeholders(planner: Planner) -> None:
    secret = "{apiVersion: v1, kind: Secret, metadata: {name: web}, stringData: {a: hunter22, b: hunter22, c: other}}"
    planner.deploy(secret)
    found = planner.plan(secret.replace("b: hunter22", "b: other").replace("c: other", "c: third"))
    shown: dict[str, Any] = fields(found)
    assert shown["data.b"][1] == shown["data.c"][0]
    assert len({shown["data.b"][0], *shown["data.c"]}) == 3
    assert "hunter" not in json.dumps(found.plan.document)
    assert base64.b64encode(b"hunter22").decode() not in json.dumps(found.plan.document)
