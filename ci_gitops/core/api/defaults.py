"""What the server fills in where an object of a built-in kind leaves it open, by type.

https://github.com/kubernetes/kubernetes/tree/master/pkg/apis: `defaults.go` of each group.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ci_gitops.core.api.schemas import Schema

_Object = dict[str, Any]
_MODE = {"defaultMode": 420}
_PROTOCOL = {"protocol": "TCP"}
_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_RBAC = "rbac.authorization.k8s.io"

#: Type -> what its fields are where they are not given.
_PLAIN: dict[str, _Object] = {
    "apps.v1.DaemonSetSpec": {"revisionHistoryLimit": 10},
    "apps.v1.DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    "apps.v1.DeploymentSpec": {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    "apps.v1.DeploymentStrategy": {"type": "RollingUpdate"},
    "apps.v1.ReplicaSetSpec": {"replicas": 1},
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    "apps.v1.StatefulSetSpec": {
        "podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10,
        "persistentVolumeClaimRetentionPolicy": {},
    },
    "apps.v1.StatefulSetUpdateStrategy": {"type": "RollingUpdate"},
    "autoscaling.v2.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "batch.v1.CronJobSpec": {
        "concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
    },
    "core.v1.ConfigMapVolumeSource": _MODE,
    "core.v1.Container": _CONTAINER,
    "core.v1.ContainerPort": _PROTOCOL,
    "core.v1.DownwardAPIVolumeSource": _MODE,
    "core.v1.EndpointPort": _PROTOCOL,
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.HostPathVolumeSource": {"type": ""},
    "core.v1.NamespaceStatus": {"phase": "Active"},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core.v1.PersistentVolumeClaimStatus": {"phase": "Pending"},
    "core.v1.PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
        "securityContext": {}, "terminationGracePeriodSeconds": 30,
    },
    "core.v1.PodStatus": {"phase": "Pending"},
    "core.v1.Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "core.v1.ProjectedVolumeSource": _MODE,
    "core.v1.ReplicationControllerSpec": {"replicas": 1},
    "core.v1.Secret": {"type": "Opaque"},
    "core.v1.SecretVolumeSource": _MODE,
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.ServicePort": _PROTOCOL,
    "core.v1.ServiceSpec": {"sessionAffinity": "None", "type": "ClusterIP"},
    "discovery.v1.EndpointPort": {"name": "", **_PROTOCOL},
    "networking.v1.IngressClassParametersReference": {"scope": "Cluster"},
    "networking.v1.NetworkPolicyPort": _PROTOCOL,
    "rbac.v1.RoleRef": {"apiGroup": _RBAC},
    "scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "storage.v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "apiextensions.v1.CustomResourceConversion": {"strategy": "None"},
    "apiextensions.v1.ServiceReference": {"port": 443},
    "apiregistration.v1.ServiceReference": {"port": 443},
}  # fmt: skip


def fill(schema: Schema, value: Any) -> None:
    """Fill in, in place, what was left open anywhere in the value; of a canonical one."""
    if schema.shape == "object":
        for name, default in _PLAIN.get(schema.name, {}).items():
            if value.get(name) in (None, ""):
                value[name] = copy.deepcopy(default)
        for name, raw in schema.fields.items():
            default = raw.get("default")
            if name not in value and default not in (None, {}, "", 0):
                value[name] = default
        rule = _RULES.get(schema.name)
        if rule:
            rule(value)
        for name, inner in value.items():
            below = schema.below(name)
            if below is not None and isinstance(inner, dict | list):
                fill(below, inner)
    elif schema.shape in ("list", "map") and schema.item.shape not in ("any", "boolean", "integer", "string"):
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                fill(schema.item, inner)


def _container(container: _Object) -> None:
    if not container.get("imagePullPolicy"):
        name = container.get("image", "").partition("@")
        tag = name[0].rpartition("/")[2].partition(":")[2]
        is_latest = not name[1] and tag in ("", "latest")
        container["imagePullPolicy"] = "Always" if is_latest else "IfNotPresent"


def _pod(spec: _Object) -> None:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    if spec.get("hostNetwork"):
        for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
            for port in container.get("ports", ()):
                port.setdefault("hostPort", port.get("containerPort"))


def _volume(volume: _Object) -> None:
    if not volume.keys() - {"name"}:
        volume["emptyDir"] = {}


def _deployment(spec: _Object) -> None:
    strategy = spec.setdefault("strategy", {})
    if strategy.get("type") in (None, "RollingUpdate"):
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _daemon_set(spec: _Object) -> None:
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.get("type") in (None, "RollingUpdate"):
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def _daemon_rolling(rolling: _Object) -> None:
    """Both are always written, whatever the strategy is."""
    rolling.setdefault("maxUnavailable", 0)
    rolling.setdefault("maxSurge", 0)


def _stateful_set(spec: _Object) -> None:
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy.setdefault("rollingUpdate", {})
    if strategy.get("type") in (None, "RollingUpdate") and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    for claim in spec.get("volumeClaimTemplates", ()):
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"


def _job(job: _Object) -> None:
    spec = job["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2**31 - 1 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    labels = spec["template"].get("metadata", {}).get("labels")
    if labels and not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(labels)


def _replication_controller(controller: _Object) -> None:
    labels = (controller["spec"].get("template") or {}).get("metadata", {}).get("labels")
    if labels:
        controller["spec"].setdefault("selector", dict(labels))
        controller["metadata"].setdefault("labels", dict(labels))


def _service(spec: _Object) -> None:
    for port in spec.get("ports", ()):
        port["targetPort"] = port.get("targetPort") or port.get("port")
    if spec.get("sessionAffinity") == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {})
        config.setdefault("clientIP", {}).setdefault("timeoutSeconds", 10800)
    else:
        spec.pop("sessionAffinityConfig", None)
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _namespace(namespace: _Object) -> None:
    metadata = namespace["metadata"]
    metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")


def _daemon_template(found: _Object) -> None:
    found["metadata"].setdefault("annotations", {}).setdefault("deprecated.daemonset.template.generation", "0")


def _network_policy(spec: _Object) -> None:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _autoscaler(spec: _Object) -> None:
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _scaling(behavior: _Object) -> None:
    up = behavior.setdefault("scaleUp", {})
    up.setdefault("stabilizationWindowSeconds", 0)
    down = behavior.setdefault("scaleDown", {})
    pods = {"type": "Pods", "value": 4, "periodSeconds": 15}
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    for rules, policies in ((up, [pods, percent]), (down, [percent])):
        rules.setdefault("selectPolicy", "Max")
        if not rules.get("policies"):
            rules["policies"] = copy.deepcopy(policies)


def _subject(subject: _Object) -> None:
    if subject.get("kind") in ("User", "Group"):
        subject.setdefault("apiGroup", _RBAC)


def _definition(spec: _Object) -> None:
    names = spec["names"]
    if not names.get("singular"):
        names["singular"] = names.get("kind", "").lower()
    if not names.get("listKind"):
        names["listKind"] = f"{names.get('kind', '')}List"
    spec.setdefault("conversion", {"strategy": "None"})


def _limits(item: _Object) -> None:
    if item.get("type") != "Container":
        return
    for name, value in item.get("max", {}).items():
        item.setdefault("default", {}).setdefault(name, value)
    for source in ("default", "min"):
        for name, value in item.get(source, {}).items():
            item.setdefault("defaultRequest", {}).setdefault(name, value)


#: Type -> what needs more than a plain value.
_RULES: dict[str, Callable[[_Object], None]] = {
    "apiextensions.v1.CustomResourceDefinitionSpec": _definition,
    "apps.v1.DaemonSet": _daemon_template,
    "apps.v1.DaemonSetSpec": _daemon_set,
    "apps.v1.DeploymentSpec": _deployment,
    "apps.v1.RollingUpdateDaemonSet": _daemon_rolling,
    "apps.v1.StatefulSetSpec": _stateful_set,
    "autoscaling.v2.HorizontalPodAutoscalerBehavior": _scaling,
    "autoscaling.v2.HorizontalPodAutoscalerSpec": _autoscaler,
    "batch.v1.Job": _job,
    "core.v1.Container": _container,
    "core.v1.LimitRangeItem": _limits,
    "core.v1.Namespace": _namespace,
    "core.v1.PodSpec": _pod,
    "core.v1.ReplicationController": _replication_controller,
    "core.v1.ServiceSpec": _service,
    "core.v1.Volume": _volume,
    "networking.v1.NetworkPolicySpec": _network_policy,
    "rbac.v1.Subject": _subject,
}
