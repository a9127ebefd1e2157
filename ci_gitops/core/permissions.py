"""The rights that a deploy takes: which verb on which resource, where, and what for.

One list is the ground of the Roles that `rbac` prints and of what is asked before the first write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ci_gitops.core.autoscaling import AUTOSCALERS, may_be_scaled
from ci_gitops.core.inventory import Key

PLAN_KEY = "ci-gitops-plan-key"
_RBAC = "rbac.authorization.k8s.io"
_PODS = ("pods", "")
_SETS = ("replicasets", "apps")
_JOBS = ("jobs", "batch")
#: What comes from an object, and is read where it does not get healthy.
_CHILDREN: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("apps", "Deployment"): (_SETS, _PODS),
    ("apps", "ReplicaSet"): (_PODS,),
    ("apps", "StatefulSet"): (_PODS, ("persistentvolumeclaims", "")),
    ("apps", "DaemonSet"): (_PODS,),
    ("", "ReplicationController"): (_PODS,),
    ("", "Pod"): (_PODS,),
    ("batch", "Job"): (_PODS,),
    ("batch", "CronJob"): (_JOBS, _PODS),
}


class Served(Protocol):
    """How a kind is served; an adapter's or the recorded one."""

    @property
    def plural(self) -> str: ...

    @property
    def namespaced(self) -> bool: ...


class Lookup(Protocol):
    def __call__(self, api_version: str, kind: str) -> Served | None:
        """None where nobody knows the kind."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """`namespace` is empty for the whole cluster, `name` for all objects. `why` is an object or a purpose."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""
    subresource: str = ""
    why: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    @property
    def object(self) -> str:
        qualified = f"{self.full_resource}.{self.group}" if self.group else self.full_resource
        named = f" {self.name}" if self.name else ""
        return f"{qualified}{named}" + (f" in {self.namespace}" if self.namespace else " in the cluster")

    def __str__(self) -> str:
        return f"{self.verb} {self.object}"


@dataclass(frozen=True, slots=True)
class Extent:
    """What of a deploy is asked for."""

    records: str  # namespace of records, inventories and Leases
    prune: bool = False
    create_namespace: str | None = None


def rights(
    documents: Iterable[Mapping[str, Any]], hooks: Iterable[Mapping[str, Any]], served: Lookup, extent: Extent
) -> tuple[Right, ...]:
    """All that a deploy of these objects takes, each right once. Objects name their namespaces."""
    declared, run = list(documents), list(hooks)
    found: dict[Right, None] = {}
    for document in declared:
        found.update(dict.fromkeys(_of_object(document, served, delete=extent.prune)))
    for document in run:
        found.update(dict.fromkeys(_of_object(document, served, delete=True)))
    for document in (*declared, *run):
        found.update(dict.fromkeys(_beside(document)))
        found.update(dict.fromkeys(_of_role(document)))
    secrets = any(Key.of(document).kind == "Secret" for document in (*declared, *run))
    found.update(dict.fromkeys(_bookkeeping(extent, secrets=secrets)))
    unique = {(right.namespace, right.group, right.full_resource, right.verb, right.name): right
              for right in reversed(found)}  # fmt: skip
    return tuple(sorted(unique.values()))


def written(key: Key, served: Served, verbs: Sequence[str]) -> Iterator[Right]:
    """These verbs on the kind of an object, where it lives."""
    where = key.namespace if served.namespaced else ""
    for verb in verbs:
        yield Right(where, key.group, served.plural, verb, why=str(key))


def _of_object(document: Mapping[str, Any], served: Lookup, *, delete: bool) -> Iterator[Right]:
    """Applying creates by a patch, which takes both; what is live is listed, and watched until it is healthy."""
    kind = served(str(document.get("apiVersion")), str(document.get("kind")))
    if kind is not None:
        verbs = ("get", "list", "watch", "create", "patch", *(("delete",) if delete else ()))
        yield from written(Key.of(document), kind, verbs)


def _beside(document: Mapping[str, Any]) -> Iterator[Right]:
    """What is read to see how the object does, and why."""
    key = Key.of(document)
    children = _CHILDREN.get((key.group, key.kind), ())
    for plural, group in children:
        yield Right(key.namespace, group, plural, "list", why=f"to explain {key}")
    if children:
        yield Right(key.namespace, "", "pods", "get", subresource="log", why=f"to explain {key}")
    if key.namespace:
        yield Right(key.namespace, "", "events", "list", why=f"to explain {key}")
    if may_be_scaled(document):
        group, _ = next(iter(AUTOSCALERS))
        yield Right(key.namespace, group, "horizontalpodautoscalers", "list", why=f"to see what scales {key}")


def _of_role(document: Mapping[str, Any]) -> Iterator[Right]:
    """Nobody may give away what they do not have: a role's rules, and roles that are bound and not declared here
    (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping).
    """
    key = Key.of(document)
    if key.group != _RBAC:
        return
    why = f"to grant what {key} grants"
    if key.kind in ("Role", "ClusterRole"):
        if document.get("aggregationRule"):
            yield Right("", _RBAC, "clusterroles", "escalate", key.name, why=why)
        for rule in document.get("rules") or ():
            yield from _granted(rule, key.namespace, why)
    elif key.kind in ("RoleBinding", "ClusterRoleBinding"):
        role = document.get("roleRef") or {}
        plural = "roles" if role.get("kind") == "Role" else "clusterroles"
        yield Right(key.namespace, _RBAC, plural, "bind", str(role.get("name")), why=f"for {key}")


def _granted(rule: Mapping[str, Any], namespace: str, why: str) -> Iterator[Right]:
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            plural, _, subresource = str(resource).partition("/")
            for verb in rule.get("verbs") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield Right(namespace, str(group), plural, str(verb), str(name), subresource, why)


def _bookkeeping(extent: Extent, *, secrets: bool) -> Iterator[Right]:
    where = extent.records
    for verb in ("get", "list", "create", "update", "delete"):
        yield Right(where, "", "configmaps", verb, why="for inventories and records")
    for verb in ("get", "create", "update", "delete"):
        yield Right(where, "coordination.k8s.io", "leases", verb, why="to be the only one who writes")
    if secrets:
        yield Right(where, "", "secrets", "get", PLAN_KEY, why="for the key of plans")
        yield Right(where, "", "secrets", "create", why="for the key of plans")
    if extent.create_namespace:
        yield Right("", "", "namespaces", "get", extent.create_namespace, why="createNamespace is set")
        yield Right("", "", "namespaces", "create", why="createNamespace is set")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who gets the rights. A ServiceAccount lives in a namespace."""

    kind: str  # ServiceAccount, User or Group
    name: str
    namespace: str = ""

    @property
    def document(self) -> dict[str, Any]:
        if self.kind == "ServiceAccount":
            return {"kind": self.kind, "name": self.name, "namespace": self.namespace}
        return {"apiGroup": _RBAC, "kind": self.kind, "name": self.name}


def in_words(needed: Iterable[Right]) -> str:
    """`create, patch deployments.apps in shop; get pods/log in shop`."""
    verbs: dict[str, list[str]] = {}
    for right in needed:
        verbs.setdefault(right.object, []).append(right.verb)
    return "; ".join(f"{', '.join(dict.fromkeys(each))} {what}" for what, each in verbs.items())


def roles(needed: Iterable[Right], name: str, subject: Subject) -> tuple[dict[str, Any], ...]:
    """The account and the smallest roles that hold these rights, each with its binding."""
    by_namespace: dict[str, list[Right]] = {}
    for right in needed:
        by_namespace.setdefault(right.namespace, []).append(right)
    made: list[dict[str, Any]] = []
    if subject.kind == "ServiceAccount":
        metadata = {"name": subject.name, "namespace": subject.namespace}
        made.append({"apiVersion": "v1", "kind": subject.kind, "metadata": metadata})
    for namespace, held in sorted(by_namespace.items()):
        kind = "Role" if namespace else "ClusterRole"
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        api = f"{_RBAC}/v1"
        made.append({"apiVersion": api, "kind": kind, "metadata": metadata, "rules": _rules(held)})
        made.append({
            "apiVersion": api, "kind": f"{kind}Binding", "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name}, "subjects": [subject.document],
        })  # fmt: skip
    return tuple(made)


def _rules(held: Iterable[Right]) -> list[dict[str, Any]]:
    """One rule for all resources of a group that take the same verbs."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for right in held:
        verbs.setdefault((right.group, right.full_resource, right.name), set()).add(right.verb)
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, resource, name), taken in sorted(verbs.items()):
        taken -= verbs.get((group, resource, ""), set()) if name else set()
        if taken:
            together.setdefault((group, name, tuple(sorted(taken))), []).append(resource)
    return [
        {"apiGroups": [group], "resources": resources, **({"resourceNames": [name]} if name else {}),
         "verbs": list(taken)}
        for (group, name, taken), resources in together.items()
    ]  # fmt: skip
