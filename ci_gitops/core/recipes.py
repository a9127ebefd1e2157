"""What a renderer must know of a target besides its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sandbox = Literal["best", "require", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """How a Helm chart is rendered; paths hold no `{environment}` any more."""

    chart: str | None = (
        None  # a folder of the repository, a name in `repository`, or oci://…; None: the target's folder
    )
    repository: str | None = None
    version: str | None = None
    values: tuple[str, ...] = ()  # relative to the target's folder
    sets: tuple[tuple[str, str], ...] = ()  # key -> value as JSON
    release: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of one target's rendering."""

    app: str = "app"
    renderer: str | None = None  # None: detected
    chart: Chart | None = None
    namespace: str | None = None
    kube_version: str | None = None
    api_versions: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()  # patterns of those that charts may come from; none: no chart is fetched
    sandbox: Sandbox = "best"
    keys: bool = True  # whether SOPS may be given the keys of this run
