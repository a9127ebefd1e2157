"""What `doctor` looks at: each module asks one outside thing whether it would do what the road needs of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ci_gitops.steps.checks import (
    clock,
    cluster,
    configuration,
    engines,
    git,
    project,
    registry,
    renderers,
    repositories,
    signatures,
    tokens,
)
from ci_gitops.steps.checks.base import Finding, Scene, State
from ci_gitops.steps.checks.side_by_side import examine

__all__ = ["CHECKS", "Finding", "Scene", "State", "examine"]

#: In the order in which they are shown.
CHECKS: Mapping[str, Callable[[Scene], Iterator[Finding]]] = {
    "configuration": configuration.check,
    "git": git.check,
    "certificates": git.check_certificates,
    "token": tokens.check,
    "repository": repositories.check,
    "settings": project.check,
    "registry": registry.check,
    "signatures": signatures.check,
    "engine": engines.check,
    "renderer": renderers.check,
    "cluster": cluster.check,
    "clock": clock.check,
}
