"""Asking the cluster why objects are not well: their children, warning events, and what failing containers wrote last.

What cannot be read is left out: an explanation must not fail where the deployment already has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from ci_gitops.adapters.cluster.base import Cluster, Document
from ci_gitops.core.explaining import (
    LOG_LINES,
    Container,
    Log,
    Saying,
    Trouble,
    containers,
    culprits,
    log_lines,
    sayings,
    secret_names,
    secret_values,
    trouble,
)
from ci_gitops.core.family import Node
from ci_gitops.core.health import HealthRule
from ci_gitops.core.inventory import Key
from ci_gitops.errors import ClusterError, TemporaryError
from ci_gitops.steps.families import Families, Place, child_kinds, typed

_MOST_LOGS = 6
_MOST_SECRETS = 20
_EVENT, _SECRET = ("v1", "Event"), ("v1", "Secret")
_WORKLOADS: tuple[Place, ...] = (
    ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"), ("v1", "Pod"), ("v1", "PersistentVolumeClaim"),
)  # fmt: skip
_MOST_KINDS = 20
Answer = TypeVar("Answer")


def explain(
    cluster: Cluster, documents: Iterable[Document], *, rules: Sequence[HealthRule] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Trouble, ...]:  # fmt: skip
    """What is known about objects that are not well, as they are now."""
    roots = tree(cluster, _fresh(cluster, documents), rules=rules, now=now)
    if not roots:
        return ()
    events = _events(cluster, roots)
    logs = _logs(cluster, roots)
    served = frozenset(_asked(lambda: cluster.api_versions) or ())
    return tuple(trouble(root, events, logs, served) for root in roots)


def tree(
    cluster: Cluster, documents: Iterable[Document], *, rules: Sequence[HealthRule] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Node, ...]:  # fmt: skip
    """Objects and what came from them, those of custom resources too."""
    families = Families(cluster, rules=rules, now=now, kinds=_Kinds(cluster).of)
    wanted = tuple(documents)
    return _asked(lambda: families.of(wanted)) or ()


def _fresh(cluster: Cluster, documents: Iterable[Document]) -> list[Document]:
    """The objects read again: what a write answered knows nothing of what came of it."""
    found = []
    for document in documents:
        key = Key.of(document)
        resource = _asked(partial(cluster.resource, str(document.get("apiVersion")), key.kind))
        read = _asked(partial(cluster.get, resource, key.namespace, key.name)) if resource else None
        found.append(typed(read, resource) if read and resource else document)
    return found


class _Kinds:
    """Which kinds may come from an object: for a custom resource those of its own group, and workloads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._served: tuple[str, ...] | None = None

    def of(self, root: Document) -> tuple[Place, ...]:
        known = child_kinds(root)
        group = str(root.get("apiVersion") or "").rpartition("/")[0]
        if known or "." not in group or group.endswith(".k8s.io"):
            return known
        if self._served is None:
            self._served = _asked(lambda: self._cluster.api_versions) or ()
        own = [each.rpartition("/") for each in self._served if each.startswith(f"{group}/") and each.count("/") == 2]
        return (*_WORKLOADS, *((version, kind) for version, _, kind in own[:_MOST_KINDS]))


def _events(cluster: Cluster, roots: Sequence[Node]) -> tuple[Saying, ...]:
    about: dict[str, Key] = {}
    for root in roots:
        about |= {
            node.uid: node.key for node in (root, *(each for trail in culprits(root) for each in trail)) if node.uid
        }
    resource = _asked(lambda: cluster.resource(*_EVENT))
    if resource is None:
        return ()
    found: list[Document] = []
    for namespace in {key.namespace or "default" for key in about.values()}:
        listed = _asked(partial(cluster.list, resource, namespace))
        found += listed.items if listed else ()
    return sayings(found, about)


def _logs(cluster: Cluster, roots: Sequence[Node]) -> tuple[Log, ...]:
    wanted: dict[Container, None] = {}
    for root in roots:
        wanted.update(dict.fromkeys(containers([*culprits(root), (root,)])))
    pods = {node.key: node.document for root in roots for node in root.every() if node.key.kind == "Pod"}
    found = [_log(cluster, each, pods[each.pod]) for each in list(wanted)[:_MOST_LOGS]]
    return tuple(each for each in found if each is not None)


def _log(cluster: Cluster, container: Container, document: Document) -> Log | None:
    """The log of the run that ended, where the container is between two; else of the one that runs."""
    pod, name = container.pod, container.name
    for previous in dict.fromkeys((container.previous, False)):
        try:
            lines = cluster.log(pod.namespace, pod.name, name, lines=LOG_LINES, previous=previous)
        except (ClusterError, TemporaryError):
            continue
        secrets = _secrets(cluster, document) if lines else ()
        return Log(pod, name, log_lines(lines, secrets), previous)
    return None


def _secrets(cluster: Cluster, pod: Document) -> tuple[str, ...]:
    """The secrets that the pod was given, so that none of them is shown with its log."""
    resource = _asked(partial(cluster.resource, *_SECRET))
    namespace = str((pod.get("metadata") or {}).get("namespace") or "")
    if resource is None:
        return ()
    found = (_asked(partial(cluster.get, resource, namespace, name)) for name in secret_names(pod)[:_MOST_SECRETS])
    return tuple(value for secret in found if secret for value in secret_values(secret))


def _asked(ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except (ClusterError, TemporaryError):
        return None
