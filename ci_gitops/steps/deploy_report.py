"""What a deployment did, as the document `DeployResult` and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.adapters.cluster.base import Applied
from ci_gitops.core.targets import Target
from ci_gitops.output import styled
from ci_gitops.results import Result

_MARKS = {"create": ("green", "+"), "update": ("yellow", "~")}
_DONE = {"create": "created", "update": "updated", "unchanged": "unchanged"}


@dataclass(frozen=True, slots=True)
class Deployed:
    """One target and what was applied of it before it was done or `failure` happened."""

    target: Target
    destination: str
    applied: tuple[Applied, ...]
    failure: str | None = None

    @property
    def changed(self) -> bool:
        return any(each.operation != "unchanged" for each in self.applied)

    def outcome(self, *, dry_run: bool) -> str:
        if self.failure:
            return "failed"
        if not self.changed:
            return "unchanged"
        return "planned" if dry_run else "applied"


def deploy_result(environment: str, revision: str, targets: Sequence[Deployed], *, dry_run: bool) -> Result:
    outcomes = [target.outcome(dry_run=dry_run) for target in targets]
    worst = next((one for one in ("failed", "applied", "planned") if one in outcomes), "unchanged")
    document = {
        "environment": environment,
        "revision": revision,
        "outcome": worst,
        "targets": [_target(target, dry_run=dry_run) for target in targets],
    }
    lines = [f"{styled('bold', environment)} at {revision[:12]}: {worst}"]
    for target in targets:
        lines += _lines(target)
    return Result("DeployResult", document, "\n".join(lines))


def _target(deployed: Deployed, *, dry_run: bool) -> dict[str, Any]:
    counts: Counter[str] = Counter(each.operation for each in deployed.applied)
    summary = {operation: counts[operation] for operation in ("create", "update", "unchanged")}
    changes = [
        {"object": each.manifest.identity, "operation": each.operation}
        for each in deployed.applied
        if each.operation != "unchanged"
    ]
    return {
        "target": {"app": deployed.target.app, "environment": deployed.target.environment},
        "destination": deployed.destination,
        "outcome": deployed.outcome(dry_run=dry_run),
        "plan": {"summary": {**summary, "delete": 0, "skipped": 0}, "changes": changes},
        "record": None,
        "health": None,
    }


def _lines(deployed: Deployed) -> list[str]:
    counts: Counter[str] = Counter(each.operation for each in deployed.applied)
    sums = ", ".join(f"{counts[operation]} {_DONE[operation]}" for operation in _DONE if counts[operation])
    lines = [f"  {deployed.target.app} -> {deployed.destination}: {sums or 'nothing applied'}"]
    for each in deployed.applied:
        if each.operation in _MARKS:
            colour, mark = _MARKS[each.operation]
            lines.append(styled(colour, f"    {mark} {each.manifest}"))
    return lines
