"""The file of holds, changed: one more entry at its end, or some entries less. What stands there keeps its text."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ci_gitops.core.edits.records import Change, Edit
from ci_gitops.core.holds import Hold, parse_holds
from ci_gitops.core.yamlscalar import write_string
from ci_gitops.core.yamltext import Sequence, parse
from ci_gitops.errors import EditError


def with_hold(text: str, hold: Hold, path: str) -> Edit:
    """`text` with `hold` at its end; unchanged where the same is held already."""
    holds = parse_holds(text, path)
    if any((each.app, each.image) == (hold.app, hold.image) for each in holds):
        return Edit(path, text, text, ())
    start = "" if not holds and text.strip() in ("", "[]") else text
    if start and not start.endswith("\n"):
        start += "\n"
    return _checked(Edit(path, text, start + _entry(hold), (Change("", None, str(hold), start.count("\n") + 1),)),
                    len(holds) + 1)  # fmt: skip


def with_holds(text: str, holds: Iterable[Hold], path: str) -> Edit:
    """`text` with each of `holds` that it has not yet."""
    edits, new = [], text
    for hold in holds:
        edits.append(with_hold(new, hold, path))
        new = edits[-1].new
    return Edit(path, text, new, tuple(change for edit in edits for change in edit.changes))


def without_holds(text: str, gone: Collection[Hold], path: str) -> Edit:
    """`text` without the entries of `gone`."""
    holds = parse_holds(text, path)
    if not any(each in gone for each in holds):
        return Edit(path, text, text, ())
    root = parse(text, path).documents[0]
    if not isinstance(root, Sequence) or root.flow:
        raise EditError(f"{path} is one line; write each hold as an entry of its own.", hint="Or change it by hand.")
    lines = text.splitlines(keepends=True)
    begins = [item.line - 1 for item in root.items] + [len(lines)]
    kept = lines[: begins[0]]
    changes = []
    for number, hold in enumerate(holds):
        if hold in gone:
            changes.append(Change(f"[{number}]", str(hold), None, begins[number] + 1))
        else:
            kept += lines[begins[number] : begins[number + 1]]
    new = "".join(kept)
    left = len(holds) - len(changes)
    return _checked(Edit(path, text, new if left else "[]\n", tuple(changes)), left)


def _entry(hold: Hold) -> str:
    fields = (
        ("app", hold.app), ("image", str(hold.image) if hold.image else None), ("reason", hold.reason),
        ("by", hold.by), ("at", hold.at),
    )  # fmt: skip
    lines = [f"{name}: {write_string(value)[0]}" for name, value in fields if value]
    return "".join(f"{'- ' if number == 0 else '  '}{line}\n" for number, line in enumerate(lines))


def _checked(edit: Edit, count: int) -> Edit:
    if len(parse_holds(edit.new, edit.path)) != count:
        raise EditError(f"{edit.path} cannot be changed without touching other entries.", hint="Change it by hand.")
    return edit
