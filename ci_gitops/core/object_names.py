"""An object as a person names it: `web`, `deployment/web`, `deploy/web`, `pod/shop/web-6f-x`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ci_gitops.core.inventory import Key
from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import UsageError

# As kubectl has them (`kubectl api-resources`).
_SHORT = {
    "cm": "configmap", "cj": "cronjob", "crd": "customresourcedefinition", "deploy": "deployment", "ds": "daemonset",
    "hpa": "horizontalpodautoscaler", "ing": "ingress", "netpol": "networkpolicy", "ns": "namespace",
    "pdb": "poddisruptionbudget", "po": "pod", "pv": "persistentvolume", "pvc": "persistentvolumeclaim",
    "rc": "replicationcontroller", "rs": "replicaset", "sa": "serviceaccount", "sc": "storageclass",
    "sts": "statefulset", "svc": "service",
}  # fmt: skip


def named(written: str, keys: Iterable[Key]) -> Key:
    """The one object that is meant; UsageError with near matches, or with all that could be meant."""
    known = sorted(set(keys), key=lambda key: (key.kind, key.namespace, key.name))
    parts = written.strip().split("/")
    found = [key for key in known if _fits(parts, key)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{written!r} may be {' or '.join(map(str, found[:5]))}.", hint=_how(found))
    names = [name for key in known for name in (key.name, spelt(key))]
    raise UsageError(f"There is no object {written!r} here.", hint=did_you_mean(written.lower(), names, "Objects"))


def spelt(key: Key) -> str:
    """`deployment/web`."""
    return f"{key.kind.lower()}/{key.name}"


def _how(found: Sequence[Key]) -> str:
    """The shortest way to name one of several."""
    ways = [spelt(key) for key in found]
    if len(set(ways)) < len(found):
        ways = [f"{key.kind.lower()}/{key.namespace}/{key.name}" for key in found]
    return f"Write {' or '.join(ways[:5])}."


def _fits(parts: Sequence[str], key: Key) -> bool:
    match parts:
        case [name]:
            return name == key.name
        case [kind, name]:
            return name == key.name and _is_kind(kind, key)
        case [kind, namespace, name]:
            return name == key.name and namespace == key.namespace and _is_kind(kind, key)
    return False


def _is_kind(written: str, key: Key) -> bool:
    """Singular, plural and short names; with the group behind a dot where two have the same kind."""
    word, _, group = written.lower().partition(".")
    if group and group != key.group:
        return False
    kind = key.kind.lower()
    plurals = {f"{kind}s", f"{kind}es", f"{kind.removesuffix('y')}ies"}
    return _SHORT.get(word, word) in {kind, *plurals}
