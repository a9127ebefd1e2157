"""The facts that gates are judged by: asked for only where a rule needs them, side by side, failures included.

A gate whose facts cannot be had does not hold, and says why; the others are judged nevertheless. One `Bench` lasts for
one look at the merge requests of one branch: what they share (what runs in the source, freezes, members of groups,
answers of addresses) is asked once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ci_gitops.adapters.certificates import ca_file
from ci_gitops.adapters.forges.base import Checks, Forge, Freeze
from ci_gitops.adapters.http_check import Address, ask
from ci_gitops.core.approvals import approvals_wanted
from ci_gitops.core.freezes import freeze_reason
from ci_gitops.core.gates import GateRules, GateState, together
from ci_gitops.core.hosts import proxy_for
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.running import Running
from ci_gitops.core.source_gates import Brought, healthy_gate, no_source, soak_gate, standing_holds
from ci_gitops.core.update_values import chart_versions
from ci_gitops.core.windows import standing
from ci_gitops.errors import CiGitopsError, RefusedError, TemporaryError, UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.gate_case import Case
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.workplace import RepositoryTree, Workplace, Workplaces

_T = TypeVar("_T")
_SIDE_BY_SIDE = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """Each gate with its state; `checks` are what ran for the head, where that could be read."""

    states: tuple[GateState, ...]
    checks: Checks | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """One gate of one environment. Questions of one `lane` are asked one after the other."""

    gate: str
    environment: str
    lane: str
    ask: Callable[[], GateState | None]

    def state(self) -> GateState | None:
        try:
            return self.ask()
        except CiGitopsError as error:
            hint = f" {error.hint}" if error.hint else ""
            return GateState(self.gate, False, f"cannot be told: {error.message}{hint}".rstrip("."), trouble=error)
        except ValueError as error:  # a freeze whose cron line or zone nobody understands
            return GateState(self.gate, False, f"cannot be told: {error}")


@dataclass
class Bench:
    """Where the merge requests of one branch are judged. `place` is that branch, whose rules count."""

    forge: Forge
    places: Workplaces | None = None
    place: Workplace | None = None
    now: Callable[[], float] = time.time
    _known: dict[tuple[str, str], object] = field(default_factory=dict)

    def judged(
        self, request: MergeRequest, rules: Sequence[GateRules], overrides: Mapping[str, str] | None = None
    ) -> Judged:
        """All gates of `rules`, for exactly the head that `request` has."""
        case = Case(self, request)
        states = self._answered([question for one in rules for question in self._about(case, one)])
        return Judged(tuple(together(states, overrides)), case.checks)

    def without_request(self, rules: Sequence[GateRules]) -> tuple[GateState, ...]:
        """The gates that need no merge request: of what would be promoted now."""
        states = self._answered([question for one in rules for question in self._general(one)])
        return tuple(together(states))

    def _answered(self, questions: Sequence[_Question]) -> list[tuple[str, GateState]]:
        """The lanes side by side, ours in this thread: Git's objects are one's own."""
        lanes: dict[str, list[int]] = {}
        for number, question in enumerate(questions):
            lanes.setdefault(question.lane, []).append(number)

        def run(numbers: Iterable[int]) -> dict[int, GateState | None]:
            return {number: questions[number].state() for number in numbers}

        own = lanes.pop("git", [])
        with ThreadPoolExecutor(max(1, min(_SIDE_BY_SIDE, len(lanes)))) as pool:
            others = [pool.submit(run, numbers) for numbers in lanes.values()]
            states = run(own)
            for other in others:
                states |= other.result()
        return [(questions[number].environment, state) for number in sorted(states) if (state := states[number])]

    # Which questions there are

    def _about(self, case: Case, rules: GateRules) -> list[_Question]:
        """Those that one environment has about a merge request."""
        name = rules.environment
        found = [_Question("ci", name, self._forge_lane, lambda: case.ci(rules))]
        if rules.approvals.count:
            found.append(_Question("approvals", name, "git", lambda: case.approvals(rules.approvals)))
        if self.place and name:
            found.append(_Question("hold", name, "git", lambda: case.hold(name)))
        if rules.statuses:
            found.append(_Question("statuses", name, self._forge_lane, lambda: case.statuses(rules)))
        return [*found, *self._source(rules, lambda: case.brought(name)), *self._timed(rules)]

    def _general(self, rules: GateRules) -> list[_Question]:
        """Those that are the same whatever is merged, and what every merge request will have to show."""
        name, found = rules.environment, []
        if rules.approvals.count:
            found.append(_Question("approvals", name, "clock", lambda: approvals_wanted(rules.approvals)))
        found.append(_Question("hold", name, "git", lambda: self._holds(rules)))
        if rules.statuses:
            wanted = GateState("statuses", False, f"{' and '.join(rules.statuses)} will have to pass")
            found.append(_Question("statuses", name, "clock", lambda: wanted))
        return [*found, *self._source(rules, lambda: self._all_of(rules)), *self._timed(rules)]

    def _holds(self, rules: GateRules) -> GateState | None:
        """None where nothing is held; what the source runs is asked only where an artifact is."""
        holds = holds_at(self.opened()[1], rules.environment)
        running = None
        if rules.source and any(hold.image for hold in holds):
            with contextlib.suppress(CiGitopsError):
                running = self._running(rules.source)
        return standing_holds(rules.environment, rules.source, holds, running) if holds else None

    def _timed(self, rules: GateRules) -> list[_Question]:
        found = []
        if rules.windows:
            found.append(_Question("windows", rules.environment, "clock", lambda: self._windows(rules)))
        if rules.freeze:
            found.append(_Question("freeze", rules.environment, self._forge_lane, self._freeze))
        if rules.http:
            lane = f"http {' '.join(rules.http)}"
            found.append(_Question("http", rules.environment, lane, lambda: self._http(rules.http)))
        return found

    @property
    def _forge_lane(self) -> str:
        """The local forge is the repository itself."""
        return "git" if self.forge.kind == "local" else "forge"

    # What all merge requests of the branch share

    def people(self, name: str) -> tuple[str, ...]:
        return self._once("people", name, lambda: self.forge.people(name))

    def _once(self, kind: str, name: str, look: Callable[[], _T]) -> _T:
        """What `look` finds, asked once; so is its failure."""
        key = (kind, name)
        if key not in self._known:
            try:
                self._known[key] = look()
            except CiGitopsError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, CiGitopsError):
            raise found
        return found  # type: ignore[return-value]

    def _windows(self, rules: GateRules) -> GateState:
        state = standing(rules.windows, int(self.now()))
        return GateState("windows", state.open, state.reason, until=0 if state.open else state.until or 0)

    def _freeze(self) -> GateState:
        if self.places and (run := self.places.run).ci.gitlab and run.environ.get("CI_DEPLOY_FREEZE"):
            reason = "this pipeline began in a deploy freeze of its project (CI_DEPLOY_FREEZE); start another later"
            return GateState("freeze", False, reason)
        freezes: tuple[Freeze, ...] | None = self._once("freezes", "", self.forge.freezes)
        if freezes is None:
            reason = f"the {self.forge.kind} forge keeps no deploy freezes: `windows` can say when nothing is merged"
            return GateState("freeze", True, reason)
        ok, until, reason = freeze_reason(freezes, int(self.now()))
        return GateState("freeze", ok, reason, until=until)

    def _http(self, addresses: Sequence[str]) -> GateState:
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(addresses))) as pool:
            told = list(pool.map(self._asked, dict.fromkeys(addresses)))
        bad = [reason for ok, reason in told if not ok]
        return GateState("http", not bad, "; ".join(bad or [reason for _, reason in told]))

    def _asked(self, written: str) -> tuple[bool, str]:
        return self._once("http", written, lambda: self._answer(written))

    def _answer(self, written: str) -> tuple[bool, str]:
        address = Address.of(written)
        environ = self.places.run.environ if self.places else {}
        trusted = ca_file(environ, self.places.reach.ca_file if self.places else None)
        try:
            answer = ask(address, ca_file=trusted, proxy=partial(proxy_for, environ=environ), same_host=True)
        except TemporaryError as error:
            return False, error.message.rstrip(".")
        if 200 <= answer.status < 300:
            return True, f"{address} answered {answer.status}"
        said = f": {answer.said}" if answer.said else ""
        return False, f"{address} answered {answer.status}, not 2xx{said}"

    # What runs in the source

    def _source(self, rules: GateRules, brought: Callable[[], Sequence[Brought]]) -> list[_Question]:
        found = []
        if rules.healthy:
            found.append(_Question("healthy", rules.environment, "git", lambda: self._healthy(rules, brought())))
        if rules.soak:
            found.append(_Question("soak", rules.environment, "git", lambda: self._soak(rules, brought())))
        return found

    def _healthy(self, rules: GateRules, brought: Sequence[Brought]) -> GateState:
        if not rules.source:
            return no_source("healthy", rules.environment)
        running = self._running(rules.source) if brought else ()
        return healthy_gate(rules.source, brought, running, self._charts(rules.source, brought, running))

    def _soak(self, rules: GateRules, brought: Sequence[Brought]) -> GateState:
        if not rules.source:
            return no_source("soak", rules.environment)
        running = self._running(rules.source) if brought else ()
        charts = self._charts(rules.source, brought, running)
        return soak_gate(rules.source, rules.soak, int(self.now()), brought, running, charts)

    def _running(self, source: str) -> tuple[Running, ...]:
        from ci_gitops.steps.running import running_in  # here, since most gates need no cluster

        places, place = self.opened()

        def look() -> tuple[Running, ...]:
            there, environment = self._source_place(source)
            return running_in(places, there, environment, forge=self.forge if there.url == place.url else None)

        return self._once("running", source, look)

    def _source_place(self, source: str) -> tuple[Workplace, EnvironmentSettings]:
        """Where the source is written; an environment's own repository may not know it, then the root does."""
        places, place = self.opened()
        root = place if source in place.settings.environments else places.root()
        there = places.of(root.settings.environment(source), root)
        return there, there.settings.environment(source)

    def _charts(
        self, source: str, brought: Sequence[Brought], running: Sequence[Running]
    ) -> dict[str, Mapping[str, str]]:
        """The versions of charts in what runs, of the apps whose charts are brought."""
        apps = {each.target.app for each in brought if each.charts}
        found: dict[str, Mapping[str, str]] = {}
        for each in (each for each in running if each.target.app in apps and each.deployed):
            repository = self._source_place(source)[0].repository
            tree = RepositoryTree(repository, repository.fetch(each.revision))
            found[each.target.app] = chart_versions(tree, each.target)
        return found

    def _all_of(self, rules: GateRules) -> list[Brought]:
        """Every app of the environment that its source has, as if each were promoted."""
        _, place = self.opened()
        there = {each.target.app for each in self._running(rules.source)} if rules.source else set()
        try:
            targets = targets_of(place, rules.environment, ())
        except UsageError:  # none of them has files on the branch yet
            return []
        return [Brought(each.target) for each in targets if each.target.app in there]

    def opened(self) -> tuple[Workplaces, Workplace]:
        if self.places is None or self.place is None:
            raise RefusedError("no config repository is open.")
        return self.places, self.place
