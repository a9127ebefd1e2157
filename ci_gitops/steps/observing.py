"""What is live of all that one pass looks at: one LIST for each used kind, side by side.

A kind that cannot be read is told with the server's words. Its objects are never taken for absent: nothing is created
over them, and nothing is pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Resource
from ci_gitops.core.autoscaling import AUTOSCALERS, may_be_scaled
from ci_gitops.core.forthcoming import Forthcoming
from ci_gitops.core.inventory import Inventory, Key
from ci_gitops.core.prepared import Prepared
from ci_gitops.errors import CiGitopsError, TemporaryError

_AT_ONCE = 8
_FEW = 3  # namespaces that are listed one by one; more are cheaper in one answer
_Kind = tuple[str, str]  # group and kind


@dataclass(frozen=True)
class Live:
    """The live objects of a pass. `namespaces` are those that were missing when an object was looked for there."""

    objects: Mapping[Key, Document] = field(repr=False)
    failures: Mapping[tuple[str, str, str | None], CiGitopsError] = field(
        default_factory=dict
    )  # group, kind, namespace
    autoscalers: tuple[Document, ...] = field(default=(), repr=False)
    missing_namespaces: frozenset[str] = frozenset()
    unserved: frozenset[_Kind] = frozenset()  # kinds that the server does not know
    warnings: tuple[str, ...] = ()

    def get(self, key: Key) -> Document | None:
        return self.objects.get(key)

    def failed(self, key: Key) -> str | None:
        """Why nobody knows whether the object is there; None where it is known."""
        error = self.trouble(key)
        return error.message if error else None

    def trouble(self, key: Key) -> CiGitopsError | None:
        """The same, as it was raised: trouble that passes is another thing than a right that is missing."""
        places = ((key.group, key.kind, namespace) for namespace in (key.namespace, None))
        return next((self.failures[place] for place in places if place in self.failures), None)


@dataclass
class _Wanted:
    """What is looked for of one kind. `everything`: all objects of these namespaces, not only the named ones."""

    versions: list[str] = field(default_factory=list)  # as they are declared, else as an inventory remembers them
    keys: set[Key] = field(default_factory=set)
    everywhere_in: set[str] = field(default_factory=set)

    @property
    def namespaces(self) -> set[str]:
        return {key.namespace for key in self.keys} | self.everywhere_in


def observe(cluster: Cluster, prepared: Sequence[Prepared], inventories: Iterable[Inventory] = ()) -> Live:
    """What lives of all that the targets declare and hold. TemporaryError where the server does not answer."""
    wanted = _wanted(prepared, inventories)
    failures: dict[tuple[str, str, str | None], CiGitopsError] = {}
    served: dict[_Kind, Resource] = {}
    for kind, each in wanted.items():
        try:
            if resource := _resource(cluster, kind, each.versions):
                served[kind] = resource
        except TemporaryError as error:  # the server of this one group is away
            failures[(*kind, None)] = error
    unserved = wanted.keys() - served.keys() - {(group, kind) for group, kind, _ in failures}
    found: dict[Key, Document] = {}
    autoscalers: list[Document] = []
    with ThreadPoolExecutor(_AT_ONCE, "observe") as pool:
        asked = [(kind, part) for kind, resource in served.items() for part in _parts(resource, wanted[kind])]
        answers = pool.map(lambda one: _listed(cluster, served[one[0]], one[1], wanted[one[0]]), asked)
        for (kind, _), answer in zip(asked, answers, strict=True):
            for document in answer.items:
                key = Key.of(document)
                if key in wanted[kind].keys:
                    found[key] = document
                if kind in AUTOSCALERS:
                    autoscalers.append(document)
            failures |= {(*kind, namespace): error for namespace, error in answer.failures.items()}
        _raise_where_nothing_answers(failures, found)
        missing = _missing(cluster, prepared, found, pool.map)
    return Live(
        found, failures, tuple(autoscalers), missing, frozenset(unserved), tuple(_warnings(failures)),
    )  # fmt: skip


def _raise_where_nothing_answers(failures: Mapping[Any, CiGitopsError], found: Mapping[Key, Document]) -> None:
    """One kind that cannot be read does not keep the others waiting; a server that is away is told once."""
    away = [error for error in failures.values() if isinstance(error, TemporaryError)]
    if away and not found and len(away) == len(failures):
        raise away[0]


def _wanted(prepared: Sequence[Prepared], inventories: Iterable[Inventory]) -> dict[_Kind, _Wanted]:
    found: dict[_Kind, _Wanted] = {}
    scaled: set[str] = set()
    for document in (document for each in prepared for document in (*each.documents, *each.skipped)):
        key = Key.of(document)
        one = found.setdefault((key.group, key.kind), _Wanted())
        one.keys.add(key)
        if document["apiVersion"] not in one.versions:
            one.versions.append(document["apiVersion"])
        if may_be_scaled(document):
            scaled.add(key.namespace)
    for inventory in inventories:
        for member in inventory.members:
            one = found.setdefault((member.key.group, member.key.kind), _Wanted())
            one.keys.add(member.key)
            if not one.versions:
                one.versions.append(member.api_version)
    if scaled:
        for kind in AUTOSCALERS:
            found.setdefault(kind, _Wanted()).everywhere_in |= scaled
    return found


def _resource(cluster: Cluster, kind: _Kind, versions: Sequence[str]) -> Resource | None:
    """The kind in the first version that is declared and served, else in the one that the server prefers."""
    known = (cluster.resource(version, kind[1]) for version in versions)
    return next((resource for resource in known if resource), None) or cluster.preferred(*kind)


def _parts(resource: Resource, wanted: _Wanted) -> list[str | None]:
    """The namespaces to list one by one; None is the whole cluster."""
    namespaces = wanted.namespaces
    if not resource.namespaced or len(namespaces) > _FEW:
        return [None]
    return [*sorted(namespaces)]


@dataclass(frozen=True)
class _Answer:
    items: tuple[Document, ...] = ()
    failures: Mapping[str | None, CiGitopsError] = field(default_factory=dict)  # by namespace


def _listed(cluster: Cluster, resource: Resource, namespace: str | None, wanted: _Wanted) -> _Answer:
    keys = [key for key in wanted.keys if namespace in (None, key.namespace)]
    try:
        if len(keys) == 1 and not wanted.everywhere_in:
            one = cluster.get(resource, keys[0].namespace, keys[0].name)
            return _Answer((one,) if one else ())
        return _Answer(cluster.list(resource, namespace).items)
    except ApiError as error:
        if error.status != 403 or namespace is not None or not resource.namespaced:
            return _Answer(failures={namespace: error})
    except TemporaryError as error:
        return _Answer(failures={namespace: error})
    # An account that may not read the whole cluster may read the namespaces that are its own.
    answers = [_listed(cluster, resource, each, wanted) for each in sorted(wanted.namespaces)]
    return _Answer(
        tuple(item for answer in answers for item in answer.items),
        {where: error for answer in answers for where, error in answer.failures.items()},
    )


def _missing(
    cluster: Cluster, prepared: Sequence[Prepared], found: Mapping[Key, Document], each: Callable[..., Iterable[Any]]
) -> frozenset[str]:
    """Namespaces that are not there, of those in which something is absent and nothing was seen."""
    if not cluster.alive:
        return frozenset()  # files need none
    seen = {key.namespace for key in found}
    used = {Key.of(document).namespace for one in prepared for document in one.documents}
    used |= {Key.of(hook.document).namespace for one in prepared for hook in one.hooks}
    asked = sorted(used - seen - {""})
    resource = cluster.resource("v1", "Namespace") if asked else None
    if resource is None:
        return frozenset()

    def is_there(name: str) -> bool:
        try:
            return cluster.get(resource, "", name) is not None
        except ApiError as error:
            if error.status == 403:  # an account of one namespace may not look at namespaces themselves
                return True
            raise

    return frozenset(name for name, there in zip(asked, each(is_there, asked), strict=True) if not there)


def _warnings(failures: Mapping[tuple[str, str, str | None], CiGitopsError]) -> Iterable[str]:
    for (group, kind, namespace), error in failures.items():
        where = f" in {namespace}" if namespace else ""
        if (group, kind) in AUTOSCALERS:
            yield f"{kind}s{where} cannot be read, so replicas are taken for Git's: {error.message}"
        else:
            yield f"{kind}s{where} cannot be read; nothing is done to them: {error.message}"


def scopes(cluster: Cluster, coming: Forthcoming | None = None) -> Callable[[str, str], bool | None]:
    """Whether a kind lives in namespaces, as the server says, or the pass itself where the server cannot know yet."""

    def namespaced(api_version: str, kind: str) -> bool | None:
        try:
            resource = cluster.resource(api_version, kind)
        except TemporaryError:  # its objects are told as not comparable
            resource = None
        if resource:
            return resource.namespaced
        return coming.namespaced(api_version, kind) if coming else None

    return namespaced
