"""Plans as people read them: what changes in each object, then a table, then the sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_gitops.core.contextual import Line, contextual, shown
from ci_gitops.core.differences import Compared
from ci_gitops.core.plan import Change, Plan, PlanList
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError
from ci_gitops.output import styled, table

_COLOURS = {"create": "green", "update": "yellow", "delete": "red", "unknown": "red", "skipped": "cyan"}
_LINES = {"+": "green", "-": "red", ".": "dim"}
_MOST = 120  # lines of one object; the JSON document has all
_LONG = 60  # characters of a reason in the table


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan, and what is behind each of its changes."""

    plan: Plan
    compared: tuple[Compared, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """All plans of a call, what is behind them, and what stands in their way."""

    plans: PlanList
    shown: tuple[Shown, ...]
    hidden: Placeholders
    troubles: tuple[CiGitopsError, ...] = ()
    where: str = ""


def diff_text(plans: PlanList, found: Sequence[Shown], hidden: Placeholders, *, where: str) -> str:
    """`where` says what is compared with what."""
    blocks = [block for each in found for block in diff_blocks(each, hidden)]
    notes = [f"Note: {plan.target}: {note}" for plan in plans.plans for note in plan.notes]
    rows = [_row(plan, change) for plan in plans.plans for change in plan.changes if change.operation != "unchanged"]
    rows += [_hook_row(plan, number) for plan in plans.plans for number in range(len(plan.hooks))]
    parts = [*blocks, *(["\n".join(notes)] if notes else [])]
    if rows:
        parts.append(table(("App", "Namespace", "Kind", "Name", "Op", "Why"), rows))
    return "\n\n".join([*parts, sums(plans, where)])


def diff_blocks(found: Shown, hidden: Placeholders) -> list[str]:
    """What changes in each object of a target."""
    return [
        "\n".join(_block(change, compared, hidden))
        for change, compared in zip(found.plan.changes, found.compared, strict=True)
        if change.operation != "unchanged"
    ]


def sums(plans: PlanList, where: str) -> str:
    """The last lines: how many of each operation, and what the plan goes by."""
    counts = ", ".join(f"{number} {name}" for name, number in plans.summary.items())
    hooks = sum(len(plan.hooks) for plan in plans.plans)
    more = f"; {counted(hooks, 'hook')}" if hooks else ""
    head = f"{styled('bold', plans.environment)} at {plans.revision[:12]} {where}"
    if plans.is_empty:
        return f"{head}: nothing to do.\nOp: {counts}"
    return f"{head}:\nOp: {counts}{more}\nPlan: {plans.hash}"


def _block(change: Change, compared: Compared, hidden: Placeholders) -> list[str]:
    """One object in kapp's shape."""
    lines = [styled(_COLOURS.get(change.operation, "bold"), _heading(change))]
    lines += [f"    ^ {line}" for line in (change.reason or "").splitlines()]
    for line in diff_lines(change, compared, hidden):
        style = _LINES.get(line.mark)
        lines.append(styled(style, line.text) if style else line.text)
    return lines


def _heading(change: Change) -> str:
    thing = change.object
    namespace = f" namespace: {thing.namespace}" if thing.namespace else ""
    drift = ", drifted" if change.drift else ""
    return f"@@ {change.operation} {thing.kind.lower()}/{thing.name} ({thing.api_version}){namespace}{drift} @@"


def diff_lines(change: Change, compared: Compared, hidden: Placeholders) -> list[Line]:
    """What changes in one object; nothing where only who owns it does."""
    if change.operation in ("delete", "skipped", "unchanged") or not compared.differences:
        return []
    old = hidden.masked(compared.live) if compared.live is not None else None
    return contextual(shown(old), shown(hidden.masked(compared.document)), _MOST)


def _row(plan: Plan, change: Change) -> Sequence[str]:
    thing = change.object
    reason = " ".join((change.reason or "").split())
    why = reason if len(reason) <= _LONG else f"{reason[: _LONG - 2]} …"
    operation = styled(_COLOURS.get(change.operation, "bold"), change.operation)
    return (plan.target.app, thing.namespace or "(cluster)", thing.kind, thing.name, operation, _why(change, why))


def _why(change: Change, reason: str) -> str:
    parts: Iterable[str] = ("drift" if change.drift else "", reason or _fields(change))
    return ": ".join(part for part in parts if part)


def _fields(change: Change) -> str:
    return counted(len(change.fields), "field") if change.operation == "update" else ""


def _hook_row(plan: Plan, number: int) -> Sequence[str]:
    hook = plan.hooks[number]
    thing = hook.object
    return (plan.target.app, thing.namespace or "(cluster)", thing.kind, thing.name, "hook", hook.phase)
