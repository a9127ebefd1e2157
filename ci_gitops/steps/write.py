"""Writing to a config repository: an intent, applied to the branch's head and pushed, until it lands.

The one loop that `update`, `promote`, `rollback` and `hold` share. A push that another push beat is no failure:
the same intent is applied to the new head. Never a textual rebase, never a force push to a shared branch.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ci_gitops.adapters.git import Person, RefUpdate, Repository, SigningKey
from ci_gitops.core.backoff import race_pause
from ci_gitops.core.edits import Edit
from ci_gitops.core.history import History, explain_older, gather, judge
from ci_gitops.core.holds import Held
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.messages import commit_message
from ci_gitops.core.trailers import ImageMove, Source, Trailers, split_trailers
from ci_gitops.core.updates import Intent, Plan, TargetFiles, plan_with_holds
from ci_gitops.core.whole_files import WholeFile
from ci_gitops.errors import TemporaryError
from ci_gitops.output import Output
from ci_gitops.steps.held import holds_in
from ci_gitops.steps.workplace import Workplace, Workplaces

_MOST_TRIES = 100
RACE_SECONDS = 600.0  # how long races are run where --timeout says nothing else
_HISTORY_STEPS = (50, 250, 700)  # commits; 1,000 in all


@dataclass(frozen=True, slots=True)
class Hand:
    """Who writes, why, and how: the same for each commit of a run."""

    author: Person
    actor: str | None = None
    source: Source | None = None
    subject: str | None = None  # --message
    back_to: str | None = None  # of a rollback: the revision that it goes back to
    force: bool = False  # an older build may overwrite a newer one
    dry_run: bool = False
    now: str = ""  # RFC 3339
    timeout: float = RACE_SECONDS
    sign: SigningKey | None = None
    check: Callable[[Workplace, Plan], None] | None = None  # --check: raises where a target does not render
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = field(default_factory=lambda: random.SystemRandom().uniform)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write. `commit` is the new commit, None where there was nothing to write.

    `revision` is the commit that holds what was asked for: the new one, else the branch's head.
    """

    url: str
    branch: str
    environments: tuple[str, ...]
    outcome: str  # pushed, unchanged, planned (--dry-run), opened, updated, waiting, merged, armed
    revision: str
    commit: str | None = None
    merge_request: MergeRequest | None = None
    plan: Plan = field(default_factory=Plan)
    attempts: int = 1
    notes: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()  # what was left out, since it is held

    @property
    def edits(self) -> tuple[Edit, ...]:
        return self.plan.edits


def push_write(
    places: Workplaces, place: Workplace, targets: Sequence[TargetFiles], intent: Intent, hand: Hand, template: str
) -> Written:
    """Edit `targets` on the branch of `place` in one commit and push it."""
    output = places.run.output
    environments = tuple(dict.fromkeys(files.target.environment for files in targets))
    for attempt in attempts(hand, output, place.branch):
        if attempt > 1:
            place = places.refreshed(place)
        plan, notes = current_plan(place, targets, intent, hand)
        done = Written(
            place.url, place.branch, environments, "unchanged", place.revision, plan=plan, attempts=attempt,
            notes=notes, held=plan.held,
        )  # fmt: skip
        if not plan.changed:
            return done
        if hand.check:
            hand.check(place, plan)
        if hand.dry_run:
            return replace(done, outcome="planned")
        commit = commit_plan(place, plan, hand, template)
        output.step(f"Pushing {commit[:12]} to {place.branch} of {place.url}")
        pushed = place.repository.push([RefUpdate(f"refs/heads/{place.branch}", commit)])
        if pushed.landed:
            return replace(done, outcome="pushed", revision=commit, commit=commit)
        output.detail(f"Lost the race for {place.branch}: {pushed.raced}")
    raise AssertionError("attempts end by an error")  # pragma: no cover


def attempts(hand: Hand, output: Output, branch: str) -> Iterator[int]:
    """1, 2, 3 …, with a pause between them that grows; TemporaryError when there were enough."""
    started = time.monotonic()
    for attempt in range(1, _MOST_TRIES + 1):
        began = time.monotonic()
        yield attempt
        now = time.monotonic()
        pause = race_pause(attempt, now - began, hand.uniform)
        if now + pause - started > hand.timeout:
            break
        output.step(f"Another push to {branch} was first; trying again on top of it (attempt {attempt + 1})")
        hand.sleep(pause)
    raise TemporaryError(
        f"{branch} moved on each time before our push arrived, for {time.monotonic() - started:.0f} s.",
        hint="Run the same command again, or give it more time with --timeout.",
    )


def current_plan(
    place: Workplace,
    targets: Sequence[TargetFiles],
    intent: Intent,
    hand: Hand,
    merged: Callable[[], Mapping[str, Sequence[Trailers]]] = dict,
) -> tuple[Plan, tuple[str, ...]]:
    """What is to be written on top of the head, without what a newer build already wrote; and notes on that.

    `merged` gives what our merge requests held, by the commit that a person's merge made of them: such a commit
    may have none of our trailers.
    """
    holds = holds_in(place, dict.fromkeys(files.target.environment for files in targets))
    if intent.files:
        from ci_gitops.steps.restoring import plan_whole  # it brings the renderers along

        return plan_whole(place, targets, intent.files, holds), ()
    plan = plan_with_holds(intent, targets, place.tree, holds, now=hand.now)
    if not plan.images or hand.source is None or hand.force:
        return plan, ()
    judgement = judge(plan.images, hand.source, _history_of(place, plan.images, merged))
    notes = judgement.notes
    if judgement.older:
        plan = plan_with_holds(intent, targets, place.tree, holds, judgement.skip, now=hand.now)
        notes += tuple(explain_older(move, evidence, hand.source) for move, evidence in judgement.older)
    return plan, notes


def overtaken(
    place: Workplace, trailers: Trailers, merged: Callable[[], Mapping[str, Sequence[Trailers]]]
) -> frozenset[tuple[str, str]]:
    """Target and image of the moves of a commit that a newer build wrote since: made again they would undo that.

    A move that began at what the newer build wrote was made in its knowledge (`--force`), and stays.
    """
    if not trailers.images or trailers.source is None:
        return frozenset()
    older = judge(trailers.images, trailers.source, _history_of(place, trailers.images, merged)).older
    return frozenset((move.target, move.name) for move, evidence in older if evidence.move.new != move.old)


def _history_of(
    place: Workplace, moves: Sequence[ImageMove], merged: Callable[[], Mapping[str, Sequence[Trailers]]]
) -> History:
    """Enough of what the branch's commits say to judge these moves."""
    by_people = merged()
    return gather(
        moves,
        lambda: _history(place.repository, place.revision, by_people),
        lambda count: place.repository.deepen(place.branch, count),
        _HISTORY_STEPS,
    )


def _history(repository: Repository, revision: str, by_people: Mapping[str, Sequence[Trailers]]) -> History:
    log = repository.log(revision, 1_000)
    return [
        (commit.sha, trailers)
        for commit in log
        for trailers in reversed(split_trailers(commit.message) or by_people.get(commit.sha, ()))
    ]


def trailers_of(plan: Plan, hand: Hand) -> Trailers:
    """What the commit of a plan says of itself."""
    return Trailers(plan.images, plan.values, hand.source, hand.actor, hand.back_to, plan.files)


def commit_plan(place: Workplace, plan: Plan, hand: Hand, template: str, parents: Sequence[str] | None = None) -> str:
    """Make the commit of a plan on top of `parents` (default: the place's head)."""
    trailers = trailers_of(plan, hand)
    message = commit_message(hand.subject or template, trailers, plan.notes)
    repository, base = place.repository, place.revision
    # A file may be reached by a symbolic link: what is written is the file that it stands for.
    files: dict[str, bytes | WholeFile | None] = {
        repository.resolve(base, edit.path) or edit.path: edit.new.encode()
        for edit in plan.edits
        if edit.path not in plan.whole
    }
    files |= plan.whole
    return repository.commit(
        list(parents or [base]), files, message, author=hand.author, committer=hand.author, sign=hand.sign
    )
