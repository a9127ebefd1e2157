"""Fields that another manager holds and that we want: which are taken, and which are a conflict.

What our last record applied is ours and is taken back unasked. An object that nobody owned is adopted with the fields
that kubectl's managers hold. Anything else that somebody took, and that we never applied, is taken only where the
call says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.differences import Difference
from ci_gitops.core.fieldsets import MISSING, Path, text, value_at
from ci_gitops.core.text import counted

#: What our last record applied to the object; None: it applied no such object, or nobody knows any more.
Before = Callable[[], Mapping[str, Any] | None]
_FEW = 3  # fields that a sentence names


@dataclass(frozen=True, slots=True)
class Claims:
    """What becomes of the fields that others hold: sentences for the plan, and whether something stays in conflict."""

    taken: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    force: bool = False


def is_kubectl(manager: str) -> bool:
    """The managers of people with kubectl, and of objects that are older than field management."""
    return manager == "before-first-apply" or manager == "kubectl" or manager.startswith("kubectl-")


def claim(
    differences: Iterable[Difference], *, settled_before: bool, before: Before, adopted: bool, take_over: bool
) -> Claims:
    """`settled_before`: the last record applied all that is declared now. `adopted`: nobody owned the object."""
    wanted = [each for each in differences if each.manager and each.new is not MISSING]
    taken: dict[tuple[str, str], list[Path]] = {}
    conflicts: dict[str, list[Path]] = {}
    for each in wanted:
        assert each.manager
        if settled_before or _applied(before, each.path):
            taken.setdefault(("takes back", each.manager), []).append(each.path)
        elif adopted and is_kubectl(each.manager):
            taken.setdefault(("adopts", each.manager), []).append(each.path)
        elif take_over:
            taken.setdefault(("takes over", each.manager), []).append(each.path)
        else:
            conflicts.setdefault(each.manager, []).append(each.path)
    return Claims(
        tuple(f"{verb} {_fields(paths)} from {manager}" for (verb, manager), paths in taken.items()),
        tuple(f"{manager} holds {_fields(paths)}" for manager, paths in conflicts.items()),
        bool(taken),
    )


def _applied(before: Before, path: Path) -> bool:
    document = before()
    return document is not None and value_at(document, path) is not MISSING


def _fields(paths: list[Path]) -> str:
    shown = ", ".join(text(path) for path in paths[:_FEW])
    return f"{shown} and {counted(len(paths) - _FEW, 'more field')}" if len(paths) > _FEW else shown
