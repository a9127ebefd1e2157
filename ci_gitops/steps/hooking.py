"""Hooks of a deployment: started once, watched by UID until they end, remembered before they are deleted.

A hook cannot hang: it ends, it is gone, or its time is over. Whatever is killed in between, the next pass finds the
hook by its name and attempt and goes on with it instead of running it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ci_gitops.adapters.cluster.base import Cluster, Document, Resource
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.hook_runs import HookTask, attempt_in, decide
from ci_gitops.core.hooks import wishes
from ci_gitops.core.inventory import SOURCE, Key, uid_of
from ci_gitops.core.records import Failure, HookOutcome, HookRun
from ci_gitops.core.waiting import Graces
from ci_gitops.errors import ClusterError
from ci_gitops.run import Run
from ci_gitops.steps.bookkeeping import Book
from ci_gitops.steps.going import await_gone
from ci_gitops.steps.undertaking import BrokenError
from ci_gitops.steps.waiting import Clock, Wait, await_hook


@dataclass(slots=True)
class Hooks:
    """The hooks of one target's deployment. `known` is what the records of this attempt say of them."""

    run: Run
    cluster: Cluster
    book: Book
    attempt: str
    known: Mapping[tuple[str, Key], HookRun]
    deadline: Deadline
    rerun: bool = False
    retry: bool = False
    _ended: list[tuple[HookTask, str, HookOutcome]] = field(default_factory=list)

    def start(self, task: HookTask, *, afresh: bool = False) -> Document | None:
        """Run it, or go on with the one that runs: what is to be waited for. None where it already succeeded."""
        known = self.known.get(task.place)
        again = afresh or self.rerun or (self.retry and known is not None and known.outcome == "failed")
        decision = "run" if afresh else decide(known, again=again)
        if decision == "skip" and known is not None:
            self.run.output.step(f"{task} succeeded before, for this same rendered set.")
            self._ended.append((task, known.uid, "succeeded"))
            return None
        if decision == "refuse":
            raise BrokenError(Failure("hook", f"The {task} failed before. Run it again with --retry.", str(task.key)))
        resource = self._resource(task)
        live = self.cluster.get(resource, task.key.namespace, task.key.name)
        if live is not None and not again and self._is_this_attempt(live, known):
            return live
        if live is not None:
            self._make_room(task, resource, live)
        self.run.output.step(f"Running {task}")
        answer = self.cluster.apply(task.document, force=True)
        self.book.hook(task.ran(uid_of(answer), "running"))
        return answer

    def finish(self, task: HookTask, live: Document) -> None:
        """Wait for its end and write that down; BrokenError where it failed or is gone."""
        verdict = await_hook(
            self.run,
            self.cluster,
            live,
            Wait(
                name=str(task),
                deadline=self.deadline.end,
                clock=Clock(self.deadline.now),
                graces=Graces.at(self.cluster.pace),
            ),
        )
        if verdict.end == "deadline":  # it may still end well: the next pass goes on with it
            raise BrokenError(
                Failure("trouble", f"The {task} has not ended: {verdict.message}", str(task.key)), late=True
            )
        uid = uid_of(live)
        self.book.hook(task.ran(uid, verdict.end))
        self._ended.append((task, uid, verdict.end))
        if verdict.end == "lost":
            raise BrokenError(Failure("trouble", f"The {task} is gone: {verdict.message}", str(task.key)))
        if verdict.end == "failed":
            raise BrokenError(Failure("hook", f"The {task} failed: {verdict.message}", str(task.key)), blamed=(live,))

    def clear(self) -> None:
        """Delete the hooks whose policy says so, now that how they ended is written down."""
        for task, uid, outcome in self._ended:
            policy = "HookSucceeded" if outcome == "succeeded" else "HookFailed"
            if policy in wishes(task.document).policies:
                key = task.key
                self.cluster.delete(self._resource(task), key.namespace, key.name, uid=uid)

    def _is_this_attempt(self, live: Document, known: HookRun | None) -> bool:
        if (live.get("metadata") or {}).get("deletionTimestamp"):
            return False
        return attempt_in(live) == self.attempt and (known is None or known.outcome == "running")

    def _make_room(self, task: HookTask, resource: Resource, live: Document) -> None:
        """An earlier run of the hook goes first; what is not ours stays, and is told."""
        labels = (live.get("metadata") or {}).get("labels") or {}
        ours = task.document["metadata"].get("labels") or {}
        if SOURCE in ours and labels.get(SOURCE) != ours[SOURCE]:
            raise ClusterError(
                f"{task}: {task.key} is there already and is not ours.",
                hint="Give the hook another name, or delete it.",
            )
        key = task.key
        self.cluster.delete(resource, key.namespace, key.name, uid=uid_of(live))
        await_gone(self.cluster, resource, live, self.deadline)

    def _resource(self, task: HookTask) -> Resource:
        found = self.cluster.resource(str(task.document["apiVersion"]), task.key.kind)
        if found is None:
            raise ClusterError(f"{self.cluster} knows no kind {task.key.kind} of the {task}.")
        return found
