"""Waiting until what was applied is healthy, or until it is clear that waiting does not help.

What is waited for, why and since when is told when it changes and once a while, so that the log of a CI job stays
short. Objects are watched, one watch for each kind and namespace; while a workload is not ready its pods are looked at
every few seconds, since they know the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ci_gitops.adapters.cluster.base import Cluster, Document
from ci_gitops.core.durations import format_duration
from ci_gitops.core.family import Node
from ci_gitops.core.health import Health, HealthRule, assess_health, counts, missing, moves, overall
from ci_gitops.core.inventory import Key, uid_of
from ci_gitops.core.waiting import (
    HOOK_SECONDS,
    HOOK_TIMEOUT,
    Blocking,
    End,
    Graces,
    HookEnd,
    HookVerdict,
    Link,
    Verdict,
    hook_seconds,
    is_bystander,
    is_hopeless,
    is_settled,
    is_shaky,
    is_unheard,
    stuck_below,
)
from ci_gitops.errors import TemporaryError
from ci_gitops.run import Run
from ci_gitops.steps.families import Families, Glance
from ci_gitops.steps.lookout import PAUSE, Change, Lookout

_LOOK_BELOW = 3.0
_BELOW = 10.0  # seconds that such a look may take
_ASK_AGAIN = 10.0  # whether something newer has come
_TELL_AGAIN = 30.0
_TELL_APART = 3.0  # a rollout passes through states that nobody needs to read
_WORTH_TELLING = 10.0
_TOLD = 5  # objects at once
_NAMED = 3  # in the last word
_HOOK_ENDS: Mapping[End, HookEnd] = {
    "settled": "succeeded", "failed": "failed", "lost": "lost", "deadline": "deadline", "superseded": "deadline",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of this machine, replaced in tests."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tick: float = PAUSE  # between two looks at it

    def left(self, deadline: float) -> float:
        return deadline - self.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What is waited for, and how. `deadline` is on the clock's monotonic time.

    `changed` holds what was just written; what was not, and was healthy when it was read, is not looked at again.
    None: everything may have changed.
    """

    name: str  # what it is, such as the target, for progress
    deadline: float
    rules: Sequence[HealthRule] = ()
    hook: bool = False  # one hook: it alone counts, and its first word against it is its last
    changed: Collection[Key] | None = None
    superseded: Callable[[], str | None] = lambda: None  # what is newer, in words
    graces: Graces = field(default_factory=Graces)
    clock: Clock = field(default_factory=Clock)


@dataclass(slots=True)
class _Seen:
    """One object as it was last seen."""

    document: Document
    health: Health
    since: float  # when it came into this status
    was_ill: bool  # whether it was ever not healthy while we waited
    lost: bool = False


def wait_healthy(run: Run, cluster: Cluster, documents: Iterable[Document], wait: Wait) -> Verdict:
    """Wait for `documents`, as the server answered when they were applied, or as they were read.

    A document without a UID is one that should be there and is not. TemporaryError where the server stays away.
    """
    waiting = _Waiting(run, cluster, documents, wait)
    if not waiting.watched:
        return waiting.verdict("settled")
    with Lookout(cluster, waiting.watched, clock=wait.clock.monotonic, pause=wait.clock.tick) as lookout:
        while True:
            for change in lookout.changes(min(wait.clock.tick, max(0.0, wait.clock.left(wait.deadline)))):
                waiting.take(change)
            waiting.look_below()
            if verdict := waiting.judged():
                return verdict
            waiting.tell()


def await_hook(run: Run, cluster: Cluster, document: Document, wait: Wait) -> HookVerdict:
    """Wait for the end of one hook, by its UID: `document` is what the server answered when it was created.

    It has the time that its annotation gives it, and not more than the whole run. A hook whose kind has no health is
    done at once.
    """
    own = wait.clock.monotonic() + _hook_seconds(run, document)
    verdict = wait_healthy(run, cluster, [document], replace(wait, hook=True, deadline=min(own, wait.deadline)))
    late = verdict.end == "deadline" and own <= wait.deadline
    end: HookEnd = "failed" if late else _HOOK_ENDS[verdict.end]
    return HookVerdict(end, verdict.message, next(iter(verdict.blocking), None))


def _hook_seconds(run: Run, document: Document) -> float:
    try:
        return hook_seconds(document)
    except ValueError as error:
        run.output.warn(f"{Key.of(document)}: its annotation {HOOK_TIMEOUT} is left aside, {error}.")
        return HOOK_SECONDS


class _Waiting:
    def __init__(self, run: Run, cluster: Cluster, documents: Iterable[Document], wait: Wait) -> None:
        self._run, self._wait, self._clock = run, wait, wait.clock
        self._children = Glance(Families(cluster, rules=wait.rules, now=wait.clock.now))
        began = wait.clock.monotonic()
        self._began, self._looked, self._asked = began, began, began
        self._seen: dict[Key, _Seen] = {}
        self._unread: set[Key] = set()  # not yet as they are now
        self._below: dict[Key, Node] = {}
        self._stuck: dict[str, float] = {}  # pods by UID, since when they are degraded
        self._told: tuple[str, ...] = ()
        self._told_at = began
        for document in documents:
            if wait.hook or counts(document):
                self._begin(Key.of(document), document)
        self.watched = tuple(self._seen[key].document for key in self._unread)

    def _begin(self, key: Key, document: Document) -> None:
        there = bool(uid_of(document))
        health = self._assess(document) if there else missing("It is not in the cluster")
        well = health.status == "healthy"
        changed = self._is_changed(key)
        self._seen[key] = _Seen(document, health, self._began, not well or (changed and is_unheard(document)))
        if not there or (moves(document, self._wait.rules) and (changed or not well)):
            self._unread.add(key)

    def _is_changed(self, key: Key) -> bool:
        return self._wait.changed is None or key in self._wait.changed

    def _assess(self, document: Document) -> Health:
        return assess_health(document, self._wait.rules, now=self._clock.now())

    def take(self, change: Change) -> None:
        """What the cluster tells of one object."""
        seen = self._seen[change.key]
        self._unread.discard(change.key)
        before = uid_of(seen.document)
        if change.document is None:
            if before and not self._has_ended(change, seen):
                self._lose(seen, "It was deleted while it was waited for")
        elif before and uid_of(change.document) != before and self._is_changed(change.key):
            self._lose(seen, "It was deleted, and another one made in its place, while it was waited for")
        else:
            self._note(seen, self._assess(change.document))
            seen.document = change.document

    def _lose(self, seen: _Seen, message: str) -> None:
        seen.lost = True
        self._note(seen, missing(message))

    def _has_ended(self, change: Change, seen: _Seen) -> bool:
        """A Job with a time to live goes when it is done: its last state is its verdict."""
        if change.key.kind != "Job":
            return False
        if change.last is not None:
            metadata = {**change.last["metadata"]}
            metadata.pop("deletionTimestamp", None)
            self._note(seen, self._assess({**change.last, "metadata": metadata}))
        return seen.health.status in ("healthy", "degraded")

    def _note(self, seen: _Seen, health: Health) -> None:
        if health.status != seen.health.status:
            seen.since = self._clock.monotonic()
        seen.was_ill = seen.was_ill or health.status != "healthy"
        seen.health = health

    def look_below(self) -> None:
        """The children of what is not ready, and the health that only time brings."""
        now = self._clock.monotonic()
        if now - self._looked < _LOOK_BELOW:
            return
        self._looked = now
        for seen in self._seen.values():
            if not seen.lost and not is_settled(seen.health) and seen.health.status != "missing":
                self._note(seen, self._assess(seen.document))
        ill = [seen.document for seen in self._seen.values() if seen.health.status in ("progressing", "degraded")]
        try:
            nodes = self._children.at(ill, min(_BELOW, self._clock.left(self._wait.deadline)))
        except TemporaryError as error:  # the watches tell whether that lasts
            self._run.output.detail(error.message)
            return
        if nodes is None:
            return
        self._below = {node.key: node for node in nodes}
        pods = {node.uid for root in self._below.values() for node in root.every() if node.health.status == "degraded"}
        self._stuck = {uid: self._stuck.get(uid, now) for uid in pods}

    def judged(self) -> Verdict | None:
        """The verdict, where there is one."""
        if any(seen.lost for seen in self._seen.values()):
            return self.verdict("lost")
        hopeless = [key for key, seen in self._seen.items() if self._is_hopeless(key, seen)]
        if hopeless:
            for key in hopeless:
                self._condemn(key)
            return self.verdict("failed")
        if not self._unread and not self._open():
            return self.verdict("settled")
        if self._clock.left(self._wait.deadline) <= 0:
            return self.verdict("deadline")
        newer = self._newer()
        return self.verdict("superseded", newer) if newer else None

    def _is_hopeless(self, key: Key, seen: _Seen) -> bool:
        now = self._clock.monotonic()
        if self._wait.hook and seen.health.status in ("degraded", "unknown"):
            return True
        if is_hopeless(seen.document, seen.health, now - seen.since, self._wait.graces):
            return True
        node = self._below.get(key)
        if node is None or is_settled(seen.health):
            return False
        held = {uid: now - since for uid, since in self._stuck.items()}
        return stuck_below(node, held, self._wait.graces) is not None

    def _condemn(self, key: Key) -> None:
        """What will not get well is degraded, for the reason that is at the bottom of it."""
        seen = self._seen[key]
        if seen.health.status not in ("degraded", "unknown"):
            node = self._below[key]
            deepest = node.trail()[-1]
            seen.health = Health("degraded", f"{seen.health.message} {deepest.key}: {deepest.health.message}")

    def _open(self) -> list[Key]:
        """What is still waited for, the longest first."""
        found = [key for key, seen in self._seen.items() if not self._is_done(seen)]
        return sorted(found, key=lambda key: (self._seen[key].since, key))

    def _is_done(self, seen: _Seen) -> bool:
        if is_bystander(seen.document, seen.health):
            return True
        if not is_settled(seen.health) or (self._wait.hook and seen.health.status == "suspended"):
            return False
        held = self._clock.monotonic() - seen.since
        may_pass = seen.was_ill and (is_shaky(seen.document) or is_unheard(seen.document))
        return not may_pass or held >= self._wait.graces.steady

    def _newer(self) -> str | None:
        now = self._clock.monotonic()
        if now - self._asked < _ASK_AGAIN:
            return None
        self._asked = now
        return self._wait.superseded()

    def verdict(self, end: End, newer: str = "") -> Verdict:
        bystanders = {key for key, seen in self._seen.items() if is_bystander(seen.document, seen.health)}
        for key in sorted(bystanders):
            self._run.output.warn(f"{key}: {self._seen[key].health.message} It is not waited for.")
        whole = overall((str(key), seen.health) for key, seen in self._seen.items() if key not in bystanders)
        blocking = () if end == "settled" else tuple(self._blocking(key) for key in self._open())
        held_up = " ".join(each.sentence for each in blocking[:_NAMED])
        message = {
            "settled": whole.message,
            "superseded": f"Something newer has come: {newer}",
            "deadline": f"Not healthy within {self._waited()}. {held_up}",
        }.get(end, whole.message)
        healths = {key: seen.health for key, seen in self._seen.items()}
        status = "missing" if end == "lost" else whole.status
        return Verdict(end=end, status=status, message=message, healths=healths, blocking=blocking)

    def _waited(self) -> str:
        return _lasting(self._clock.monotonic() - self._began)

    def _blocking(self, key: Key) -> Blocking:
        seen = self._seen[key]
        since = self._clock.now().timestamp() - (self._clock.monotonic() - seen.since)
        node = self._below.get(key)
        trail = tuple(Link(each.key, each.health) for each in node.trail()[1:]) if node else ()
        document = seen.document if seen.health.status != "missing" else None
        return Blocking(key, seen.health, datetime.fromtimestamp(since, UTC), trail, document)

    def tell(self) -> None:
        """One line for each thing that is waited for, when it changes; all of them again after a while."""
        now = self._clock.monotonic()
        if now - self._told_at < _TELL_APART and not self._run.output.live:
            return
        blocking = [self._blocking(key) for key in self._open()]
        lines = tuple(each.sentence for each in blocking[:_TOLD])
        again = now - self._told_at >= _TELL_AGAIN
        if not again and set(lines) <= set(self._told):
            return
        fresh = [self._since(each) for each in blocking[:_TOLD] if again or each.sentence not in self._told]
        self._told, self._told_at = lines, now
        left = _lasting(max(0.0, self._clock.left(self._wait.deadline)))
        head = f"{self._wait.name}: waits for {len(blocking)} of {len(self._seen)} ({self._waited()}, {left} left): "
        self._run.output.step(head + "\n  ".join(fresh))

    def _since(self, blocking: Blocking) -> str:
        """The sentence with how long it is so, where that is worth telling."""
        held = self._clock.monotonic() - self._seen[blocking.key].since
        return f"{blocking.sentence} (for {_lasting(held)})" if held >= _WORTH_TELLING else blocking.sentence


def _lasting(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))
