"""What every merge request of ours tells besides its table: the rules that it is merged by, and the way back.

Nothing has to be asked for it. What a promotion tells besides is in `core/promotion_text`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ci_gitops.core.markdown import code, fenced, link, words
from ci_gitops.core.mergerequest_text import Block, Section, image_of
from ci_gitops.core.trailers import FilesMove, ImageMove, Move

_FEW = 5  # files
_LONG = 2_000  # characters of commands


def policy_warning(files: Sequence[str], branch: str) -> Section | None:
    """`files` are those that it changes of the rules; those of `branch` count."""
    if not files:
        return None
    named = ", ".join(map(code, files[:_FEW])) + (f" and {len(files) - _FEW} more" if len(files) > _FEW else "")
    text = (
        f"**Warning: this merge request edits the rules that it is merged by** ({named}). The rules of {code(branch)}"
        " count: what is edited here changes nothing for this merge request, and everything for the next ones."
    )
    return Section(text, text, 90, first=True)


def goes_back(block: Block, page: str) -> Section | None:
    """For a rollback: where it goes. `page` is the address of the merge request."""
    revisions = list(dict.fromkeys(each.back_to for each in block.commits if each.back_to))
    if not revisions:
        return None
    shown = " and ".join(link(code(each[:12]), commit_address(page, each)) for each in revisions)
    text = f"**This goes back** to what ran well at {shown}."
    return Section(text, text, 85, first=True)


def gate_rules(environment: str, rules: Sequence[str]) -> Section | None:
    """The gates that are configured, where their state was not asked for."""
    if not rules:
        return None
    text = f"#### Gates\n\n{', '.join(map(words, rules))}. {ask_for_gates(environment)}"
    return Section(text, text, 70)


def ask_for_gates(environment: str) -> str:
    return f"{code(f'ci-gitops gates --environment {environment}')} tells their state now."


def way_back(commands: Sequence[str]) -> Section | None:
    if not commands:
        return None
    text = "#### How to take it back\n\n" + fenced("\n".join(commands), "sh")
    return Section(text, text if len(text) < _LONG else "", 80)


def way_back_of(block: Block, *, records: bool) -> tuple[str, ...]:
    """The commands that take back what the block moves; without records of deployments by the old references."""
    apps: dict[str, list[str]] = {}
    for move in block.moves:
        named = apps.setdefault(move.environment, [])
        if move.app not in named:
            named.append(move.app)
    if records:
        return tuple(
            shlex.join(["ci-gitops", "rollback", "--environment", name, *_named(sorted(found))])
            for name, found in sorted(apps.items())
        )
    return tuple(dict.fromkeys(command for move in block.moves if (command := _old_again(move))))


def _named(apps: Sequence[str]) -> list[str]:
    return [word for app in apps for word in ("--app", app)]


def _old_again(move: Move) -> str | None:
    if isinstance(move, FilesMove) or not move.old:  # whole files only a rollback moves
        return None
    if isinstance(move, ImageMove):
        what = [_argument(move)]
    else:
        what = ["--set", f"{move.app}:{move.path}:{move.field}={move.old}"]
    return shlex.join(["ci-gitops", "update", *what, "--environment", move.environment, "--app", move.app])


def _argument(move: ImageMove) -> str:
    image = image_of(move.old or "")
    return f"{move.name}={move.old}" if image and image.name != move.name else str(move.old)


def commit_address(page: str, sha: str) -> str:
    """The page of a commit of the config repository, from that of one of its merge requests."""
    for mark, path in (("/-/merge_requests/", "/-/commit/"), ("/pull/", "/commit/")):
        base, found, _ = page.rpartition(mark)
        if found:
            return f"{base}{path}{sha}"
    return ""
