"""The story of `verify`: wait until an environment is healthy, and say so as `status` does.

With a revision (`--revision`, or what an `update` before left) it waits first until that, or something newer, has
been deployed: by whoever deploys. The configuration's checks are asked at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ci_gitops.adapters.cluster.base import Cluster, Document
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Ledger
from ci_gitops.core.app_checks import Checked, checked_health
from ci_gitops.core.explaining import Trouble, trouble_lines
from ci_gitops.core.health import Health
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target
from ci_gitops.core.waiting import Verdict
from ci_gitops.errors import TemporaryError, UnhealthyError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.ancestry import Ancestry
from ci_gitops.steps.app_checks import run_checks
from ci_gitops.steps.declared import Ask, declared_at, wanted_revision
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.explaining import explain
from ci_gitops.steps.observing import observe
from ci_gitops.steps.state import State, sight
from ci_gitops.steps.status_report import status_result
from ci_gitops.steps.waiting import Clock, Wait, wait_healthy
from ci_gitops.steps.workplace import Workplace, Workplaces

_AT_ONCE = 8
_LOOK_AGAIN = 3.0  # seconds between two looks at what was deployed
_REPORT = 100.0  # seconds for the last look at everything
_LASTING = frozenset(("hook", "check", "rollback"))  # failures that healthy objects do not undo


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyCall(Ask):
    """The options of one call, as the command line gives them."""

    timeout: float = 600.0
    may_be_late: bool = False  # what is only late is told as TemporaryError


@dataclass(frozen=True, slots=True)
class Found:
    """How waiting for one target ended; `health` is None where nothing acts on its objects."""

    target: Target
    health: Health | None
    ok: bool
    troubles: tuple[Trouble, ...] = ()
    late: bool = False  # not well yet, at the deadline

    @property
    def message(self) -> str:
        return f"{self.target}: {self.health.message if self.health else ''}"


def verify(run: Run, call: VerifyCall) -> Result:
    """Wait, then report; UnhealthyError carries the report where something is not well."""
    deadline = Deadline.after(call.timeout)
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        with Destinations(run, call, place, environment, call.timeout) as destinations:
            wanted = place.revision if wanted_revision(run, call) else ""
            waiting = _Verifying(run, environment, destinations, deadline, wanted, Ancestry(places, place))
            found = waiting.wait(_targets(place, environment, call))
        checks: tuple[Checked, ...] = ()
        if all(each.ok for each in found):
            checks = run_checks(run, environment.checks, deadline=deadline.end, authority=call.ca_file,
                                clock=Clock(deadline.now))  # fmt: skip
        with sight(run, call, place, environment, Deadline.after(_REPORT)) as seen:
            states = seen.states()
    return _judged(states, found, checks, may_be_late=call.may_be_late)


def _targets(place: Workplace, environment: EnvironmentSettings, call: Ask) -> tuple[Target, ...]:
    return place.settings.targets([environment.name], call.apps, paths=place.tree.files())


@dataclass(slots=True)
class _Verifying:
    """One environment that is waited for."""

    run: Run
    environment: EnvironmentSettings
    destinations: Destinations
    deadline: Deadline
    wanted: str  # revision; empty: whatever is there
    ancestry: Ancestry
    _ledgers: dict[int, Ledger] = field(default_factory=dict)

    def wait(self, targets: Sequence[Target]) -> list[Found]:
        """All targets side by side."""
        clusters = [self.destinations.of(target) for target in targets]
        for cluster in clusters:
            if id(cluster) not in self._ledgers:
                self._ledgers[id(cluster)] = self.destinations.ledger(cluster, self.deadline)
        with ThreadPoolExecutor(_AT_ONCE, "verify") as pool:
            try:
                return list(pool.map(self._target, targets, clusters))
            except BaseException:
                self.deadline.stop()
                raise

    def _target(self, target: Target, cluster: Cluster) -> Found:
        arrived = self._arrived(target, self._ledgers[id(cluster)])
        if isinstance(arrived, Found):
            return arrived
        if not cluster.alive:
            return Found(target, None, ok=True)
        wait = Wait(name=str(target), deadline=self.deadline.end, rules=self.environment.health, changed=(),
                    clock=Clock(self.deadline.now))  # fmt: skip
        verdict = wait_healthy(self.run, cluster, _documents(cluster, arrived), wait)
        newest = next(iter(self._ledgers[id(cluster)].records(target)), None)
        failed = verdict.status == "degraded" or (newest is not None and newest.marks)
        return Found(
            target, Health(verdict.status, verdict.message), verdict.ok, self._troubles(cluster, verdict),
            late=verdict.end == "deadline" and not failed,
        )  # fmt: skip

    def _arrived(self, target: Target, ledger: Ledger) -> Inventory | Found:
        """What the target holds, once what is wanted was deployed."""
        told = ""
        while True:
            inventory, newest = ledger.inventory(target), next(iter(ledger.records(target)), None)
            waits = self._waits(inventory) or _under_way(newest)
            if waits is None:
                return _failed(target, newest) or inventory
            if self.deadline.over:
                return Found(target, Health("missing", f"{waits} It was waited for in vain."), ok=False, late=True)
            if waits != told:
                self.run.output.step(f"{target}: {waits}")
            told = waits
            self.deadline.stopped.wait(min(_LOOK_AGAIN, self.deadline.left()))

    def _waits(self, inventory: Inventory) -> str | None:
        """What is waited for before health; None where that is there."""
        if not inventory.members:
            return "Nothing of it was deployed yet."
        if not self.wanted or inventory.revision == self.wanted:
            return None
        if self.ancestry.is_behind(self.wanted, inventory.revision):
            return None
        return f"{self.wanted[:12]} was not deployed yet; {inventory.revision[:12] or 'nothing'} was."

    def _troubles(self, cluster: Cluster, verdict: Verdict) -> tuple[Trouble, ...]:
        ill = [each.document for each in verdict.blocking if each.document is not None]
        return explain(cluster, ill, rules=self.environment.health) if ill else ()


def _under_way(newest: Record | None) -> str | None:
    """The inventory names a revision before it is there as a whole; the record is closed when it is."""
    return None if newest is None or newest.closed else f"It is being deployed since {newest.started}."


def _failed(target: Target, newest: Record | None) -> Found | None:
    """A deployment whose hook or check failed, however well its objects are."""
    if newest is None or newest.failure is None or newest.failure.kind not in _LASTING:
        return None
    return Found(target, Health("degraded", f"Its deployment failed: {newest.failure.message}"), ok=False)


def _documents(cluster: Cluster, inventory: Inventory) -> list[Document]:
    """What the target holds; of what is not there no more than its name."""
    live = observe(cluster, [], [inventory])
    return [
        live.get(member.key)
        or {"apiVersion": member.api_version, "kind": member.key.kind,
            "metadata": {"name": member.key.name, "namespace": member.key.namespace}}
        for member in inventory.members
        if not live.failed(member.key)
    ]  # fmt: skip


def _judged(states: Sequence[State], found: Sequence[Found], checks: Sequence[Checked], *, may_be_late: bool) -> Result:
    """The report with what waiting found out, which the last look alone may not see."""
    bad = {each.target: each for each in found if not each.ok}
    seen = [replace(state, health=bad[state.target].health) if state.target in bad else state for state in states]
    status = status_result(seen)
    working = checked_health(checks)
    lines = [
        status.text,
        *(line for each in bad.values() for trouble in each.troubles for line in trouble_lines(trouble)),
    ]
    lines += [f"Check {each.line}" for each in checks]
    troubles = [trouble.document for each in bad.values() for trouble in each.troubles]
    document = {**status.document, "checks": [each.document for each in checks], "troubles": troubles}
    result = Result("Status", document, "\n".join(lines))
    if bad:
        late = may_be_late and all(each.late for each in bad.values())
        raise (TemporaryError if late else UnhealthyError)(
            " ".join(each.message for each in bad.values()), result=result
        )
    if working.status != "healthy":
        raise UnhealthyError(working.message, result=result)
    return result
