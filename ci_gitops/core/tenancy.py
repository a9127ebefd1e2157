"""What an environment allows: kinds, namespaces and image repositories, checked on rendered objects.

A pattern allows, one that begins with `!` denies, and a denial wins; a list with denials alone allows the rest, an
empty one everything. What is checked is what would be applied, whatever tool made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ci_gitops.core.images import ImageRef
from ci_gitops.core.inventory import Key
from ci_gitops.core.object_images import named_images
from ci_gitops.core.targets import Target
from ci_gitops.core.text import plain
from ci_gitops.errors import RefusedError, UsageError

#: (apiVersion, kind) -> whether its objects live in namespaces; None: nobody knows the kind.
Scopes = Callable[[str, str], bool | None]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """The lists of one environment, and where they stand."""

    kinds: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    said_by: str = "allow"  # such as `.ci-gitops.yaml: environments.production.allow`

    @property
    def limit(self) -> bool:
        """Whether there is anything to check."""
        return bool(self.kinds or self.namespaces or self.repositories)


@dataclass(frozen=True, slots=True)
class Violation:
    """An object, what of it is not allowed, and by which rule."""

    object: str
    what: str
    rule: str

    def __str__(self) -> str:
        return f"{self.object}: {self.what} ({self.rule})"


def refuse_violations(target: Target, documents: Iterable[Mapping[str, Any]], bounds: Bounds, *,
                      namespace: str | None, scopes: Scopes) -> None:  # fmt: skip
    """RefusedError names each object of the target that is not allowed, and the rule."""
    if not bounds.limit:
        return
    found = list(violations(documents, bounds, namespace=namespace, scopes=scopes))
    if not found:
        return
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise RefusedError(
        f"{target} ({target.path}) holds what {bounds.said_by} does not allow: "
        f"{'; '.join(map(str, found[:_SHOWN]))}{more}.",
        hint="Take it out of the target, or have the list changed on the environment's branch.",
    )


def violations(
    documents: Iterable[Mapping[str, Any]], bounds: Bounds, *, namespace: str | None, scopes: Scopes
) -> Iterator[Violation]:
    """What `bounds` does not allow. `namespace` is where objects go that name none; None: not known yet."""
    for document in documents:
        key = Key.of(document)
        shown = plain(str(key))
        kinds = (key.kind, f"{key.kind}.{key.group}")
        rule = _against(bounds.kinds, kinds)
        if rule:
            yield Violation(shown, f"the kind {plain(key.kind)}", f"kinds: {rule}")
        yield from _place(document, key, shown, bounds, namespace, scopes)
        for image in named_images(document) if bounds.repositories else ():
            if rule := _against(bounds.repositories, _repositories(image)):
                yield Violation(shown, f"the image {plain(image)}", f"repositories: {rule}")


def _place(
    document: Mapping[str, Any], key: Key, shown: str, bounds: Bounds, namespace: str | None, scopes: Scopes
) -> Iterator[Violation]:
    if not bounds.namespaces:
        return
    namespaced = scopes(str(document.get("apiVersion")), key.kind)
    if namespaced is False:
        yield from _of_the_cluster(key, shown, bounds)
        return
    where = key.namespace or namespace
    if where is not None and (rule := _against(bounds.namespaces, (where,))):
        yield Violation(shown, f"the namespace {plain(where) or '(none)'}", f"namespaces: {rule}")


def _of_the_cluster(key: Key, shown: str, bounds: Bounds) -> Iterator[Violation]:
    """Who may deploy to some namespaces only may change the whole cluster only where that is said of the kind."""
    if (key.group, key.kind) == ("", "Namespace"):
        if rule := _against(bounds.namespaces, (key.name,)):
            yield Violation(shown, f"the namespace {plain(key.name)}", f"namespaces: {rule}")
    elif _first(_naming(bounds.kinds), (key.kind, f"{key.kind}.{key.group}")) is None:
        yield Violation(
            shown, "an object of the whole cluster", "namespaces is set: kinds must name such a kind to allow it"
        )


def _naming(patterns: Sequence[str]) -> list[str]:
    """`*` alone names nothing."""
    return [pattern for pattern in _positive(patterns) if pattern.strip("*")]


def _repositories(image: str) -> tuple[str, ...]:
    """The image's name as it is written and in full: `nginx`, `docker.io/library/nginx`."""
    try:
        found = ImageRef.parse(image)
    except UsageError:
        return (image,)
    return (found.name, f"{found.registry}/{found.repository}")


def _against(patterns: Sequence[str], names: Sequence[str]) -> str | None:
    """The rule that these names break; None where they are allowed."""
    denied = _first([pattern[1:] for pattern in patterns if pattern.startswith("!")], names)
    if denied is not None:
        return f"!{denied}"
    positive = _positive(patterns)
    return None if not positive or _first(positive, names) is not None else f"only {', '.join(positive)}"


def allows(patterns: Sequence[str], name: str) -> bool:
    """Whether a list that allows nothing by itself allows `name`."""
    return bool(_positive(patterns)) and _against(patterns, (name,)) is None


def _positive(patterns: Sequence[str]) -> list[str]:
    return [pattern for pattern in patterns if not pattern.startswith("!")]


def _first(patterns: Iterable[str], names: Sequence[str]) -> str | None:
    return next((pattern for pattern in patterns if any(fnmatchcase(name, pattern) for name in names)), None)
