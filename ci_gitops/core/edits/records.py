"""What an edit is: old text, new text, and the changes between them, from which every message is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an edit changes: `images[0].newTag`, old -> new; None is a value that is not there."""

    field: str
    old: str | None
    new: str | None
    line: int  # where it stands, counted from 1, in the text that was edited

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.field}: {self.new} (added)"
        return (
            f"{self.field}: {self.old} -> {self.new}" if self.new is not None else f"{self.field}: {self.old} (removed)"
        )


@dataclass(frozen=True, slots=True)
class Edit:
    """The old text of one file, its new text, and what differs. `notes` are what a person should know of it."""

    path: str
    old: str
    new: str
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return self.old != self.new

    def diff(self, context: int = 3) -> list[str]:
        """The lines of a unified diff, without line ends; none where nothing changed."""
        from ci_gitops.core.edits.diff import unified_diff  # here, since few calls show one

        return unified_diff(self.old, self.new, self.path, context)


@dataclass(frozen=True, slots=True)
class ImageUse:
    """One place of a file that declares an image: a kustomization's entry, a container, a map of Helm values."""

    name: str
    tag: str | None
    digest: str | None
    field: str  # `images[0]`, `spec.template.spec.containers[0].image`, `web.image`
    line: int
    kind: Literal["kustomization", "values", "manifest"]
    new_name: str | None = None  # what a kustomization makes of the name

    @property
    def effective(self) -> str:
        """The name that is pulled, as far as this place says."""
        return self.new_name or self.name
