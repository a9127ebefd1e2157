"""A plan carried out: stage by stage, what needs writing in each side by side, hooks awaited, what left Git removed.

Within a wave the kinds go one after the other, the objects of a kind together. Where another wave or phase comes, the
wave must be healthy first; hooks are always awaited. What left Git goes when what replaces it is healthy, before the
hooks of PostSync.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import groupby

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Resource
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Writer
from ci_gitops.core.health import Health
from ci_gitops.core.hook_runs import HookTask, Step
from ci_gitops.core.inventory import Key, uid_of
from ci_gitops.core.records import Failure
from ci_gitops.core.stages import removal
from ci_gitops.errors import CiGitopsError, ClusterError
from ci_gitops.run import Run
from ci_gitops.steps.going import await_gone
from ci_gitops.steps.hooking import Hooks
from ci_gitops.steps.planning import Work
from ci_gitops.steps.taking import apply_over
from ci_gitops.steps.undertaking import BrokenError

#: Waits until these objects are healthy, all of the target at the end; BrokenError where they never are.
Wait = Callable[[Sequence[Document]], Health]
_DEFINITION = "CustomResourceDefinition"


@dataclass(slots=True)
class Applying:
    """One target's plan under way. `applied` is what the server answered for each object that was written."""

    run: Run
    cluster: Cluster
    title: str  # of the target, for progress
    work: Mapping[Key, Work]
    removals: Sequence[Sequence[Work]]  # in the order in which they go
    hooks: Hooks
    writer: Writer
    wait: Wait
    pool: Executor
    deadline: Deadline
    awaits: bool = True  # whether the end waits for health
    applied: dict[Key, Document] = field(default_factory=dict)
    removed: set[Key] = field(default_factory=set)

    def carry_out(self, steps: Sequence[Step]) -> Health | None:
        """All phases but SyncFail; the health at the end, None where nobody waited for it."""
        health: Health | None = None
        waves = [
            (phase, list(steps_of_wave))
            for (phase, _), steps_of_wave in groupby(
                (step for step in steps if step.phase != "SyncFail"), key=lambda step: (step.phase, step.wave)
            )
        ]
        pruned = False
        for number, (phase, wave) in enumerate(waves):
            if phase == "PostSync" and not pruned:
                self.remove()
                pruned = True
            self._wave(wave)
            more = number + 1 < len(waves)
            objects = [document for step in wave for document in step.documents]
            if objects and more:
                self._await(objects)
        everything = [document for step in steps for document in step.documents]
        if self.awaits and everything:
            health = self._await(everything)
        if not pruned:
            self.remove()
        return health

    def fail(self, steps: Iterable[Step]) -> list[str]:
        """Run the hooks of SyncFail, once; what they could not do, in sentences."""
        troubles = []
        for step in (step for step in steps if step.phase == "SyncFail"):
            for task in step.hooks:
                try:
                    live = self.hooks.start(task, afresh=True)
                    if live is not None:
                        self.hooks.finish(task, live)
                except BrokenError as error:
                    troubles.append(error.failure.message)
                except CiGitopsError as error:
                    troubles.append(error.message)
        return troubles

    def _await(self, documents: Sequence[Document]) -> Health | None:
        """Nothing acts on the files of a folder: they are as well as they will ever be."""
        return self.wait(documents) if self.cluster.alive else None

    def _wave(self, steps: Iterable[Step]) -> None:
        started: list[tuple[HookTask, Document]] = []
        for step in steps:
            self.writer.check()
            self._write([self.work[key] for document in step.documents if (key := Key.of(document)) in self.work])
            for task in step.hooks:
                live = self.hooks.start(task)
                if live is not None:
                    started.append((task, live))
        for task, live in started:
            self.hooks.finish(task, live)

    def _write(self, work: Sequence[Work]) -> None:
        """The writes of one stage, side by side. All of them are tried before the first failure is raised."""
        if not work:
            return
        failures: list[tuple[Work, CiGitopsError]] = []
        for one, outcome in zip(work, self.pool.map(self._tried, work), strict=True):
            if isinstance(outcome, CiGitopsError):
                failures.append((one, outcome))
            else:
                self.applied[one.key] = outcome
        if failures:
            raise _broken(failures)
        definitions = [self.applied[one.key] for one in work if one.key.kind == _DEFINITION]
        if definitions:
            self._await(definitions)
            self.cluster.forget()

    def _tried(self, work: Work) -> Document | CiGitopsError:
        self.run.output.step(f"{self.title}: {work.operation} {work.key}")
        try:
            return self._applied(work)
        except CiGitopsError as error:
            return error

    def _applied(self, work: Work) -> Document:
        assert work.document is not None
        if work.recreate and work.live is not None:
            self._delete(work, work.live)
            await_gone(self.cluster, self._resource(work, work.live), work.live, self.deadline)
        elif work.live is not None:
            resource = self._resource(work, work.document)
            return apply_over(self.cluster, resource, work.live, work.document, force=work.force, adopted=work.adopted)
        return self.cluster.apply(work.document, force=work.force)

    def remove(self) -> None:
        """What left Git, those that need others first; each stage is gone before the next one goes."""
        for stage in self.removals:
            self.writer.check()
            going = [(work, work.live) for work in stage if work.live is not None]
            for work, live in going:
                self.run.output.step(f"{self.title}: delete {work.key}")
                try:
                    self._delete(work, live)
                except ApiError as error:
                    raise _broken([(work, error)]) from error
            for work, live in going:
                await_gone(self.cluster, self._resource(work, live), live, self.deadline)
                self.removed.add(work.key)

    def _delete(self, work: Work, live: Document) -> None:
        key = work.key
        self.cluster.delete(
            self._resource(work, live), key.namespace, key.name, uid=uid_of(live), propagation="Foreground"
        )

    def _resource(self, work: Work, document: Document) -> Resource:
        found = self.cluster.resource(str(document.get("apiVersion")), work.key.kind)
        if found is None:
            raise ClusterError(f"{self.cluster} knows no kind {work.key.kind} in {document.get('apiVersion')}.")
        return found


def in_stages(deletes: Sequence[Work]) -> list[list[Work]]:
    """Those that need others go first."""
    by_key = {each.key: each for each in deletes}
    stages = removal([each.live for each in deletes if each.live is not None])
    return [[by_key[Key.of(document)] for document in stage] for stage in stages]


def _broken(failures: Sequence[tuple[Work, CiGitopsError]]) -> BrokenError:
    work, first = failures[0]
    details = tuple(f"{each.key}: {error.message}" for each, error in failures[1:])
    return BrokenError(Failure("trouble", first.message, str(work.key)), details=details, error=first)
