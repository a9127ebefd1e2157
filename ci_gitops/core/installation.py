"""The objects that run the operator in a cluster: a CronJob for each kind of pass, beside the account that it acts as.

Credentials are in one Secret, which is named here and never made: who can print what is installed learns no secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ci_gitops.core.dns_names import dns_label

IN_CLUSTER = "in-cluster"  # the context that stands for the pod's own account
_SECRETS = "/etc/ci-gitops"
_USER = 1000  # of the image
_LABEL = "app.kubernetes.io"
#: What a pass was seen to take, with room for charts (`docs/in-the-cluster.md`).
_RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}
_DNS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is installed for one environment. Times are cron lines in UTC."""

    environment: str  # "": whoever takes these objects says it (deploy/base)
    namespace: str  # where the operator runs
    image: str
    secret: str  # the one that holds its credentials
    settings: Mapping[str, str] = field(default_factory=dict)  # CI_GITOPS_REPO and its like: no secret among them
    schedule: str = "*/5 * * * *"
    scan_schedule: str | None = None  # None: nothing is scanned
    ports: Sequence[int] = (22, 443, 6443)  # TCP, that Git, forge, registry and API server listen on
    authority: bool = False  # the Secret holds a certificate authority as ca.crt
    deadline: int = 3600  # seconds that one pass may take

    @property
    def name(self) -> str:
        """Of its objects; a CronJob's may have 52 characters, and a pass's name comes behind it."""
        return dns_label(f"ci-gitops-{self.environment}" if self.environment else "ci-gitops", 45)


def account(wanted: Installation) -> dict[str, Any]:
    """Which the passes act as; its roles are for what is declared."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(wanted, wanted.name)}


def installed(wanted: Installation) -> tuple[dict[str, Any], ...]:
    """The objects beside the account and its roles, which the rendered environment decides."""
    objects = [_namespace(wanted), _settings(wanted), _network(wanted), _passes(wanted, "deploy", wanted.schedule)]
    if wanted.scan_schedule:
        objects.append(_passes(wanted, "scan", wanted.scan_schedule))
    return tuple(objects)


def _namespace(wanted: Installation) -> dict[str, Any]:
    """Pods here pass the strictest of Kubernetes' own standards
    (https://kubernetes.io/docs/concepts/security/pod-security-standards/)."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": wanted.namespace, "labels": labels}}


def _settings(wanted: Installation) -> dict[str, Any]:
    named = {"CI_GITOPS_ENVIRONMENT": wanted.environment} if wanted.environment else {}
    data = {**named, **wanted.settings}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(wanted, wanted.name), "data": data}


def _network(wanted: Installation) -> dict[str, Any]:
    """Nobody reaches the pods, and they reach names and the ports of the servers that a pass asks."""
    ports = [{"protocol": "TCP", "port": port} for port in sorted(set(wanted.ports))]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(wanted, wanted.name),
        "spec": {
            "podSelector": {"matchLabels": _labels(wanted)},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [{"ports": [*_DNS, *ports]}],
        },
    }


def _passes(wanted: Installation, command: str, schedule: str) -> dict[str, Any]:
    """One pass at a time; what failed is tried by the next one, which knows what the last one did."""
    labels = {**_labels(wanted), f"{_LABEL}/component": command}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata(wanted, f"{wanted.name}-{command}", component=command),
        "spec": {
            "schedule": schedule,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 200,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 0,
                    "activeDeadlineSeconds": wanted.deadline,
                    "ttlSecondsAfterFinished": 86_400,
                    "template": {"metadata": {"labels": labels}, "spec": _pod(wanted, command)},
                }
            },
        },
    }


def _pod(wanted: Installation, command: str) -> dict[str, Any]:
    return {
        "serviceAccountName": wanted.name,
        "automountServiceAccountToken": command == "deploy",
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(wanted, command)],
        "volumes": [
            {"name": "work", "emptyDir": {"sizeLimit": "2Gi"}},
            {"name": "secret", "secret": {"secretName": wanted.secret, "defaultMode": 0o440, "optional": True}},
        ],
    }


def _container(wanted: Installation, command: str) -> dict[str, Any]:
    environment = [{"name": "HOME", "value": "/tmp"}]  # noqa: S108  # a volume of the pod's own
    if command == "deploy":
        environment.append({"name": "CI_GITOPS_DEPLOY_CONTEXT", "value": IN_CLUSTER})
    if wanted.authority:
        environment.append({"name": "CI_SERVER_TLS_CA_FILE", "value": f"{_SECRETS}/ca.crt"})
    return {
        "name": command,
        "image": wanted.image,
        "command": ["tini", "--", "ci-gitops", "--log-format", "json", command],
        "env": environment,
        "envFrom": [
            {"configMapRef": {"name": wanted.name}},
            {"secretRef": {"name": wanted.secret, "optional": True}},
        ],
        "resources": _RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": "/tmp"},  # noqa: S108
            {"name": "secret", "mountPath": _SECRETS, "readOnly": True},
        ],
    }


def _metadata(wanted: Installation, name: str, *, component: str | None = None) -> dict[str, Any]:
    labels = {**_labels(wanted), **({f"{_LABEL}/component": component} if component else {})}
    return {"name": name, "namespace": wanted.namespace, "labels": labels}


def _labels(wanted: Installation) -> dict[str, str]:
    return {f"{_LABEL}/name": "ci-gitops", f"{_LABEL}/instance": wanted.name}
