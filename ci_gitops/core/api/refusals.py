"""The server's refusals, in its words: status, reason, and the fields that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ci_gitops.core.api.schemas import Kind


@dataclass(frozen=True, slots=True)
class Wrong:
    """One field that is not as it must be."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class RefusalError(Exception):
    def __init__(self, status: int, reason: str, message: str, causes: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = tuple(causes)


def not_found(resource: str, name: str) -> RefusalError:
    return RefusalError(404, "NotFound", f'{resource} "{name}" not found')


def already_exists(kind: Kind, name: str, *, going: bool) -> RefusalError:
    prefix = "object is being deleted: " if going else ""
    return RefusalError(409, "AlreadyExists", f'{prefix}{kind.qualified} "{name}" already exists')


def modified(kind: Kind, name: str) -> RefusalError:
    return RefusalError(
        409, "Conflict",
        f'Operation cannot be fulfilled on {kind.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
    )  # fmt: skip


def changed_identity(kind: Kind, name: str, wanted: str, found: str) -> RefusalError:
    return RefusalError(
        409, "Conflict",
        f'Operation cannot be fulfilled on {kind.qualified} "{name}": Precondition failed: '
        f"UID in precondition: {wanted}, UID in object meta: {found}",
    )  # fmt: skip


def without_object(kind: Kind, name: str, wanted: str) -> RefusalError:
    return RefusalError(
        409, "Conflict",
        f'Operation cannot be fulfilled on {kind.qualified} "{name}": uid mismatch: the provided object specified uid '
        f"{wanted}, and no existing object was found",
    )  # fmt: skip


def invalid(kind: Kind, name: str, wrong: Sequence[Wrong]) -> RefusalError:
    about = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    told = str(wrong[0]) if len(wrong) == 1 else f"[{', '.join(map(str, wrong))}]"
    causes = [(each.field, each.message) for each in wrong]
    return RefusalError(422, "Invalid", f'{about} "{name}" is invalid: {told}', causes)


def unversioned(kind: Kind, name: str) -> RefusalError:
    wrong = Wrong("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
    told = f'{kind.qualified} "{name}" is invalid: {wrong}'
    return RefusalError(422, "Invalid", told, [(wrong.field, wrong.message)])


def bad_request(message: str) -> RefusalError:
    return RefusalError(400, "BadRequest", message)


def forbidden(kind: Kind, name: str, why: str, causes: Sequence[tuple[str, str]] = ()) -> RefusalError:
    return RefusalError(403, "Forbidden", f'{kind.qualified} "{name}" is forbidden: {why}', causes)
