"""What every destination can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from ci_gitops.core.manifests import Manifest

Operation = Literal["create", "update", "unchanged"]


@dataclass(frozen=True, slots=True)
class Applied:
    """One object and what applying it did, or would do."""

    manifest: Manifest
    operation: Operation


class Destination(Protocol):
    """Where the manifests of one target are applied."""

    def apply(self, manifest: Manifest, *, dry_run: bool) -> Applied:
        """Bring one object to what `manifest` declares; with `dry_run` only say what that would do."""

    def __str__(self) -> str:
        """How messages name it."""
