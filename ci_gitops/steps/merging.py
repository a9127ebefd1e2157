"""Merging what is ready: gates are evaluated for one head, and exactly that head is merged.

`update --merge` and `merge` are the same few functions. Several processes may run them at once: whoever comes second
finds it merged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall, MergeOutcome
from ci_gitops.core import windows
from ci_gitops.core.gates import OWN_STATUS, ApprovalRule, Checks, GateRules, GateState, waiting
from ci_gitops.core.markdown import code, words
from ci_gitops.core.mergerequest_text import merge_message
from ci_gitops.core.mergerequests import GiveWay, MergeMethod, MergeRequest
from ci_gitops.errors import CiGitopsError, RefusedError
from ci_gitops.output import Progress
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.settings.environments import Gates, Window
from ci_gitops.steps.gate_facts import Bench

Rule = Literal["manual", "when-green", "now"]
VerdictState = Literal["merged", "already", "ready", "armed", "waiting", "manual", "refused", "failed"]
GATES_STATUS = f"{OWN_STATUS}/gates"
_LONGEST_PAUSE = 15.0  # seconds between two looks
_TELL_AGAIN = 60.0
#: Who cannot read these cannot merge either: a failure, where any other gate whose facts are away waits for them.
_OF_THE_FORGE = ("ci", "approvals", "statuses")
_FOR_A_PIPELINE = (1.0, 2.0, 4.0)  # seconds between looks for a pipeline that a push has just begun
_HEAD_MOVES = 3  # how often a head may move under us before we leave it to the next run


@dataclass(frozen=True, slots=True)
class MergePolicy:
    """What an environment's settings, read at the head of the target branch, say about merging."""

    rule: Rule = "manual"
    gates: tuple[GateRules, ...] = (GateRules(),)  # of each environment
    squash: bool | None = None
    remove_source_branch: bool | None = None

    @property
    def method(self) -> MergeMethod | None:
        return None if self.squash is None else ("squash" if self.squash else "merge")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one merge request. `ready`: it would be merged (dry run). `failed`: see `error`."""

    request: MergeRequest
    state: VerdictState
    gates: tuple[GateState, ...] = ()
    reason: str = ""
    conflicts: tuple[str, ...] = ()
    error: CiGitopsError | None = None
    ci_runs: bool = False  # a pipeline runs for this head
    ci_awaited: bool = False  # the project has CI, and nothing runs for this head yet
    behind: bool = False  # refused only since its target has moved on
    notes: tuple[str, ...] = ()  # what else a reader should know

    @property
    def waits(self) -> bool:
        """Whether time or somebody else may still bring it to be merged."""
        return self.state in ("waiting", "armed")

    @property
    def unmet(self) -> tuple[GateState, ...]:
        """What it waits for; at least one where it waits."""
        return waiting(self.gates) or (GateState("merge", False, self.reason),)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for gates: `seconds` in all (0: not at all), looking again after growing pauses."""

    seconds: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    progress: Progress = field(default=lambda line: None)


def settle(judge: Callable[[], Sequence[Verdict]], patience: Patience) -> Sequence[Verdict]:
    """Call `judge` until nothing waits any more or patience is at its end; its last answer.

    What is waited for is told when it changes, and once a minute.
    """
    deadline = patience.clock() + patience.seconds
    pause, told, told_at = 1.0, "", 0.0
    while True:
        verdicts = judge()
        held = [verdict for verdict in verdicts if verdict.waits]
        left = deadline - patience.clock()
        if not held or left <= 0:
            return verdicts
        gate = held[0].unmet[0]
        reason = f"Waiting for !{held[0].request.iid}: {gate.gate}: {gate.reason}"
        if reason != told or patience.clock() - told_at >= _TELL_AGAIN:
            patience.progress(f"{reason} ({left:.0f} s left)")
            told, told_at = reason, patience.clock()
        patience.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Merger:
    """How merges are made in this run."""

    forge: Forge
    overrides: Mapping[str, str] = field(default_factory=dict)  # gate -> reason
    dry_run: bool = False
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    bench: Bench | None = None  # of this look; without one, what needs no config repository is judged

    def merge(self, request: MergeRequest, policy: MergePolicy | Callable[[MergeRequest], MergePolicy]) -> Verdict:
        """Merge it if its gates hold; else say which do not. A callable `policy` is asked for each head."""
        verdict = Verdict(request, "waiting")
        for _ in range(_HEAD_MOVES):
            request = self.forge.get(request.iid)
            verdict = self._once(request, policy)
            if verdict.state != "refused":
                return verdict
            now = self.forge.get(request.iid)
            if (now.state, now.head_sha) == (request.state, request.head_sha):
                return verdict
        return replace(verdict, state="waiting", reason="its branch keeps moving; the next run looks again")

    def merge_by_rule(
        self, request: MergeRequest, policy: MergePolicy, at: Callable[[MergeRequest], MergePolicy] | None = None
    ) -> Verdict:
        """What an environment's `merge` rule says for a merge request that was just written.

        `at` gives the policy for each head, where that may be another one.
        """
        if policy.rule == "manual":
            return Verdict(request, "waiting", reason="people merge it (merge: manual)")
        verdict = self.merge(request, at or policy)
        if verdict.state != "waiting" or self.dry_run:
            return verdict
        if policy.rule == "now":
            return replace(verdict, state="refused")
        for pause in _FOR_A_PIPELINE if not self.forge.keeps_gates else ():
            if not verdict.ci_awaited:
                break
            self.sleep(
                pause
            )  # the push was just now: its pipeline is about to be made, and can then be left to the forge
            verdict = self.merge(verdict.request, at or policy)
        if verdict.state != "waiting" or not self._may_be_armed(verdict):
            return verdict
        outcome = self.forge.arm(request.iid, self._call(verdict.request, policy, verdict.gates))
        return Verdict(outcome.request, _STATES[outcome.state], verdict.gates, outcome.reason)

    def _may_be_armed(self, verdict: Verdict) -> bool:
        """Whether the forge, merging it by itself, would hold to all of its gates.

        One that waits for pipelines alone may do so where CI is the only gate and a pipeline runs.
        """
        return self.forge.keeps_gates or (verdict.ci_runs and {gate.gate for gate in verdict.gates} == {"ci"})

    def _once(self, request: MergeRequest, rules: MergePolicy | Callable[[MergeRequest], MergePolicy]) -> Verdict:
        if request.state != "open":
            state: VerdictState = "already" if request.state == "merged" else "refused"
            gone = f": its branch {request.source} does not exist any more"  # GitHub closes it with that
            closed = request.state == "closed" and not request.head_sha
            return Verdict(request, state, reason=f"it is {request.state}{gone if closed else ''}")
        if outside := standing_in_the_way(request):
            return Verdict(request, "waiting", (outside,), outside.reason)
        policy = rules if isinstance(rules, MergePolicy) else rules(request)
        judged = (self.bench or Bench(self.forge, now=self.now)).judged(request, policy.gates, self.overrides)
        gates = judged.states
        for unmet in waiting(gates):
            if unmet.trouble and unmet.gate in _OF_THE_FORGE:
                raise unmet.trouble
        if waiting(gates):
            return self._held_back(request, gates, judged.checks or Checks(request.head_sha))
        if self.dry_run:
            return Verdict(request, "ready", gates)
        outcome = self._merge(request, policy, gates)
        state = _STATES[outcome.state]
        return Verdict(outcome.request, state, gates, outcome.reason, outcome.conflicts, behind=outcome.behind)

    def _held_back(self, request: MergeRequest, gates: tuple[GateState, ...], checks: Checks) -> Verdict:
        """It waits for its gates; a forge that would merge it without them is told not to."""
        reason = "; ".join(f"{gate.gate}: {gate.reason}" for gate in waiting(gates))
        runs = checks.pipeline in ("pending", "running")
        awaited = checks.has_ci and checks.pipeline is None
        verdict = Verdict(request, "waiting", gates, reason, ci_runs=runs, ci_awaited=awaited)
        self._take_back(request, checks, reason)
        if not request.armed_sha or self.dry_run:
            return verdict
        if self._may_be_armed(verdict):
            return replace(verdict, state="armed")
        taken_back = "its auto-merge was taken back, since a gate does not hold any more"
        return replace(verdict, request=self.forge.disarm(request.iid), reason=f"{reason}; {taken_back}")

    def _take_back(self, request: MergeRequest, checks: Checks, reason: str) -> None:
        """Where the forge waits for our status, it must not say that gates hold which do not hold any more."""
        said = {status.name: status.state for status in checks.statuses}
        if self.forge.keeps_gates and said.get(GATES_STATUS) == "success" and not self.dry_run:
            status = CommitStatus(GATES_STATUS, "pending", reason)
            self.forge.set_status(request.head_sha, status, ref=request.source)

    def _merge(self, request: MergeRequest, policy: MergePolicy, gates: Sequence[GateState]) -> MergeOutcome:
        overridden = [gate for gate in gates if gate.overridden]
        if overridden:
            lines = [f"- {code(gate.gate)}: {words(gate.reason)}" for gate in overridden]
            who = self.forge.whoami()
            self.forge.comment(request.iid, "override", "\n".join([f"Gates overridden by {code(who.login)}:", *lines]))
        # Where the forge itself demands our status, the merge is refused without it.
        told = ", ".join(gate.gate for gate in gates)
        self.forge.set_status(
            request.head_sha, CommitStatus(GATES_STATUS, "success", f"passed: {told}"), ref=request.source
        )
        call = self._call(request, policy, gates)
        outcome = self.forge.merge(request.iid, call)
        return self._left_to_the_forge(outcome, call) if outcome.state == "waiting" else outcome

    def _left_to_the_forge(self, outcome: MergeOutcome, call: MergeCall) -> MergeOutcome:
        """All gates hold and the forge waits for something of its own: it may merge by itself when that is there."""
        if not self.forge.project().auto_merge or outcome.request.armed_sha:
            return outcome
        try:
            armed = self.forge.arm(outcome.request.iid, call)
        except RefusedError:
            return outcome
        return armed if armed.state in ("merged", "armed") else outcome

    def _call(self, request: MergeRequest, policy: MergePolicy, gates: Sequence[GateState]) -> MergeCall:
        notes = [f"Ci-Gitops-Override: {gate.gate} {_line(gate.reason)}" for gate in gates if gate.overridden]
        message = merge_message(request.title, request.source, request.target, f"!{request.iid}", request.block, notes)
        return MergeCall(request.head_sha, policy.method, message, policy.remove_source_branch)


def standing_in_the_way(request: MergeRequest) -> GateState | None:
    """What keeps a merge request from being merged before any gate is asked."""
    if request.draft:
        return GateState("draft", False, "it is a draft")
    if not request.head_sha:
        return GateState("branch", False, f"its branch {request.source} does not exist any more")
    return None


def gives_way(way: GiveWay) -> GateState:
    """For the later of two that hold the same target."""
    return GateState("order", False, f"!{way.earlier.iid} holds {', '.join(way.targets)} too and is merged first")


_STATES: Mapping[str, VerdictState] = {
    "merged": "merged",
    "armed": "armed",
    "waiting": "waiting",
    "blocked": "refused",
}


def policy_of(environment: EnvironmentSettings, rule: Rule | None = None, *, back: bool = False) -> MergePolicy:
    """The policy of one environment; `rule` is what the command line says instead.

    `back`: for a merge request that holds ways back alone (`steps/way_back.goes_back` says so): those have gates of
    their own.
    """
    return MergePolicy(
        rule or environment.merge,
        (rules_of(environment, environment.rollback.gates if back else environment.gates),),
        environment.squash,
        environment.remove_source_branch,
    )


def rules_of(environment: EnvironmentSettings, gates: Gates) -> GateRules:
    """The gates of an environment, or those of its way back, as they are judged."""
    return GateRules(
        environment=environment.name,
        ci=environment.ci,
        approvals=ApprovalRule(gates.approvals.count, gates.approvals.groups),
        statuses=gates.statuses,
        http=gates.http,
        freeze=gates.freeze,
        windows=tuple(_window(window) for window in gates.windows),
        healthy=gates.healthy,
        soak=int(gates.soak.total_seconds()) if gates.soak else 0,
        source=environment.from_ or "",
    )


def _window(given: Window) -> windows.Window:
    seconds = int(given.duration.total_seconds()) if given.duration else None
    when = windows.parse_when(given.allow or given.deny or "", seconds)
    return windows.Window(bool(given.allow), when, given.timezone)


def joined(policies: Iterable[MergePolicy]) -> MergePolicy:
    """The policy for a merge request that writes to several environments: all of them must agree."""
    given = list(policies)
    order: tuple[Rule, ...] = ("now", "when-green", "manual")
    return MergePolicy(
        max((one.rule for one in given), key=order.index, default="manual"),
        tuple(rules for one in given for rules in one.gates) or (GateRules(),),
        next((one.squash for one in given if one.squash is not None), None),
        next((one.remove_source_branch for one in given if one.remove_source_branch is not None), None),
    )


def _line(text: str) -> str:
    return " ".join(text.split())
