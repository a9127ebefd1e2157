"""The story of `delete`: what a target holds is removed, those that need others first, with the seat belts of prune."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ci_gitops.adapters.cluster.base import ApiError, Document
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Writer
from ci_gitops.core.health import Health
from ci_gitops.core.hook_runs import HookTask, attempt_of, remembered, steps_of
from ci_gitops.core.inventory import Key
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.pruning import Belts, Leaving, leaving, remaining
from ci_gitops.core.records import Failure, HookRun, Record, killed, open_record, stamp
from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError, RefusedError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.applying import Applying, in_stages
from ci_gitops.steps.bookkeeping import Book
from ci_gitops.steps.declared import Ask, Declared, declared_at
from ci_gitops.steps.deploy_report import Done, Outcome, deploy_result
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.hooking import Hooks
from ci_gitops.steps.planning import Planned, plan_target
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.site import Site, View
from ci_gitops.steps.undertaking import BrokenError, origin_of
from ci_gitops.steps.workplace import Workplaces


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCall(Ask):
    """The options of one call, as the command line gives them."""

    app: str = ""
    yes: bool = False
    prune_kinds: tuple[str, ...] = ()
    timeout: float = 600.0
    dry_run: bool = False


def delete(run: Run, call: DeleteCall) -> Result:
    """Remove what the inventory of one target holds."""
    deadline = Deadline.after(call.timeout)
    with Workplaces(run, call.reach) as places:
        declared = declared_at(places, call)
        place, environment = declared
        with Destinations(run, call, place, environment, call.timeout) as destinations:
            done = _Deleting(run, call, declared, destinations, deadline).delete()
    result = deploy_result(environment.name, place.revision, [done])
    if done.error:
        done.error.result = result
        raise done.error
    return result


class _Deleting:
    """One target on its way out."""

    def __init__(
        self, run: Run, call: DeleteCall, declared: Declared, destinations: Destinations, deadline: Deadline
    ) -> None:
        self._run, self._call, self._deadline = run, call, deadline
        self._place, self._environment = declared
        self._destinations = destinations
        self._commit = self._place.repository.log(self._place.revision, 1)[0]

    def delete(self) -> Done:
        target, manifests = self._declared()
        cluster = self._destinations.of(target)
        ledger = self._destinations.ledger(cluster, self._deadline, self._commit)
        site = Site(cluster, ledger, {target: manifests})
        view = site.view(target)
        if not view.inventory.members:
            return self._done(site, target, None, "unchanged", "Nothing of it is there.")
        left, planned = self._planned(site, view)
        if self._call.dry_run:
            return self._done(site, target, planned, "planned")
        if not self._call.yes:
            error = RefusedError(
                f"{target}: {counted(len(left.deletes), 'object')} would be deleted.", hint="Pass --yes to delete them."
            )
            return self._done(site, target, planned, "refused", error.message, error=error)
        site.preflight.check(target, planned.work, (), view.inventory.namespace)
        with ledger.writing(target) as writer:
            view = site.look_again(target, manifests)
            left, planned = self._planned(site, view)
            return self._undertake(site, view, left, planned, writer)

    def _declared(self) -> tuple[Target, Sequence[Manifest]]:
        """The target, and what it declares where Git still has it: its hooks of deletion are run."""
        settings, name = self._place.settings, self._environment.name
        app = settings.apps.get(self._call.app)
        if app is None:
            return Target(self._call.app, name, ""), ()
        (target,) = settings.targets([name], [self._call.app])
        sets = RenderedSets(self._run, self._place, self._destinations.of, fresh=self._call.no_cache)
        found = sets.of([target])[target]
        if isinstance(found, CiGitopsError):
            self._run.output.warn(f"{found.message} Its hooks are not run.")
            return target, ()
        return target, found

    def _planned(self, site: Site, view: View) -> tuple[Leaving, Planned]:
        belts = Belts(kinds=frozenset(self._call.prune_kinds), whole=True, labelled=site.cluster.alive)
        left = leaving(view.inventory, frozenset(), view.live.get, failed=view.live.failed, belts=belts)
        terms = site.terms(try_new=False, take_over=False, recreate=())(view)
        nothing = replace(view.prepared, documents=(), hooks=())
        return left, plan_target(
            site.cluster, nothing, view.live, inventory=view.inventory, terms=terms, deletes=left.compared
        )

    def _undertake(self, site: Site, view: View, left: Leaving, planned: Planned, writer: Writer) -> Done:
        ledger, target = site.ledger, view.inventory.target
        now = datetime.now(UTC)
        records = [ledger.write(killed(each, now)) if not each.closed else each for each in view.records]
        rendered = view.prepared.rendered
        opened = open_record(
            view.inventory, records, now=now, revision=self._place.revision, rendered=rendered, cause="delete",
            origin=origin_of(self._run, self._commit),
        )  # fmt: skip
        book = Book(ledger, replace(opened, summary=dict(planned.plan.summary), plan=planned.plan.hash))
        attempt = attempt_of(rendered, records)
        hooks = Hooks(self._run, site.cluster, book, attempt, remembered(rendered, records), self._deadline, retry=True)
        before, after = self._hooks(view, attempt)
        with ThreadPoolExecutor(1, "delete") as pool:
            work = [each for each in planned.work if each.operation == "delete"]
            applying = Applying(
                self._run, site.cluster, str(target), {}, in_stages(work), hooks, writer, _no_waiting, pool,
                self._deadline, awaits=False,
            )  # fmt: skip
            try:
                _run_hooks(hooks, before)
                applying.remove()
                _run_hooks(hooks, after)
                self._clear_hooks(site, records)
            except BrokenError as broken:
                return self._broken(site, view, left, planned, applying, book, broken)
            except CiGitopsError as error:
                away = BrokenError(Failure("trouble", error.message), error=error)
                return self._broken(site, view, left, planned, applying, book, away)
        if any(_is_namespace(key, view.inventory.namespace) for key in applying.removed):
            return self._done(
                site, target, planned, "succeeded", f"Its records went with the namespace {view.inventory.namespace}."
            )
        hooks.clear()
        kept = ledger.keep(replace(remaining(view.inventory, (), left, applying.removed), time=self._commit.time))
        record = book.note(outcome="succeeded", finished=stamp(datetime.now(UTC)))
        if not kept.members:
            ledger.drop(kept)
        site.cluster.publish(f"Delete {target}")
        message = f"{counted(len(kept.members), 'object')} stay." if kept.members else None
        return replace(self._done(site, target, planned, "succeeded", message), record=record)

    def _hooks(self, view: View, attempt: str) -> tuple[list[HookTask], list[HookTask]]:
        """Those that run before the deletion, and after it."""
        hooks = tuple(hook for hook in view.prepared.hooks if hook.phase in ("PreDelete", "PostDelete"))
        prepared = replace(view.prepared, documents=(), hooks=hooks)
        steps = steps_of(prepared, attempt, installing=False, phases=("PreDelete", "PostDelete"))
        tasks = [task for step in steps for task in step.hooks]
        return [task for task in tasks if task.phase == "PreDelete"], [
            task for task in tasks if task.phase == "PostDelete"
        ]

    def _clear_hooks(self, site: Site, records: Sequence[Record]) -> None:
        """Hooks that ran once and were left to be looked at."""
        runs = {run for record in records for run in record.hooks if run.uid}
        for run in sorted(runs, key=lambda run: (run.kind, run.namespace, run.name)):
            self._clear(site, run)

    @staticmethod
    def _clear(site: Site, run: HookRun) -> None:
        resource = site.cluster.preferred(run.group, run.kind)
        if resource is not None:
            try:
                site.cluster.delete(resource, run.namespace, run.name, uid=run.uid)
            except ApiError as error:
                if error.status not in (403, 404):
                    raise

    def _broken(
        self, site: Site, view: View, left: Leaving, planned: Planned, applying: Applying, book: Book,
        broken: BrokenError,
    ) -> Done:  # fmt: skip
        site.ledger.keep(remaining(view.inventory, (), left, applying.removed))
        record = book.note(outcome="failed", finished=stamp(datetime.now(UTC)), failure=broken.failure)
        error = broken.error or CiGitopsError(f"{view.inventory.target}: {broken.failure.message}")
        done = self._done(
            site, view.inventory.target, planned, "failed", broken.failure.message, broken.details, error=error
        )
        return replace(done, record=record)

    @staticmethod
    def _done(
        site: Site, target: Target, planned: Planned | None, outcome: Outcome, message: str | None = None,
        details: tuple[str, ...] = (), *, error: CiGitopsError | None = None,
    ) -> Done:  # fmt: skip
        return Done(
            target=target, destination=str(site.cluster), outcome=outcome, plan=planned.plan if planned else None,
            message=message, details=details, error=error,
        )  # fmt: skip


def _is_namespace(key: Key, name: str) -> bool:
    return (key.group, key.kind, key.name) == ("", "Namespace", name)


def _run_hooks(hooks: Hooks, tasks: Sequence[HookTask]) -> None:
    for task in tasks:
        live = hooks.start(task)
        if live is not None:
            hooks.finish(task, live)


def _no_waiting(documents: Sequence[Document]) -> Health:
    raise AssertionError("nothing is applied")  # pragma: no cover
