"""What one call of `update` was given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ci_gitops.steps.merging import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCall:
    """The options of one call, as the command line gives them."""

    images: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    results: tuple[Path, ...] = ()
    assignments: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()
    pin: bool = False
    check: bool = False
    force: bool = False
    dotenv: Path | None = None
    repo: str | None = None
    branch: str | None = None
    write: str | None = None
    merge: Rule | None = None
    wait: str = "none"
    timeout: float | None = None
    message: str | None = None
    sign: Literal["gpg", "ssh"] | None = None
    forge: str | None = None
    forge_url: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    dry_run: bool = False
    back_to: str | None = None  # of a rollback: the revision that it goes back to
