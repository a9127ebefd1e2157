"""The story of `deploy`: one pass of the Deploy Operator over an environment.

Which revision rules, what each target declares, what lives where it goes, what is to be done about the difference;
then target by target in the order of `after`, several at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.app_checks import Checked
from ci_gitops.core.holds import hold_on
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.plan_file import Reviewed
from ci_gitops.core.pruning import Belts
from ci_gitops.core.records import Record
from ci_gitops.core.rendered_commit import rendered_message
from ci_gitops.core.sequence import Sequence as Order
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, decisive
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.ancestry import Ancestry
from ci_gitops.steps.app_checks import run_checks
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.deploy_report import Done, Outcome, deploy_result
from ci_gitops.steps.deploying import Deploying
from ci_gitops.steps.destinations import Destinations, preload
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.judging import Orders
from ci_gitops.steps.looking import bounds_of, doubt_of, ignored, own_plan_key, prunes, sites_of
from ci_gitops.steps.planning import Planned, Terms
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.site import Site, View
from ci_gitops.steps.undertaking import origin_of
from ci_gitops.steps.waiting import Clock
from ci_gitops.steps.workplace import Workplace, Workplaces

if TYPE_CHECKING:
    from ci_gitops.steps.forge_report import ForgeReport

_WRITTEN = ("applied", "succeeded", "healed")
_WRITES = 8  # at a time, of all targets: while one answer is read the server works on others


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployCall(Ask):
    """The options of one call, as the command line gives them."""

    plan: str | None = None
    prune: bool | None = None
    prune_limit: int | None = None
    prune_kinds: tuple[str, ...] = ()
    take_over: bool = False
    recreate: tuple[str, ...] = ()
    wait: bool = True
    timeout: float = 600.0
    rollback_on_failure: bool = False
    retry: bool = False
    rerun_hooks: bool = False
    force: bool = False
    exit_code: bool = False
    parallel: int = 4
    dry_run: bool = False


def deploy(run: Run, call: DeployCall) -> Result:
    """Bring the destination of one environment to what Git declares; the error that decides carries the result."""
    deadline = Deadline.after(call.timeout)
    preload(run, call)
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        report = _Report(places, place, environment, call)
        with Destinations(run, call, place, environment, call.timeout) as destinations:
            one = _Pass(places, call, place, environment, destinations, deadline, report.began)
            try:
                done = one.run_all()
            except BaseException:
                report.broke_off()
                raise
        report.ended(done)
    result = deploy_result(environment.name, place.revision, done)
    errors = [each.error for each in done if each.error]
    if errors:
        error = decisive(errors)
        error.result = result
        raise error
    drifted = call.exit_code and any(each.outcome in ("drifted", "planned") for each in done)
    return Result(result.kind, result.document, result.text, 3) if drifted else result


class _Report:
    """What the forge is told. Most passes deploy nothing: who speaks to forges is loaded when one does."""

    def __init__(
        self, places: Workplaces, place: Workplace, environment: EnvironmentSettings, call: DeployCall
    ) -> None:
        self._about = (places, place, environment, call)
        self._lock = Lock()
        self._made: ForgeReport | None = None

    def began(self, opened: Record, earlier: Sequence[Record]) -> None:
        if self._about[3].wait:
            self._made_now().began(opened, earlier)

    def ended(self, done: Sequence[Done]) -> None:
        if any(each.record for each in done):
            self._made_now().ended(done)

    def broke_off(self) -> None:
        if self._made:
            self._made.broke_off()

    def _made_now(self) -> ForgeReport:
        from ci_gitops.steps.forge_report import ForgeReport

        with self._lock:
            self._made = self._made or ForgeReport(*self._about)
            return self._made


class _Pass:
    """One pass over one environment at one revision."""

    def __init__(
        self, places: Workplaces, call: DeployCall, place: Workplace, environment: EnvironmentSettings,
        destinations: Destinations, deadline: Deadline, began: Callable[[Record, Sequence[Record]], None],
    ) -> None:  # fmt: skip
        run = places.run
        self._run, self._call, self._place = run, call, place
        self._environment, self._destinations, self._deadline = environment, destinations, deadline
        self._began = began
        self._commit = place.repository.log(place.revision, 1)[0]
        self._sets = RenderedSets(run, place, destinations.of, fresh=call.no_cache)
        self._failed: list[Done] = []
        self._ancestry = Ancestry(places, place)
        self._holds = holds_at(place, environment.name)
        self._reviewed = _reviewed(places, place, call, environment.name) if call.plan else None

    def run_all(self) -> list[Done]:
        """Every target's end, in the order of the configuration."""
        targets = self._targets()
        declared = self._rendered(targets)
        doubt = doubt_of(each.target for each in self._failed)
        sites = self._sites(declared)
        for site in sites:
            self._failed += [_failed(target, error, str(site.cluster)) for target, error in site.broken.items()]
        with ThreadPoolExecutor(_WRITES, "write") as writes:
            orders = self._orders(doubt)
            work = {
                target.app: self._deploying(site, target, orders, writes) for site in sites for target in site.targets
            }
            done = {each.target.app: each for each in self._failed}
            done |= self._too_much(work) or self._in_order(work, [*done])
        if not self._call.dry_run:
            self._publish(done)
        places = [*(target.app for target in targets), *work]
        return [done[app] for app in dict.fromkeys(places) if app in done]

    def _publish(self, done: dict[str, Done]) -> None:
        """Push what was rendered, all of it at once, but for targets that went wrong half-way."""
        well = [each for each in done.values() if each.is_well]
        new = [each for each in well if each.outcome in _WRITTEN]
        message = rendered_message(self._environment.name, self._place.revision, [each.target for each in new])
        try:
            self._destinations.publish(message, [each.target for each in well])
        except CiGitopsError as error:
            if not new:  # only that the commit is nothing new: another run that was first knows as much
                self._run.output.detail(error.message)
            for each in new:
                outcome: Outcome = {5: "refused", 75: "away"}.get(error.exit_code, "failed")  # type: ignore[assignment]
                done[each.target.app] = replace(each, outcome=outcome, message=error.message, error=error)

    def _targets(self) -> tuple[Target, ...]:
        return self._place.settings.targets([self._environment.name], self._call.apps, paths=self._place.tree.files())

    def _rendered(self, targets: Sequence[Target]) -> dict[Target, tuple[Manifest, ...]]:
        """What each target declares. One that does not render does not keep the others from being deployed."""
        declared: dict[Target, tuple[Manifest, ...]] = {}
        for target, found in self._sets.of(targets).items():
            if isinstance(found, CiGitopsError):
                self._failed.append(_failed(target, found))
            else:
                declared[target] = found
        return declared

    def _sites(self, declared: Mapping[Target, Sequence[Manifest]]) -> list[Site]:
        """The destinations: one for all targets, or for each its own."""
        return sites_of(
            self._destinations, declared, self._deadline, self._commit,
            create_namespace=self._environment.create_namespace, with_gone=not self._call.apps and not self._failed,
        )  # fmt: skip

    def _deploying(self, site: Site, target: Target, orders: Orders, writes: ThreadPoolExecutor) -> Deploying:
        return Deploying(
            run=self._run, site=site, target=target, orders=orders, terms=partial(self._terms, site),
            rules=ignored(self._place.settings, target.app), holds=partial(hold_on, holds=self._holds),
            past=self._past(target), deadline=self._deadline, pool=writes,
        )  # fmt: skip

    def _terms(self, site: Site, view: View) -> Terms:
        call = self._call
        make = site.terms(
            try_new=call.dry_run, take_over=call.take_over, recreate=call.recreate, plan_key=own_plan_key(self._run)
        )
        return make(view)

    def _past(self, target: Target) -> Callable[[Record], Sequence[Manifest]]:
        return lambda record: self._sets.at(record.revision, target)

    def _orders(self, doubt: str | None) -> Orders:
        call, environment, commit = self._call, self._environment, self._commit
        destination = environment.destination
        return Orders(
            revision=self._place.revision, time=commit.time, behind=self._behind, origin=origin_of(self._run, commit),
            sandbox=self._sets.level, drift=destination.drift if destination else "report",
            manual=environment.sync == "manual", named=bool(call.revision), planned=bool(call.plan),
            force=call.force or self._is_pinned(), retry=call.retry, rerun_hooks=call.rerun_hooks,
            prune=prunes(environment, call.prune),
            belts=Belts(kinds=frozenset(call.prune_kinds), limit=call.prune_limit), doubt=doubt, wait=call.wait,
            dry_run=call.dry_run, health=environment.health, checks=self._checks,
            bounds=bounds_of(self._place, environment),
            began=self._began, roll_back=call.rollback_on_failure, rollback_seconds=call.timeout, revert=self._revert,
            reviewed=self._agree,
        )  # fmt: skip

    def _revert(self, good: Record, bad: Record) -> tuple[str, ...]:
        from ci_gitops.steps.reverting import revert  # few runs need it, and it brings the updater along

        return revert(self._run, self._call, self._place, good, bad)

    def _checks(self, deadline: Deadline) -> Sequence[Checked]:
        return run_checks(
            self._run, self._environment.checks, deadline=deadline.end, authority=self._call.ca_file,
            clock=Clock(deadline.now),
        )  # fmt: skip

    def _agree(self, planned: Planned) -> None:
        """RefusedError where a plan was reviewed and this is another one."""
        if self._reviewed:
            from ci_gitops.steps.plan_note import agree

            agree(self._reviewed, [planned.plan])

    def _is_pinned(self) -> bool:
        """Whether the settings name one commit: then they say what order is, and may go back."""
        repository = self._environment.repository
        return bool(repository and repository.commit and not self._call.revision)

    def _behind(self, inventory: Inventory) -> bool | None:
        return self._ancestry.is_behind(self._place.revision, inventory.revision)

    @staticmethod
    def _too_much(work: Mapping[str, Deploying]) -> dict[str, Done]:
        """Every target's end where prune would take too much of one: rather a mistake than a wish, in all of them."""
        refusals = {name: refusal for name, each in work.items() if (refusal := each.mass_deletion())}
        if not refusals:
            return {}
        because = f"Nothing is written in this pass: prune would take too much of {', '.join(refusals)}."
        return {
            name: each.refuse(refusals[name]) if name in refusals else Done(
                target=each.target, destination=str(each.site.cluster), outcome="blocked", message=because
            )
            for name, each in work.items()
        }  # fmt: skip

    # One after the other where `after` says so, else side by side

    def _in_order(self, work: Mapping[str, Deploying], failed: Sequence[str]) -> dict[str, Done]:
        settings = self._place.settings
        after = {name: app.after for name, app in settings.apps.items()}
        order = Order.of([*work, *failed], after)
        done: dict[str, Done] = {}
        for name in failed:
            self._block(order.fail(name), work, done)
        running: dict[Future[Done], str] = {}
        with ThreadPoolExecutor(self._call.parallel, "target") as pool:
            try:
                self._fill(pool, order, work, running)
                while running:
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        name = running.pop(future)
                        done[name] = future.result()
                        if not done[name].is_well:
                            self._block(order.fail(name), work, done)
                    self._fill(pool, order, work, running)
            except BaseException:
                self._deadline.stop()
                raise
        return done

    @staticmethod
    def _fill(
        pool: ThreadPoolExecutor, order: Order, work: Mapping[str, Deploying], running: dict[Future[Done], str]
    ) -> None:
        for name in order.ready([*running.values()]):
            if name in work:
                running[pool.submit(work[name].deploy)] = name

    @staticmethod
    def _block(lost: Sequence[tuple[str, str]], work: Mapping[str, Deploying], done: dict[str, Done]) -> None:
        for name, because in lost:
            if name in work:
                message = f"It comes after {because}, which is not healthy."
                deploying = work[name]
                done[name] = Done(
                    target=deploying.target, destination=str(deploying.site.cluster), outcome="blocked",
                    message=message,
                )  # fmt: skip


def _reviewed(places: Workplaces, place: Workplace, call: DeployCall, environment: str) -> Reviewed:
    from ci_gitops.steps.plan_note import NoteAsk, reviewed_plan  # here, since most calls need no forge

    return reviewed_plan(places, place, environment, call.plan or "", NoteAsk(repo=call.repo, apps=call.apps))


def _failed(target: Target, error: CiGitopsError, destination: str = "") -> Done:
    return Done(target=target, destination=destination, outcome="failed", message=error.message, error=error)
