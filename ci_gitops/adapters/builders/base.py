"""What every engine that builds images must do, and the records that go in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ci_gitops.errors import UsageError


@dataclass(frozen=True, slots=True)
class BuildSecret:
    """A secret that steps of the Dockerfile may mount: from a file or from a variable."""

    id: str
    file: Path | None = None
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One image to build. Paths are absolute."""

    image: str  # without tag
    tags: tuple[str, ...]
    context: Path
    dockerfile: Path
    target: str | None = None
    build_args: tuple[tuple[str, str | None], ...] = ()  # None: the value of the variable of that name
    secrets: tuple[BuildSecret, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    no_cache: bool = False
    network: str | None = None
    timestamp: int | None = None  # seconds since 1970 that the image and its files get
    push: bool = True
    timeout: float = 3600.0  # seconds for the build, and for each push

    @property
    def references(self) -> tuple[str, ...]:
        return tuple(f"{self.image}:{tag}" for tag in self.tags)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A flag that an engine cannot honour, why, and which engines can."""

    flag: str
    why: str
    instead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """What an engine knows of the image it has built."""

    summary: str  # one line for a person: id, size, platform


class Engine(Protocol):
    """Builds an image and pushes it. Made by a `find` function that answers why where the engine cannot work here."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """Name and version, for people."""

    def refusals(self, request: BuildRequest) -> Sequence[Refusal]:
        """Every flag of the request that this engine cannot honour. It never ignores one."""

    def build(self, request: BuildRequest) -> Built:
        """Build. A failing step is a BuildError with its last lines and its line of the Dockerfile."""

    def push(self, request: BuildRequest) -> None:
        """Push every reference of the request, each once."""


def refused(engine: Engine, refusals: Sequence[Refusal]) -> UsageError:
    """The error for flags that the engine cannot honour."""
    first = refusals[0]
    others = [f"--engine {name}" for name in first.instead]
    flags = ", ".join(dict.fromkeys(refusal.flag for refusal in refusals))
    return UsageError(
        f"{engine.title} cannot honour {flags}: {first.why}.",
        hint=f"{' or '.join(others)} can." if others else None,
    )
