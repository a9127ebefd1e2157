"""May this revision be brought to this target now? Decided on records alone, with the words for who asked.

A pass asks once for each target after it has rendered, and again when it holds the right to write: another run may
have been there in the meantime.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ci_gitops.core.holds import Hold
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Record, last_success, newest_first
from ci_gitops.core.targets import Target

#: `report` looks and writes nothing; `held` and `refuse` touch nothing of the target.
Action = Literal["apply", "heal", "report", "held", "refuse"]
Drift = Literal["report", "heal"]
_RECOVERABLE = frozenset(("degraded", "check"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, and what to do about it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a pass knows of one target before it writes."""

    inventory: Inventory
    records: tuple[Record, ...]
    revision: str
    rendered: str
    behind: bool | None = False  # the revision is older than the inventory's; None: nobody can tell
    hold: Hold | None = None
    drift: Drift = "report"
    manual: bool = False  # `sync: manual`
    named: bool = False  # a person named --revision
    planned: bool = False  # ... or --plan
    force: bool = False
    retry: bool = False

    @property
    def target(self) -> Target:
        return self.inventory.target


@dataclass(frozen=True, slots=True)
class Decision:
    """What the pass does. `new`: the rendered set is another than that of the last success. A `refusal` is exit 5."""

    action: Action
    new: bool
    refusal: Refusal | None = None
    note: str | None = None


def decide(standing: Standing) -> Decision:
    """The order of revisions first, then holds, then the configuration, then what failed before."""
    new = is_new(standing.records, standing.rendered)
    if refusal := backwards(standing):
        return Decision("refuse", new, refusal)
    if standing.hold:
        return _held(standing.target, standing.hold, new)
    if standing.manual and not (standing.named or standing.planned):
        note = f"{standing.target}: sync is manual; deploy --revision COMMIT or --plan FILE applies it."
        return Decision("report", new, note=note)
    marked = mark(standing.records, standing.rendered)
    if marked and not standing.retry:
        return Decision("refuse", new, _marked(marked))
    if new:
        return Decision("apply", new)
    return Decision("heal" if standing.drift == "heal" else "report", new)


def is_new(records: Iterable[Record], rendered: str) -> bool:
    """Whether the target would become something else than what was last brought to its end there."""
    success = last_success(records)
    return success is None or success.rendered != rendered


def backwards(standing: Standing) -> Refusal | None:
    """A revision that is older than the last applied one, or may be."""
    applied, revision = standing.inventory.revision, standing.revision
    if standing.behind is False or standing.force or standing.named or applied in ("", revision):
        return None
    who = _applied_by(standing)
    if standing.behind:
        return Refusal(
            f"{standing.target}: {revision[:12]} is older than {applied[:12]}, which was applied last{who}.",
            "A retried job deploys what was current when it was made: run the newest one instead. To go back, revert "
            "in Git or name the commit with --revision; --force skips this check.",
        )
    return Refusal(
        f"{standing.target}: it cannot be told whether {revision[:12]} is older than {applied[:12]}, which was "
        f"applied last{who}: the history between them is not to be had.",
        "Was the branch rewritten, or is this another repository? Name the commit with --revision, or pass --force.",
    )


def _applied_by(standing: Standing) -> str:
    record = next((one for one in newest_first(standing.records) if one.revision == standing.inventory.revision), None)
    if record is None:
        return ""
    return f" by {record.origin.actor} at {record.started}" if record.origin.actor else f" at {record.started}"


def _held(target: Target, hold: Hold, new: bool) -> Decision:
    if not new:
        return Decision("held", new, note=f"{target} is {hold}. Nothing is healed.")
    return Decision(
        "held", new, Refusal(f"{target} is {hold}. Something new waits for it.", "`ci-gitops release` ends the hold.")
    )


def mark(records: Iterable[Record], rendered: str) -> Record | None:
    """The record that holds a failure against this rendered set.

    A rollback in between does not change what Git declares; another set that was deployed from Git does.
    """
    tried = (record for record in newest_first(records) if record.closed and record.cause != "rollback")
    newest = next(tried, None)
    return newest if newest and newest.marks and newest.rendered == rendered else None


def _marked(record: Record) -> Refusal:
    assert record.failure
    return Refusal(
        f"{record.target}: {record.revision[:12]} failed before, at {record.finished or record.started}: "
        f"{record.failure.message} It is not tried again by itself.",
        "Change what Git declares for it, or try the same again with --retry.",
    )


def may_recover(record: Record) -> bool:
    """Whether finding everything as declared, healthy and checked makes a success of a failed record after all."""
    return record.marks and record.failure is not None and record.failure.kind in _RECOVERABLE


def unwaited(records: Iterable[Record], rendered: str) -> Record | None:
    """The record of this rendered set where nobody waited for its health; finding that makes a success of it too."""
    newest = next((record for record in newest_first(records) if record.closed), None)
    return newest if newest and newest.outcome == "applied" and newest.rendered == rendered else None


def left_open(records: Iterable[Record]) -> tuple[Record, ...]:
    """Records of runs that ended without closing them. Only who holds the right to write may say so."""
    return tuple(record for record in records if not record.closed)
