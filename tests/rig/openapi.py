"""Records what the simulated cluster knows of Kubernetes: `python -m tests.rig.openapi` with a cluster in KUBECONFIG.

Writes `ci_gitops/core/api/kubernetes.json.gz`: the kinds that it serves and their types, from the server's discovery
and its OpenAPI, without prose. Of Go's types the OpenAPI does not tell which plain values are pointers; those stand
here. A test compares the file with the server, and the simulated cluster's answers with the server's.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "ci_gitops/core/api/kubernetes.json.gz"
#: group/version -> kinds. The order of versions is the server's preference.
KINDS = {
    "v1": [
        "ConfigMap", "Endpoints", "Event", "LimitRange", "Namespace", "Node", "PersistentVolume",
        "PersistentVolumeClaim", "Pod", "ReplicationController", "ResourceQuota", "Secret", "Service", "ServiceAccount",
    ],
    "apps/v1": ["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "batch/v1": ["CronJob", "Job"],
    "networking.k8s.io/v1": ["Ingress", "IngressClass", "NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
    "rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
    "storage.k8s.io/v1": ["StorageClass"],
    "apiextensions.k8s.io/v1": ["CustomResourceDefinition"],
    "apiregistration.k8s.io/v1": ["APIService"],
    "coordination.k8s.io/v1": ["Lease"],
    "discovery.k8s.io/v1": ["EndpointSlice"],
    "scheduling.k8s.io/v1": ["PriorityClass"],
}  # fmt: skip
#: Values that Go keeps by a pointer, so that a zero which was given is not taken for none.
POINTERS = {
    "boolean": {
        "allocateLoadBalancerNodePorts", "allowPrivilegeEscalation", "allowVolumeExpansion", "blockOwnerDeletion",
        "automountServiceAccountToken", "controller", "enableServiceLinks", "hostProcess", "hostUsers", "immutable",
        "manualSelector", "optional", "privileged", "readOnly:AzureDiskVolumeSource", "readOnlyRootFilesystem", "ready",
        "runAsNonRoot", "serving", "setHostnameAsFQDN", "shareProcessNamespace", "started", "suspend", "terminating",
    },
    "integer": {
        "activeDeadlineSeconds", "averageUtilization", "backoffLimit", "backoffLimitPerIndex", "completions",
        "defaultMode", "deletionGracePeriodSeconds", "expirationSeconds",
        "failedJobsHistoryLimit", "fsGroup", "leaseDurationSeconds", "leaseTransitions", "lun:FCVolumeSource",
        "maxFailedIndexes", "maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties",
        "minReplicas", "mode", "observedGeneration:HorizontalPodAutoscaler", "parallelism", "percentage",
        "partition:RollingUpdateStatefulSetStrategy", "port:EndpointPort", "port:ServiceReference", "priority:PodSpec",
        "progressDeadlineSeconds", "ready:JobStatus", "replicas:Spec", "revisionHistoryLimit", "runAsGroup",
        "runAsUser", "stabilizationWindowSeconds", "startingDeadlineSeconds", "succeededCount",
        "successfulJobsHistoryLimit", "terminating:JobStatus", "terminatingReplicas",
        "terminationGracePeriodSeconds", "timeoutSeconds:ClientIPConfig", "tolerationSeconds",
        "ttlSecondsAfterFinished",
    },
    "number": {"maximum", "minimum", "multipleOf"},
    "string": {
        "apiGroup:TypedLocalObjectReference", "apiGroup:TypedObjectReference", "appProtocol", "completionMode",
        "fsGroupChangePolicy", "holderIdentity", "hostPathType", "hostnameOverride", "ingressClassName",
        "internalTrafficPolicy", "ipFamilyPolicy", "loadBalancerClass", "managedBy", "mountPropagation",
        "name:EndpointPort", "nodeAffinityPolicy", "nodeName:Endpoint", "nodeTaintsPolicy", "pathType",
        "podReplacementPolicy", "preemptionPolicy", "preferredHolder", "procMount", "protocol:EndpointPort",
        "protocol:NetworkPolicyPort", "reclaimPolicy", "recursiveReadOnly", "restartPolicy:Container",
        "runtimeClassName", "scope:IngressClassParametersReference", "selectPolicy", "service:GRPCAction",
        "storageClassName:PersistentVolumeClaimSpec", "strategy", "supplementalGroupsPolicy", "timeZone",
        "trafficDistribution", "type:HostPathVolumeSource", "unhealthyPodEvictionPolicy",
        "value:PodDNSConfigOption", "volumeAttributesClassName",
        "volumeBindingMode", "volumeMode",
    },
}  # fmt: skip
_PREFIX = re.compile(r"^#/components/schemas/")


def record(get: Callable[[str], Any]) -> bytes:
    """What the file holds, of the server that `get` asks for a path."""
    documents = {version: get(f"/openapi/v3/{_path(version)}") for version in KINDS}
    schemas = {
        name: schema for document in documents.values() for name, schema in document["components"]["schemas"].items()
    }
    resources = [
        resource
        for version, kinds in KINDS.items()
        for resource in _resources(version, kinds, documents[version], get(f"/{_path(version)}"))
    ]
    types: dict[str, Any] = {}
    waiting = [resource["type"] for resource in resources]
    while waiting:
        name = waiting.pop()
        if name not in types:
            types[name] = _type(_short(name), schemas[name])
            waiting.extend(_references(schemas[name]))
    named = {_short(name): definition for name, definition in sorted(types.items())}
    for resource in resources:
        resource["type"] = _short(resource["type"])
    recorded = {"version": get("/version")["gitVersion"], "resources": resources, "types": named}
    return json.dumps(recorded, sort_keys=True, separators=(",", ":")).encode()


def _resources(
    version: str, kinds: list[str], document: Mapping[str, Any], served: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    group, _, short = version.rpartition("/")
    for kind in kinds:
        (found,) = (
            each
            for each in served["resources"]
            if each["kind"] == kind and "/" not in each["name"] and not each.get("group")
        )
        yield {
            "group": group, "version": short, "kind": kind, "plural": found["name"],
            "singular": found["singularName"], "namespaced": found["namespaced"], "verbs": sorted(found["verbs"]),
            "status": any(each["name"] == f"{found['name']}/status" for each in served["resources"]),
            "type": _type_of(group, short, kind, document),
        }  # fmt: skip


def _type_of(group: str, version: str, kind: str, document: Mapping[str, Any]) -> str:
    wanted = {"group": group, "version": version, "kind": kind}
    (found,) = (name for name, schema in document["components"]["schemas"].items()
                if schema.get("x-kubernetes-group-version-kind") == [wanted])  # fmt: skip
    return str(found)


def _type(name: str, schema: Mapping[str, Any], field: str = "") -> dict[str, Any]:
    """A schema without prose, in the words of `core/api/schemas.py`. `name` is the type's that holds it."""
    reference = _reference(schema)
    made: dict[str, Any] = {"ref": _short(reference)} if reference else {}
    kind = schema.get("type")
    if not reference and kind:
        made["type"] = kind
    if schema.get("format") in ("int-or-string", "date-time", "byte"):
        made["format"] = schema["format"]
    if name == "resource.Quantity":
        made = {"type": "string", "format": "quantity"}
    for key, short in (
        ("default", "default"), ("enum", "enum"), ("required", "required"), ("x-kubernetes-list-type", "list"),
        ("x-kubernetes-list-map-keys", "keys"), ("x-kubernetes-map-type", "map"),
    ):  # fmt: skip
        if key in schema:
            made[short] = schema[key]
    if "items" in schema:
        made["items"] = _type(name, schema["items"], "[]")
    if "additionalProperties" in schema:
        made["values"] = _type(name, schema["additionalProperties"], "{}")
    if "properties" in schema:
        made["fields"] = {key: _type(name, below, key) for key, below in schema["properties"].items()}
    if field and _is_pointer(str(kind), name, field):
        made["pointer"] = True
    return made


def _is_pointer(kind: str, name: str, field: str) -> bool:
    return any(
        field == each or (each.startswith(f"{field}:") and each.partition(":")[2] in name)
        for each in POINTERS.get(kind, ())
    )


def _reference(schema: Mapping[str, Any]) -> str | None:
    below = schema.get("allOf") or [schema]
    reference = below[0].get("$ref")
    return _PREFIX.sub("", reference) if reference else None


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield _PREFIX.sub("", schema["$ref"])
        for below in schema.values():
            yield from _references(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from _references(below)


def _short(name: str) -> str:
    return re.sub(
        r"^io\.k8s\.(?:api|apimachinery\.pkg\.(?:apis|api|util)|kube-aggregator\.pkg\.apis|apiextensions-apiserver\.pkg\.apis)\.",
        "",
        name,
    )


def _path(version: str) -> str:
    return f"apis/{version}" if "/" in version else f"api/{version}"


def _get(path: str) -> Any:
    """From the cluster of KUBECONFIG."""
    done = subprocess.run(["kubectl", "get", "--raw", path], capture_output=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    FILE.write_bytes(gzip.compress(record(_get), 9, mtime=0))
