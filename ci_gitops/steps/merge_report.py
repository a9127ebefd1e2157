"""What `merge` did, as the document `MergeResult`, as text, and as the error where it must end as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ci_gitops.errors import RefusedError, TemporaryError
from ci_gitops.output import styled
from ci_gitops.results import Result
from ci_gitops.steps.merging import Verdict


def ended(verdicts: Sequence[Verdict], *, waited: bool, environments: Sequence[str] = ()) -> Result:
    """The result, or the error that carries it: refused (5), or still waiting although it was waited for (75)."""
    result = Result("MergeResult", _document(verdicts), _text(verdicts, environments))
    failed = [verdict for verdict in verdicts if verdict.error]
    refused = [verdict for verdict in verdicts if verdict.state == "refused"]
    held = [verdict for verdict in verdicts if verdict.waits]
    if failed:
        error = failed[0].error
        assert error
        error.result = result
        raise error
    if refused:
        raise RefusedError(
            "; ".join(f"!{one.request.iid} cannot be merged: {one.reason}" for one in refused) + ".",
            hint="Somebody must change it; then run the command again.",
            result=result,
        )
    if held and waited:
        raise TemporaryError(
            f"Still waiting at the deadline: {'; '.join(_waits(one) for one in held)}.",
            hint="Run the command again, or give it more time with --timeout.",
            result=result,
        )
    return result


def _waits(verdict: Verdict) -> str:
    return f"!{verdict.request.iid} for {', '.join(gate.gate for gate in verdict.unmet)}"


def _document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "merged": [_merged(one) for one in verdicts if one.state in ("merged", "already")],
        "waiting": [
            {"mr": one.request.iid, "gate": gate.gate, "reason": gate.reason}
            for one in verdicts
            if one.waits or one.state == "manual"
            for gate in one.unmet
        ],
        "refused": [
            {**_named(one), "reason": one.reason, "conflicts": list(one.conflicts)}
            for one in verdicts
            if one.state in ("refused", "failed")
        ],
    }
    notes = [note for one in verdicts for note in one.notes]
    document |= {"notes": notes} if notes else {}
    ready = [_named(one) for one in verdicts if one.state == "ready"]
    return {**document, "ready": ready} if ready else document


def _merged(verdict: Verdict) -> dict[str, Any]:
    return {
        **_named(verdict),
        "head": verdict.request.head_sha,
        "commit": verdict.request.merge_sha,
        "already": verdict.state == "already",
        "overridden": [gate.gate for gate in verdict.gates if gate.overridden],
    }


def _named(verdict: Verdict) -> dict[str, Any]:
    one = verdict.request
    return {"mr": one.iid, "url": one.url, "title": one.title, "environments": sorted(one.environments)}


def _text(verdicts: Sequence[Verdict], environments: Sequence[str]) -> str:
    if not verdicts:
        where = f" for {', '.join(environments)}" if environments else ""
        return f"Nothing to merge: no merge request of ours is open{where}."
    return "\n".join(
        line for verdict in verdicts for line in (*_lines(verdict), *(f"  {note}" for note in verdict.notes))
    )


def _lines(verdict: Verdict) -> list[str]:
    one = verdict.request
    name = f"!{one.iid} {one.title}"
    match verdict.state:
        case "merged":
            return [f"{styled('green', 'Merged')} {name} into {one.target} as {one.merge_sha[:12]}"]
        case "already":
            return [f"Nothing to do: {name} is merged already, as {one.merge_sha[:12]}"]
        case "ready":
            return [f"Would merge {name} into {one.target}; nothing was touched"]
        case "refused" | "failed":
            return [f"{styled('red', 'Refused')} {name}: {verdict.reason}"]
        case _:
            gates = [f"  {gate.gate}: {gate.reason}" for gate in verdict.unmet]
            return [f"{styled('yellow', 'Waiting')} {name}", *gates]
