"""The story of `history`: what was deployed to an environment, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target
from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import UsageError
from ci_gitops.output import styled, table
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.workplace import Workplaces

_STYLES = {"succeeded": "green", "applied": "green", "failed": "red", "running": "yellow", "superseded": "yellow"}
_SECONDS = 100.0


def history(run: Run, ask: Ask) -> Result:
    """The records of the environment; nothing is rendered or compared."""
    with Workplaces(run, ask.reach) as places:
        place, environment = declared_at(places, ask)
        declared = place.settings.targets([environment.name], paths=place.tree.files())
        anything = declared[0] if declared else Target("-", environment.name, ".")
        with Destinations(run, ask, place, environment) as destinations:
            ledger = destinations.ledger(destinations.of(anything), Deadline.after(_SECONDS))
            records = ledger.records()
    _check_names(ask.apps, [*(target.app for target in declared), *(record.target.app for record in records)])
    return history_result([record for record in records if not ask.apps or record.target.app in ask.apps])


def _check_names(asked: Sequence[str], known: Sequence[str]) -> None:
    """An app that left Git still has its history."""
    for name in asked:
        if name not in known:
            raise UsageError(f"There is no app {name!r}.", hint=did_you_mean(name, known, "Apps"))


def history_result(records: Sequence[Record]) -> Result:
    return Result("History", {"items": [record.document for record in records]}, "\n".join(_lines(records)))


def _lines(records: Sequence[Record]) -> Iterator[str]:
    if not records:
        yield "Nothing was deployed yet."
        return
    yield table(
        ("STARTED", "APP", "OUTCOME", "REVISION", "CAUSE", "BY", "CHANGE"), [_row(record) for record in records]
    )
    for record in records:
        if record.failure:
            yield f"  {record.target.app} at {_time(record.started)}: {record.failure.message}"


def _row(record: Record) -> tuple[str, ...]:
    style = _STYLES.get(record.outcome)
    outcome = styled(style, record.outcome) if style else record.outcome
    origin = record.origin
    return (
        _time(record.started), record.target.app, outcome, record.revision[:12], record.cause,
        origin.actor or origin.author or "-", origin.subject or ", ".join(record.images) or "-",
    )  # fmt: skip


def _time(text: str) -> str:
    return f"{text[:19]}Z"
