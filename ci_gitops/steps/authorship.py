"""Whose the commits of a branch are: ours only where what they say, done again, gives exactly what they hold.

Anybody who may push a branch can write any message and any author. So a commit is not believed for what it says: what
cannot be made anew from its own trailers is a person's work. It is never written over, and who made it does not approve
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ci_gitops.adapters.git import CommitInfo
from ci_gitops.core.trailers import Trailers, split_trailers
from ci_gitops.core.updates import Plan
from ci_gitops.errors import EditError, GitError, RefusedError, RenderError, UsageError
from ci_gitops.steps.restoring import replayed
from ci_gitops.steps.workplace import RepositoryTree, Workplace

#: What says that a commit cannot be made anew; anything else is trouble of this run.
NOT_SHOWN = (EditError, GitError, RefusedError, RenderError, UsageError)
_MADE_AT = re.compile(rb"^generated: .*$", re.MULTILINE)  # of Chart.lock: the moment of its making


def of_people(place: Workplace, own: Iterable[CommitInfo]) -> tuple[CommitInfo, ...]:
    """Those of a branch's own commits that are not ours; `place` is the branch that they would be merged into."""
    return tuple(commit for commit in own if not is_ours(place, commit))


def is_ours(place: Workplace, commit: CommitInfo) -> bool:
    told = split_trailers(commit.message)
    if len(told) != 1 or len(commit.parents) != 1:
        return False
    try:
        return says_all(place, commit, told[0])
    except NOT_SHOWN:
        return False


def told_of(commit: CommitInfo) -> str:
    """Of a commit that is not ours: which it is, and why it is not ours where it looks as if it were."""
    named = f"the commit {commit.sha[:12]} of {commit.author}"
    if not split_trailers(commit.message):
        return named
    return f"{named} (it looks like ours, but what its message says, done again, gives something else)"


def made_again(place: Workplace, revision: str, trailers: Trailers) -> Plan:
    """What the moves of a commit make of a revision, by the rules of `place`."""
    there = replace(place, revision=revision, tree=RepositoryTree(place.repository, revision))
    environments = {move.environment for move in trailers.moves}
    if len(environments) != 1:
        raise UsageError("A commit of ours is of one environment.")
    return replayed(there, environments.pop(), trailers, now="")


def says_all(place: Workplace, commit: CommitInfo, trailers: Trailers) -> bool:
    """Whether the commit changes what its trailers say, and nothing besides."""
    repository, parent = place.repository, commit.parents[0]
    plan = made_again(place, parent, trailers)
    wanted = {
        repository.resolve(parent, edit.path) or edit.path: edit.new.encode()
        for edit in plan.edits
        if edit.path not in plan.whole
    }
    if set(repository.changed_paths(commit.sha, parent)) != {*wanted, *plan.whole}:
        return False
    if repository.whole(commit.sha, [*plan.whole]) != {path: file for path, file in plan.whole.items() if file}:
        return False
    if any(_mode(place, commit.sha, path) != _mode(place, parent, path) for path in wanted):
        return False
    return _timeless(repository.read(commit.sha, list(wanted))) == _timeless(wanted)


def _mode(place: Workplace, revision: str, path: str) -> str | None:
    entry = place.repository.entry(revision, path)
    return entry.mode if entry else None


def _timeless(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {path: _MADE_AT.sub(b"", text) if path.endswith(".lock") else text for path, text in files.items()}
