"""The health of several objects as one: an app's, by Argo CD's rules for what counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ci_gitops.core.health.assess import is_ignored
from ci_gitops.core.health.records import Health, sentence, worst
from ci_gitops.core.hooks import wishes

_NAMED = 3


def counts(document: Mapping[str, Any]) -> bool:
    """Whether the object counts for its app: hooks, skipped objects and those that ask not to do not."""
    asked = wishes(document)
    return not (asked.is_hook or asked.skipped or is_ignored(document))


def overall(healths: Iterable[tuple[str, Health]]) -> Health:
    """The worst of named objects that count, with up to three of those that are to blame.

    What is missing does not worsen an app, until nothing of it is there.
    """
    every = list(healths)
    present = [(name, health) for name, health in every if health.status != "missing"]
    judged = present or every
    verdict = worst(health for _, health in judged)
    if verdict.status == "healthy":
        return verdict if not judged else Health("healthy", sentence(f"All is well ({len(judged)} looked at)"))
    blamed = [f"{name}: {health.message}" for name, health in judged if health.status == verdict.status]
    more = f" And {len(blamed) - _NAMED} more." if len(blamed) > _NAMED else ""
    return Health(verdict.status, " ".join(blamed[:_NAMED]) + more)
