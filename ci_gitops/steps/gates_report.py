"""What `gates` found, as the document `GateReport` and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.gates import GateState, waiting
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.source_gates import stamped
from ci_gitops.output import styled, table
from ci_gitops.results import Result
from ci_gitops.steps.merging import Rule


@dataclass(frozen=True, slots=True)
class Judgement:
    """One merge request before its gates. `rule` is the environment's `merge`."""

    forge: Forge
    request: MergeRequest
    rule: Rule | None = None  # unknown where nobody knows what it changes
    states: tuple[GateState, ...] = ()
    notes: tuple[str, ...] = ()


def report(
    environments: Sequence[str], judged: Sequence[Judgement], general: Mapping[str, tuple[GateState, ...]]
) -> Result:
    """`general` are the gates of each environment that need no merge request, where none is open."""
    document: dict[str, Any] = {
        "environments": list(environments),
        "items": [_item(one) for one in judged],
        "gates": [
            {"environment": name, **_gate(state)} for name, states in general.items() for state in states
        ],
    }  # fmt: skip
    lines = [line for one in judged for line in _lines(one)]
    if not judged:
        lines += _without(environments, general)
    return Result("GateReport", document, "\n".join(lines))


def _item(judged: Judgement) -> dict[str, Any]:
    request = judged.request
    return {
        "mr": request.iid,
        "url": request.url,
        "title": request.title,
        "head": request.head_sha,
        "environments": sorted(request.environments),
        "state": request.state,
        "merge": judged.rule,
        "ready": request.state == "open" and not waiting(judged.states),
        "gates": [_gate(state) for state in judged.states],
        "notes": list(judged.notes),
    }


def _gate(state: GateState) -> dict[str, Any]:
    return {
        "gate": state.gate,
        "state": "passed" if state.ok else "waiting",
        "reason": state.reason,
        "until": stamped(state.until) if state.until else None,
    }


def _lines(judged: Judgement) -> Iterator[str]:
    request, unmet = judged.request, waiting(judged.states)
    if request.state != "open":
        yield f"Nothing to judge: !{request.iid} {request.title} is {request.state}"
        return
    if unmet:
        ends = f"waits for {', '.join(state.gate for state in unmet)}"
        verdict = styled("yellow", "Waiting")
    else:
        verdict = styled("green", "Ready")
        ends = f"`ci-gitops merge --mr {request.iid}` merges it"
    yield f"{verdict} !{request.iid} {request.title}: {ends}"
    yield from _table(judged.states)
    yield from (f"  {note}" for note in judged.notes)


def _without(environments: Sequence[str], general: Mapping[str, tuple[GateState, ...]]) -> Iterator[str]:
    names = " and ".join(environments)
    shown = {name: states for name, states in general.items() if states}
    more = "; the next promotion would face:" if shown else ", and it has no gates that could be told without one."
    yield f"No merge request of ours is open for {names}{more}"
    for name, states in shown.items():
        if len(general) > 1:
            yield name
        yield from _table(states)


def _table(states: Sequence[GateState]) -> Iterator[str]:
    rows = [(state.gate, styled("green", "passed") if state.ok else styled("yellow", "waiting"), state.reason)
            for state in states]  # fmt: skip
    yield from (f"  {line}" for line in table(("GATE", "STATE", "WHY"), rows).splitlines())
