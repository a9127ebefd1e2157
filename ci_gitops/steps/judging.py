"""What a pass does with one target: decided before any write, from what is declared, what lives and the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.app_checks import Checked
from ci_gitops.core.guards import Decision, Drift, Refusal, Standing, decide
from ci_gitops.core.health import Health, HealthRule, assess_health, counts, overall
from ci_gitops.core.holds import Hold
from ci_gitops.core.ignoring import Rule
from ci_gitops.core.inventory import Inventory, Key
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.pruning import Belts, Leaving
from ci_gitops.core.records import (
    Cause,
    Origin,
    Record,
)
from ci_gitops.core.targets import Target
from ci_gitops.core.tenancy import Bounds
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError, RefusedError, TemporaryError, decisive
from ci_gitops.run import Run
from ci_gitops.steps.deploy_report import Done, Outcome
from ci_gitops.steps.looking import leaving_of, plan_view, refuse_what_is_not_allowed
from ci_gitops.steps.planning import Planned, Terms, Work
from ci_gitops.steps.site import Site, View

#: What a revision is called, and whether it is behind the one that a target has: None where nobody can tell.
Behind = Callable[[Inventory], bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What holds for all targets of a pass."""

    revision: str
    time: int  # when it was committed, in seconds
    behind: Behind
    origin: Origin = field(default_factory=Origin)
    sandbox: str | None = None
    drift: Drift = "report"
    manual: bool = False
    named: bool = False  # a person named the revision
    planned: bool = False  # ... or the plan
    force: bool = False
    retry: bool = False
    rerun_hooks: bool = False
    prune: bool = False
    belts: Belts = field(default_factory=Belts)
    doubt: str | None = None  # why nothing at all is pruned
    wait: bool = True
    dry_run: bool = False
    health: tuple[HealthRule, ...] = ()
    reviewed: Callable[[Planned], None] = lambda planned: None  # RefusedError where the plan is another one
    checks: Callable[[Deadline], Sequence[Checked]] = lambda deadline: ()  # questions to the application
    bounds: Bounds = field(default_factory=Bounds)
    roll_back: bool = False
    rollback_seconds: float = 600.0
    began: Callable[[Record, Sequence[Record]], None] = lambda opened, earlier: None  # a deployment, not a healing
    revert: Callable[[Record, Record], tuple[str, ...]] = lambda good, bad: ()  # in Git; what was done, in sentences


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be done with a target; `done` where that is nothing."""

    planned: Planned
    left: Leaving
    decision: Decision
    done: Done | None
    work: tuple[Work, ...] = ()
    cause: Cause = "deploy"
    records: tuple[Record, ...] = ()


@dataclass(slots=True, kw_only=True)
class Judging:
    """One target of a pass. `past` renders what an earlier record applied."""

    run: Run
    site: Site
    target: Target
    orders: Orders
    terms: Callable[[View], Terms]
    rules: tuple[Rule, ...] = ()
    holds: Callable[[Target], Hold | None] = lambda target: None
    past: Callable[[Record], Sequence[Manifest]] | None = None
    _plan: Planned | None = field(default=None)

    def mass_deletion(self) -> Refusal | None:
        """Why the whole pass is refused, where prune would take too much of this target."""
        view = self.site.view(self.target)
        left = self._leaving(view) if self.orders.prune else None
        if left is None or left.refusal is None:
            return None
        decision = decide(self._standing(view))
        untouched = decision.action in ("held", "refuse") or (decision.action == "report" and decision.note)
        return None if untouched else left.refusal

    def refuse(self, refusal: Refusal) -> Done:
        error = RefusedError(refusal.message, hint=refusal.hint)
        return self._done("refused", message=error.message, error=error)

    def judge(self, view: View) -> Judged:
        """What the pass does with the target, as it was seen."""
        records, inventory = view.records, view.inventory
        refuse_what_is_not_allowed(self.site, view.prepared, self.orders.bounds)
        left = self._leaving(view)
        planned = self._planned(view, left)
        decision = decide(self._standing(view))
        if decision.refusal:
            refused = self.refuse(decision.refusal)
            done = replace(refused, outcome="held") if decision.action == "held" else refused
            return Judged(planned, left, decision, done)
        if left.refusal and self.orders.prune:
            raise RefusedError(left.refusal.message, hint=left.refusal.hint)
        if planned.troubles:
            return Judged(planned, left, decision, self._stopped(planned.troubles))
        if view.gone and not self.orders.prune:
            return Judged(planned, left, decision, self._left_behind(view))
        if decision.action in ("held", "report") and (decision.action == "held" or decision.new or planned.drifted):
            return Judged(planned, left, decision, self._reported(view, decision, planned))
        drifting = decision.action == "report"
        work = tuple(each for each in planned.work if not (drifting and each.drift))
        again = self.orders.rerun_hooks and bool(view.prepared.hooks)
        if not work and not decision.new and not again:
            self._note_revision(inventory)
            return Judged(planned, left, decision, self._done("unchanged", health=self._health(view)))
        self.orders.reviewed(planned)
        cause: Cause = "deploy" if decision.new or again or any(not each.drift for each in work) else "heal"
        return Judged(planned, left, decision, None, work, cause, records)

    def _planned(self, view: View, left: Leaving) -> Planned:
        self._plan = plan_view(
            self.site, view, self.terms(view), rules=self.rules, past=self.past,
            deletes=left.compared if self.orders.prune else (),
        )  # fmt: skip
        return self._plan

    def _leaving(self, view: View) -> Leaving:
        return leaving_of(self.site, view, self.orders.belts, self.orders.doubt)

    def _standing(self, view: View) -> Standing:
        orders = self.orders
        return Standing(
            inventory=view.inventory, records=view.records, revision=orders.revision,
            rendered=view.prepared.rendered, behind=orders.behind(view.inventory), hold=self.holds(self.target),
            drift=orders.drift, manual=orders.manual, named=orders.named, planned=orders.planned, force=orders.force,
            retry=orders.retry,
        )  # fmt: skip

    def _stopped(self, troubles: Sequence[CiGitopsError]) -> Done:
        """Nothing is written where one object cannot be: a target is not left half-way for what was known before."""
        first = decisive(troubles)
        outcome: Outcome = {5: "refused", 75: "away"}.get(first.exit_code, "failed")  # type: ignore[assignment]
        others = tuple(each.message for each in troubles if each is not first)
        return self._done(outcome, message=first.message, details=others, error=first)

    def _reported(self, view: View, decision: Decision, planned: Planned) -> Done:
        health = self._health(view)
        if decision.action == "held":
            return self._done("held", message=decision.note, health=health)
        if decision.new:
            return self._done("manual", message=decision.note, health=health)
        drifted = [each.key for each in planned.work if each.drift]
        message = f"{len(drifted)} of its objects drifted; `drift: heal`, or a new revision, brings them back."
        return self._done("drifted", message=message, health=health)

    def _left_behind(self, view: View) -> Done:
        """A target that left Git, where nothing is pruned."""
        count = len(view.inventory.members)
        message = (
            f"It left Git; its {counted(count, 'object')} stay, since pruning is off. "
            f"`ci-gitops delete --environment {self.target.environment} --app {self.target.app}` removes them."
        )
        self.run.output.warn(f"{self.target}: {message}")
        return self._done("unchanged", message=message)

    def _note_revision(self, inventory: Inventory) -> None:
        """A commit that is nothing new for this target is still one that it has: nothing older comes after it."""
        orders = self.orders
        if orders.dry_run or not inventory.resource_version or inventory.revision == orders.revision:
            return
        if inventory.time <= orders.time:
            try:
                self.site.ledger.keep(replace(inventory, revision=orders.revision, time=orders.time))
            except TemporaryError as error:  # another run writes: it knows better
                self.run.output.detail(error.message)

    def _health(self, view: View) -> Health | None:
        if not self.site.cluster.alive:
            return None
        found = [(Key.of(document), view.live.get(Key.of(document))) for document in view.prepared.documents]
        now = datetime.now(UTC)
        return overall(
            (str(key), assess_health(live, self.orders.health, now=now))
            for key, live in found
            if live is None or counts(live)
        )

    def _done(
        self, outcome: Outcome, *, record: Record | None = None, health: Health | None = None,
        message: str | None = None, details: tuple[str, ...] = (), error: CiGitopsError | None = None,
    ) -> Done:  # fmt: skip
        plan = self._plan.plan if self._plan else None
        return Done(
            target=self.target, destination=str(self.site.cluster), outcome=outcome, plan=plan, record=record,
            health=health, message=message, details=details, error=error,
        )  # fmt: skip
