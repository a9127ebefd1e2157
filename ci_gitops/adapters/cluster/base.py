"""What every destination can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ci_gitops.errors import ClusterError

#: An object as JSON gives it.
Document = Mapping[str, Any]
FIELD_MANAGER = "ci-gitops"


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects as the server serves it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class ApiError(ClusterError):
    """The server's refusal: its status, its reason such as `Conflict` or `Invalid`, and the fields that it names.

    `causes` holds (field, message) as the server gives them; a conflict names the other managers there.
    """

    def __init__(
        self, message: str, *, status: int, reason: str = "", causes: Sequence[tuple[str, str]] = (),
        hint: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a watch tells: the object as it is now, or as it was when it went."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    document: Document


@dataclass(frozen=True, slots=True)
class Listed:
    """The objects of one kind, and the version from which a watch goes on."""

    items: tuple[Document, ...]
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """May we do this? `name` and `subresource` are empty for all of them."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Cluster(Protocol):
    """Where objects are kept: an API server, a simulated one, or a folder that behaves like one without controllers.

    Safe to use from several threads. Every call raises ApiError where the server refuses and TemporaryError where it
    does not answer or asks to come again, after the tries that patience allows.
    """

    namespace: str  # where objects go that name none
    alive: bool  # whether anything acts on the objects, so that health can be waited for
    pace: float  # how much faster than those of a real cluster its controllers are

    @property
    def version(self) -> str: ...

    @property
    def api_versions(self) -> tuple[str, ...]: ...

    @property
    def stale(self) -> tuple[str, ...]:
        """The group versions whose kinds the server cannot tell now; nothing of them counts as absent."""

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """How the kind is served; None where the server does not know it, TemporaryError where it cannot tell."""

    def preferred(self, group: str, kind: str) -> Resource | None:
        """The kind in the version that the server prefers."""

    def forget(self) -> None:
        """Ask again which kinds there are: a CustomResourceDefinition was applied."""

    def get(self, resource: Resource, namespace: str, name: str) -> Document | None: ...

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Listed:
        """All of a kind, or those of one namespace; every page of the answer."""

    def apply(
        self, document: Document, *, dry_run: bool = False, force: bool = False, manager: str = FIELD_MANAGER
    ) -> Document:
        """Server-side apply; the object as it is, or would be, then. A conflict is an ApiError with status 409."""

    def create(self, document: Document, *, dry_run: bool = False) -> Document:
        """A new object; ApiError with status 409 where there is one of that name."""

    def replace(self, document: Document) -> Document:
        """Write a whole object; ApiError with status 409 where its resourceVersion is no longer the newest."""

    def patch(self, resource: Resource, namespace: str, name: str, operations: Sequence[Document]) -> Document:
        """A JSON patch (RFC 6902)."""

    def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str = "", dry_run: bool = False,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Background",
    ) -> bool:  # fmt: skip
        """Delete; False where there is none, or one of another UID."""

    def watch(
        self, resource: Resource, namespace: str | None = None, *, since: str = "", name: str = "",
        seconds: float = 60.0,
    ) -> Iterator[Event]:  # fmt: skip
        """What happens from `since` on, for `seconds`; ends early where the server ends it (ask again).

        ApiError with status 410 where `since` is too old: list again.
        """

    def log(
        self, namespace: str, pod: str, container: str, *, lines: int = 20, previous: bool = False
    ) -> tuple[str, ...]:
        """The last lines that a container wrote."""

    def may(self, questions: Sequence[Question]) -> tuple[bool, ...]:
        """What our account may do, one answer for each question."""

    def publish(self, message: str) -> None:
        """Make what was written visible at once, where that takes a step of its own (a push); else nothing."""

    def close(self) -> None: ...

    def __str__(self) -> str:
        """How messages name it."""
