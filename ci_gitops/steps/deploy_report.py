"""What a pass did, as the document `DeployResult`, as text, and as the failure that decides the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ci_gitops.core.differences import Operation
from ci_gitops.core.health import Health
from ci_gitops.core.lazily import Lazily
from ci_gitops.core.plan import Change, Plan
from ci_gitops.core.records import Record
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError
from ci_gitops.output import styled
from ci_gitops.results import Result
from ci_gitops.steps.diff_report import Shown, diff_blocks
from ci_gitops.steps.planning import Planned

#: How a pass ended for one target. `drifted`, `manual` and `held` left it as it was; `blocked` waited for another app.
Outcome = Literal[
    "unchanged", "planned", "succeeded", "applied", "healed", "recovered", "drifted", "manual", "held", "superseded",
    "blocked", "unhealthy", "refused", "failed", "away",
]  # fmt: skip
_WORST: tuple[Outcome, ...] = (
    "failed", "unhealthy", "refused", "away", "blocked", "held", "manual", "drifted", "superseded", "planned",
    "healed", "recovered", "applied", "succeeded", "unchanged",
)  # fmt: skip
_STYLES = {
    "failed": "red", "unhealthy": "red", "refused": "red", "away": "red", "blocked": "yellow", "held": "yellow",
    "manual": "yellow", "drifted": "yellow", "superseded": "yellow", "succeeded": "green", "healed": "green",
    "recovered": "green", "applied": "green",
}  # fmt: skip
_MARKS = {
    "create": ("green", "+"), "update": ("yellow", "~"), "delete": ("red", "-"), "skipped": ("yellow", "!"),
    "unknown": ("red", "?"),
}  # fmt: skip
_DONE: dict[Operation, str] = {"create": "created", "update": "updated", "delete": "deleted", "unchanged": "unchanged",
         "skipped": "left alone", "unknown": "not comparable"}  # fmt: skip
_PLANNED: dict[Operation, str] = {**_DONE, "create": "to create", "update": "to update", "delete": "to delete"}
#: Of several failures the first of these codes counts.
_SHOWN = 20  # objects of one target


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One target after the pass. `message` says what a person should know; `details` are lines below it."""

    target: Target
    destination: str
    outcome: Outcome
    plan: Plan | None = None
    record: Record | None = None
    health: Health | None = None
    message: str | None = None
    details: tuple[str, ...] = ()
    explained: bool = False  # the details say all that the message does, and more
    error: CiGitopsError | None = None
    blocks: tuple[str, ...] = ()  # of a plan: what would change in each object, as text
    written: int | None = None  # how many objects were written before it broke off; None: it did not
    restored: bool = False  # it runs its last good revision again, whose health this is

    @property
    def is_well(self) -> bool:
        """Whether apps that come after it may go on."""
        return self.error is None and self.outcome not in ("blocked", "held", "superseded")


def deploy_result(environment: str, revision: str, targets: Sequence[Done]) -> Result:
    outcomes = [done.outcome for done in targets]
    overall: Outcome = next((one for one in _WORST if one in outcomes), "unchanged")
    document = {
        "environment": environment,
        "revision": revision,
        "outcome": overall,
        "targets": Lazily(lambda: [_target(done) for done in targets]),
    }
    lines = [f"{styled('bold', environment)} at {revision[:12]}: {_styled(overall)}"]
    for done in targets:
        lines += _lines(done)
    return Result("DeployResult", document, "\n".join(lines))


def _target(done: Done) -> dict[str, Any]:
    return {
        "target": {"app": done.target.app, "environment": done.target.environment},
        "destination": done.destination,
        "outcome": done.outcome,
        "plan": done.plan.document if done.plan else None,
        "record": done.record.document if done.record else None,
        "health": {"status": done.health.status, "message": done.health.message} if done.health else None,
        "message": done.message,
        "details": list(done.details),
    }


def _lines(done: Done) -> list[str]:
    sums = _sums(done) if done.written is None else _partly(done)
    again = "rolled back, " if done.restored else ""
    health = f"; {again}{done.health.status}" if done.health else ""
    lines = [
        f"  {done.target.app} -> {done.destination}: {_styled(done.outcome)}{f' ({sums}{health})' if sums else ''}"
    ]
    for change in done.plan.changes if done.plan else ():
        if change.operation in _MARKS:
            lines += _change(change)
    lines += [line for block in done.blocks for line in ("", block)]
    if done.explained:
        return lines + [f"    {line}" for line in done.details]
    if done.message:
        lines.append(f"    {done.message}")
    return lines + [f"      {line}" for line in done.details]


def _partly(done: Done) -> str:
    """Of a deployment that broke off: how far it came."""
    summary = done.plan.summary if done.plan else {}
    planned = sum(summary.get(operation, 0) for operation in ("create", "update", "delete"))
    return f"{done.written} of {counted(planned, 'change')} made"


def _sums(done: Done) -> str:
    if done.plan is None:
        return ""
    words = (
        _PLANNED
        if done.outcome in ("planned", "failed", "away", "drifted", "manual", "held", "refused", "blocked")
        else _DONE
    )
    summary = done.plan.summary
    return ", ".join(f"{summary[operation]} {words[operation]}" for operation in words if summary[operation])


def _change(change: Change) -> list[str]:
    colour, mark = _MARKS[change.operation]
    reason = f": {change.reason}" if change.reason else ""
    return [styled(colour, f"    {mark} {change.object}") + reason]


def _styled(outcome: Outcome) -> str:
    style = _STYLES.get(outcome)
    return styled(style, outcome) if style else outcome


def before_writing(planned: Planned, hidden: Placeholders) -> str:
    """What is about to change in objects that are there; those that come or go are named with the result."""
    pairs = zip(planned.plan.changes, planned.compared, strict=True)
    changes, compared = [], []
    for change, found in pairs:
        if change.operation == "update":
            changes.append(change)
            compared.append(found)
    shown = Shown(replace(planned.plan, changes=tuple(changes[:_SHOWN])), tuple(compared[:_SHOWN]))
    blocks = diff_blocks(shown, hidden)
    if len(changes) > _SHOWN:
        blocks.append(f"… and {counted(len(changes) - _SHOWN, 'more object')}; `ci-gitops diff` shows all of them.")
    return "\n".join(blocks)
