"""Rendered Kubernetes objects: read from YAML as an API server's clients read it, named, put in the order to apply.

YAML 1.1's dates and base-60 numbers are text here, as in every Kubernetes tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ci_gitops.core.hooks import wishes
from ci_gitops.core.yamldepth import must_be_shallow
from ci_gitops.core.yamlload import Loader
from ci_gitops.errors import RenderError

# What others need comes first; kinds that are not listed come last
# (https://github.com/argoproj/argo-cd/blob/master/gitops-engine/pkg/sync/sync_tasks.go).
_ORDER = (
    "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy", "PodDisruptionBudget",
    "ServiceAccount", "Secret", "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim",
    "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service", "DaemonSet",
    "Pod", "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job",
    "CronJob", "IngressClass", "Ingress", "APIService",
)  # fmt: skip
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}
_WEBHOOKS = {
    "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}  # fmt: skip


class _Loader(Loader):
    """Scalars as Kubernetes' own YAML library resolves them."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))


_resolve("bool", "true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF", "tTfFyYnNoO")
_resolve("null", "~|null|Null|NULL|", "~nN\0")
_Loader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile(r"^$")))
_resolve("int", r"[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0[0-7_]*|[-+]?[1-9][0-9_]*", "-+0123456789")
_resolve("float", r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*\.[0-9_]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
         r"|\.(?:nan|NaN|NAN)", "-+0123456789.")  # fmt: skip
_resolve("merge", "<<", "<")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One rendered object; `document` is what is sent. A hook without a name has its `generateName` as `name`."""

    api_version: str
    kind: str
    namespace: str | None
    name: str
    document: Mapping[str, Any]

    @property
    def identity(self) -> dict[str, str | None]:
        """How JSON documents name an object."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
        }

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def parse(text: str, origin: str) -> tuple[Manifest, ...]:
    """The objects of a YAML stream; items of lists are objects of their own. `origin` names it in errors."""
    try:
        must_be_shallow(text)
        documents = list(yaml.load_all(text, Loader=_Loader))
        return tuple(_manifest(found, origin) for document in documents for found in _objects(document))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RenderError(f"{origin} is not YAML: {' '.join(str(error).split())}") from error


def _objects(document: Any) -> Iterator[Any]:
    if document is None:
        return
    if isinstance(document, Mapping) and str(document.get("kind", "")).endswith("List") and "items" in document:
        items = document["items"]
        for item in items if isinstance(items, list) else ():
            yield from _objects(item)
        return
    yield document


def _manifest(document: Any, origin: str) -> Manifest:
    if not isinstance(document, Mapping):
        raise RenderError(f"{origin} holds something that is no Kubernetes object: {str(document)[:60]!r}")
    metadata = document.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else {}
    return Manifest(
        _text(document.get("apiVersion"), "apiVersion", named, origin),
        _text(document.get("kind"), "kind", named, origin),
        named.get("namespace"),
        _name(document, named, origin),
        document,
    )


def _name(document: Mapping[str, Any], metadata: Mapping[str, Any], origin: str) -> str:
    """A hook may leave its name to each deploy (`core/hooks.hook_name`); what stays must be found again by its name."""
    generated = metadata.get("generateName")
    if metadata.get("name") or not isinstance(generated, str) or not generated:
        return _text(metadata.get("name"), "metadata.name", document, origin)
    if wishes(document).is_hook:
        return generated
    raise RenderError(
        f"{origin}: {document.get('kind')} {generated}… has generateName and no name: each deploy would make another.",
        hint="Give it metadata.name, or make it a hook by an annotation such as ci-gitops/hook: PreSync.",
    )


def _text(value: Any, field: str, about: Mapping[str, Any], origin: str) -> str:
    if isinstance(value, str) and value:
        return value
    name = about.get("name") or about.get("kind") or "an object"
    raise RenderError(
        f"{origin}: {field} of {name} must be text, and is {'missing' if value is None else repr(value)}."
    )


def kind_rank(kind: str) -> int:
    """The place of a kind in the order to apply. What judges others' writes comes after all of them."""
    return _RANK.get(kind, len(_ORDER) + (kind in _WEBHOOKS))


def text(manifests: Iterable[Manifest]) -> str:
    """The YAML stream of `manifests`, one document each."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumped: str = yaml.dump_all(
        [dict(manifest.document) for manifest in manifests],
        Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**20,
    )  # fmt: skip
    return dumped
