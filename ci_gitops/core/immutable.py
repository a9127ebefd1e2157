"""Fields that cannot be changed in place, and which kinds may be deleted and created again for it."""

from __future__ import annotations

import re
from collections.abc import Collection

#: What API servers say of them (https://github.com/fluxcd/pkg/blob/main/ssa/errors.go, and the built-in kinds).
_WORDS = re.compile(
    r"(?i)immutable|updates to \S+ spec for fields other than|may not change fields other than|"
    r"may not change once set|cannot change roleRef|may not be changed"
)
_STATUSES = (400, 403, 409, 422)
#: What is lost with them does not come back: they want their own name.
_PRECIOUS = {"PersistentVolumeClaim", "StatefulSet", "CustomResourceDefinition", "Namespace"}
ANY = "any"


def is_immutable(status: int, message: str) -> bool:
    return status in _STATUSES and _WORDS.search(message) is not None


def may_recreate(kind: str, asked: Collection[str]) -> bool:
    """`asked` is what the call names; `any` leaves out the kinds that hold data or other objects."""
    names = {name.lower() for name in asked}
    return kind.lower() in names or (ANY in names and kind not in _PRECIOUS)
