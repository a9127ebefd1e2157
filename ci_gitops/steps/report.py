"""What an update did, as the document `UpdateResult`, as text, and as variables for later jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ci_gitops.adapters import handover
from ci_gitops.core.messages import short_reference
from ci_gitops.core.text import counted
from ci_gitops.output import diff_text, styled
from ci_gitops.results import Result
from ci_gitops.steps.write import Written


def update_result(writes: Sequence[Written], *, dry_run: bool = False) -> Result:
    """The fields at the top are those of the first write."""
    documents = [_document(written) for written in writes]
    first: Mapping[str, Any] = documents[0] if documents else {}
    document = {**first, "writes": documents}
    return Result("UpdateResult", document, "\n".join(_text(written, dry_run=dry_run) for written in writes))


def _document(written: Written) -> dict[str, Any]:
    request = written.merge_request
    return {
        "outcome": written.outcome,
        "repository": written.url,
        "branch": written.branch,
        "environments": list(written.environments),
        "commit": written.commit,
        "revision": written.revision,
        "mergeRequest": None if request is None else {
            "iid": request.iid if request.iid > 0 else None, "url": request.url, "title": request.title,
            "state": request.state, "source": request.source, "target": request.target, "head": request.head_sha,
            "description": request.description,
        },
        "edits": [
            {
                "path": edit.path,
                "changes": [{"field": each.field, "old": each.old, "new": each.new} for each in edit.changes],
            }
            for edit in written.edits
        ],
        "images": [
            {"environment": move.environment, "app": move.app, "name": move.name, "old": move.old, "new": move.new}
            for move in written.plan.images
        ],
        "files": [
            {"environment": move.environment, "app": move.app, "revision": move.revision, "shared": list(move.shared)}
            for move in written.plan.files
        ],
        "held": [each.document for each in written.held],
        "attempts": written.attempts,
        "notes": [*written.plan.notes, *written.notes],
    }  # fmt: skip


def _text(written: Written, *, dry_run: bool) -> str:
    lines = [_headline(written)]
    lines += [
        f"  {move.target}: {move.name} {_short(move.old)} -> {short_reference(move.new)}"
        for move in written.plan.images
    ]
    lines += [
        f"  {move.environment}/{move.app}: {move.path} {move.field} {move.old} -> {move.new}"
        for move in written.plan.values
    ]
    lines += [
        f"  {move.target}: every file as at {move.new} ({counted(len(written.edits), 'file')})"
        for move in written.plan.files
    ]
    for each in written.held:
        lines.append(f"  {styled('yellow', 'held:')} {each}")
        lines.append(f"    lift it by: {each.hold.release(each.environment)}")
    lines += [styled("dim", f"  note: {note}") for note in (*written.plan.notes, *written.notes)]
    if dry_run:
        lines += [diff_text(edit.diff()) for edit in written.edits]
        lines += _planned(written)
    return "\n".join(lines)


def _planned(written: Written) -> list[str]:
    """The merge request as it would be."""
    request = written.merge_request
    if request is None or written.outcome != "planned":
        return []
    return [f"Merge request from {request.source}: {request.title}", "", request.description]


def _short(old: str | None) -> str:
    return short_reference(old) if old else "new"


def _headline(written: Written) -> str:
    where = f"{written.branch} of {written.url}"
    request = written.merge_request
    number = (f"!{request.iid} {request.title}" if request.iid > 0 else request.title) if request else ""
    tries = f" at attempt {written.attempts}" if written.attempts > 1 else ""
    short = (written.commit or written.revision)[:12]
    match written.outcome:
        case "pushed":
            return f"{styled('green', 'Pushed')} {short} to {where}{tries}"
        case "planned":
            return f"Would write {counted(len(written.edits), 'file')} to {where}; nothing was touched"
        case "unchanged":
            if written.held:
                return f"Nothing was written to {where}"
            if request and request.state == "open":
                return f"Nothing to do: {number} already says so ({where})"
            return f"Nothing to do: {where} already says so at {short}"
        case outcome:
            return f"{styled('green', outcome.capitalize())} {number} ({where}){tries}"


def leave_dotenv(path: Path, written: Written) -> None:
    """`CI_GITOPS_COMMIT` and `CI_GITOPS_MERGE_REQUEST` for later jobs, by GitLab's rules for such reports."""
    # An open merge request's commit is nobody's to deploy yet.
    landed = written.merge_request is None or written.outcome == "merged"
    variables = {"CI_GITOPS_COMMIT": written.revision} if landed else {}
    if written.merge_request is not None and written.merge_request.iid > 0:
        variables["CI_GITOPS_MERGE_REQUEST"] = str(written.merge_request.iid)
    handover.write_dotenv(path, variables)
