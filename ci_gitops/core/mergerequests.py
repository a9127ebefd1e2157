"""Merge requests as our own records, and the decisions about them: which one holds what, which one to write to.

A forge's JSON never leaves its adapter; everything above knows these records. All state about what a merge
request holds is in the merge request itself (the marked block of its description, see `mergerequest_text`), so that
any process, on any machine, comes to the same decision.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from ci_gitops.core.mergerequest_text import Block, parse_block
from ci_gitops.core.trailers import parse_trailers

State = Literal["open", "merged", "closed"]
Supersede = Literal["latest", "queue", "manual"]
MergeMethod = Literal["merge", "squash", "fast-forward"]
BRANCH_PREFIX = "ci-gitops/"

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """One merge request (GitHub: pull request) as it was when it was read."""

    iid: int
    source: str  # branch
    target: str  # branch
    title: str
    description: str = ""
    state: State = "open"
    head_sha: str = ""  # of the source branch itself; "" where that branch is gone
    url: str = ""
    author: str = ""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    draft: bool = False
    armed_sha: str = ""  # auto-merge is armed for this head; "" where it is not
    merge_sha: str = ""  # the commit that brought it onto the target branch
    superseded_by: int | None = None
    created_at: int = 0  # seconds since the epoch, as all times here
    updated_at: int = 0
    merged_at: int = 0

    @property
    def block(self) -> Block | None:
        """What our marked block says; None where it is not ours."""
        return parse_block(self.description) if self.source.startswith(BRANCH_PREFIX) else None

    @property
    def targets(self) -> frozenset[str]:
        """`environment/app` of each target that it holds."""
        block = self.block
        return block.targets if block else frozenset()

    @property
    def environments(self) -> frozenset[str]:
        """The environments that it writes to: those of its targets, and the one that its branch is named after."""
        named = self.source.split("/")[1:2] if self.source.startswith(BRANCH_PREFIX) else []
        return frozenset([*named, *(target.split("/", 1)[0] for target in self.targets)])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one call wants to write by merge request: these apps of one environment, onto `target`."""

    environment: str
    target: str  # branch
    apps: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)  # app -> group, for those that have one
    supersede: Supersede = "latest"


class Open(NamedTuple):
    """Nothing holds these apps: a new merge request, from a branch of this name."""

    environment: str
    target: str
    branch: str
    apps: tuple[str, ...]


class Update(NamedTuple):
    """These apps are written to the branch of an open merge request.

    `rebuild`: it holds nothing else, so its branch may be made anew from the target's head (by force with
    lease), which never conflicts. Else a commit is added. Either way people's commits are looked for first.
    """

    environment: str
    request: MergeRequest
    apps: tuple[str, ...]
    rebuild: bool


class Wait(NamedTuple):
    """The environment's rule leaves the open merge request as it is."""

    environment: str
    request: MergeRequest
    apps: tuple[str, ...]
    reason: str


Action = Open | Update | Wait


class GiveWay(NamedTuple):
    """`later` holds targets that `earlier` holds too: its edits of them move there; closed where nothing remains."""

    later: MergeRequest
    earlier: MergeRequest
    targets: tuple[str, ...]
    remains: bool


class WithMessage(Protocol):
    """A commit, as far as its trailers tell what it moves."""

    @property
    def message(self) -> str: ...


def segment(name: str) -> str:
    """`name` as one path segment of a branch name; two different names never give the same one."""
    safe = _UNSAFE.sub("-", name)
    while ".." in safe:
        safe = safe.replace("..", ".")
    safe = safe.strip("-.")[:80].rstrip("-.")
    safe = safe.removesuffix(".lock")
    if safe == name:
        return name
    return f"{safe or 'app'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def slug(apps: Sequence[str], groups: Mapping[str, str]) -> str:
    """The group that all apps share, else the one app, else `batch-` and a hash of the sorted apps."""
    names = sorted(set(apps))
    shared = {groups.get(app) for app in names}
    group = shared.pop() if len(shared) == 1 else None
    if group:
        return segment(group)
    if len(names) == 1:
        return segment(names[0])
    return "batch-" + hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


def branch_name(environment: str, apps: Sequence[str], groups: Mapping[str, str]) -> str:
    """`ci-gitops/<environment>/<slug>`."""
    return f"{BRANCH_PREFIX}{segment(environment)}/{slug(apps, groups)}"


def plan_merge_requests(open_requests: Iterable[MergeRequest], writes: Iterable[Wanted]) -> tuple[Action, ...]:
    """For each app that is to be written: into which merge request it goes.

    A target that an open merge request of ours holds is written there; all others of a write go together into a
    new one, or into the open one that has its branch (the apps of a group). One whose branch somebody has deleted
    holds nothing; it is adopted when its branch is pushed again.
    """
    ours = _holding(open_requests)
    actions: list[Action] = []
    for write in writes:
        actions += _plan([one for one in ours if one.target == write.target], write)
    return tuple(actions)


def _holding(requests: Iterable[MergeRequest]) -> list[MergeRequest]:
    """The open ones that hold something, the lowest number first."""
    there = (one for one in requests if one.state == "open" and one.head_sha and one.targets)
    return sorted(there, key=lambda one: one.iid)


def _plan(ours: Sequence[MergeRequest], write: Wanted) -> list[Action]:
    holders: dict[int, list[str]] = {}
    free: list[str] = []
    for app in write.apps:
        holder = next((one for one in ours if f"{write.environment}/{app}" in one.targets), None)
        if holder:
            holders.setdefault(holder.iid, []).append(app)
        else:
            free.append(app)
    branch = branch_name(write.environment, free, write.groups) if free else ""
    joined = next((one for one in ours if one.source == branch), None)
    if joined:
        holders.setdefault(joined.iid, []).extend(free)
        free = []
    by_iid = {one.iid: one for one in ours}
    actions = [_existing(by_iid[iid], tuple(apps), write) for iid, apps in sorted(holders.items())]
    if free:
        actions.append(Open(write.environment, write.target, branch, tuple(free)))
    return actions


def _existing(request: MergeRequest, apps: tuple[str, ...], write: Wanted) -> Action:
    if write.supersede == "queue":
        reason = f"!{request.iid} is open for it; the next one is opened after that is merged (supersede: queue)"
        return Wait(write.environment, request, apps, reason)
    if write.supersede == "manual":
        reason = f"!{request.iid} is open for it and is left as it is (supersede: manual)"
        return Wait(write.environment, request, apps, reason)
    others = request.targets - {f"{write.environment}/{app}" for app in apps}
    return Update(write.environment, request, apps, rebuild=not others)


def overlaps(open_requests: Iterable[MergeRequest]) -> tuple[GiveWay, ...]:
    """Where a race has made two that hold the same target onto the same branch: the later number gives way."""
    holder: dict[tuple[str, str], MergeRequest] = {}
    giving: list[GiveWay] = []
    for request in _holding(open_requests):
        taken: dict[int, list[str]] = {}
        for name in sorted(request.targets):
            first = holder.setdefault((request.target, name), request)
            if first is not request:
                taken.setdefault(first.iid, []).append(name)
        lost = {name for names in taken.values() for name in names}
        by_iid = {one.iid: one for one in holder.values()}
        giving += [
            GiveWay(request, by_iid[iid], tuple(names), remains=bool(request.targets - lost))
            for iid, names in sorted(taken.items())
        ]
    return tuple(giving)


def block_of(commits: Sequence[WithMessage]) -> Block:
    """What the commits of a branch (newest first) move."""
    block = Block()
    for commit in reversed(commits):
        block = block.updated(parse_trailers(commit.message))
    return block
