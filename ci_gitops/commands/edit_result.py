"""What the commands that edit files on this machine answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ci_gitops.core.edits.records import Edit
from ci_gitops.core.text import counted
from ci_gitops.output import diff_text
from ci_gitops.results import Result


def result_of(edits: Sequence[Edit], looked_at: int, dry_run: bool) -> Result:
    """What was edited, for people and as `EditResult`."""
    listed: list[dict[str, Any]] = []
    lines: list[str] = []
    for edit in edits:
        changes = [{"field": each.field, "old": each.old, "new": each.new} for each in edit.changes]
        item: dict[str, Any] = {"path": edit.path, "changes": changes, "notes": list(edit.notes)}
        if dry_run:
            item["diff"] = "\n".join(edit.diff())
            lines.append(diff_text(edit.diff()))
        else:
            lines += [edit.path, *(f"  {change}" for change in edit.changes)]
        listed.append(item)
    if not edits:
        lines.append(f"Nothing to do: {counted(looked_at, 'file')} {'says' if looked_at == 1 else 'say'} so already.")
    elif dry_run:
        lines.append(f"{counted(len(edits), 'file')} would change; nothing was written.")
    else:
        lines.append(f"{counted(len(edits), 'file')} changed.")
    return Result("EditResult", {"files": listed, "dryRun": dry_run}, "\n".join(lines))
