"""What becomes of a merge request after it was written: merged by the rule, waited for where that is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.gates import GateState
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.errors import RefusedError, TemporaryError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.gate_facts import Bench
from ci_gitops.steps.merging import MergePolicy, Merger, Patience, Verdict, VerdictState, policy_of, settle
from ci_gitops.steps.way_back import goes_back
from ci_gitops.steps.workplace import Workplace, Workplaces
from ci_gitops.steps.write import Written


@dataclass(frozen=True, slots=True)
class Landing:
    """One environment's rule for merging, and how long is waited."""

    places: Workplaces
    forge: Forge
    environment: EnvironmentSettings
    policy: MergePolicy
    patience: Patience

    def merged(self, place: Workplace, written: Written) -> Written:
        """Merge what was written by the environment's rule, and wait for that where it was asked for."""
        request = written.merge_request
        if request is None or request.state == "closed" or written.outcome in ("planned", "waiting"):
            return written
        at = partial(self._policy_at, place)
        verdict = self._merger(place).merge_by_rule(request, self.policy, at)
        if self.patience.seconds and verdict.state not in ("merged", "already", "refused"):
            verdict = settle(lambda: [self._look(place, request)], self.patience)[0]
        if verdict.state in ("merged", "already"):
            landed = verdict.request.merge_sha or written.revision
            return replace(written, outcome="merged", merge_request=verdict.request, revision=landed)
        if verdict.state == "refused":
            raise RefusedError(
                f"!{request.iid} is open and was not merged: {verdict.reason}.",
                hint=f"`ci-gitops merge --mr {request.iid}` tries again.",
            )
        if self.patience.seconds:
            raise TemporaryError(
                f"!{request.iid} is not merged at the deadline: {verdict.reason}.",
                hint="Run the same command again, or give it more time with --timeout.",
            )
        notes = (*written.notes, verdict.reason) if verdict.reason and self.policy.rule != "manual" else written.notes
        outcome = "armed" if verdict.state == "armed" else written.outcome
        return replace(written, outcome=outcome, merge_request=verdict.request, notes=notes)

    def _policy_at(self, place: Workplace, request: MergeRequest) -> MergePolicy:
        """The environment's; one that holds ways back alone has gates of its own."""
        environment = place.settings.environments.get(self.environment.name, self.environment)
        return policy_of(environment, self.policy.rule, back=goes_back(place, request))

    def _merger(self, place: Workplace) -> Merger:
        return Merger(self.forge, bench=Bench(self.forge, self.places, place))

    def _look(self, place: Workplace, request: MergeRequest) -> Verdict:
        """What became of it by now; where people merge, that they have."""
        if self.policy.rule != "manual":
            place = self.places.refreshed(place)  # rules and holds may be others by now
            return self._merger(place).merge(request, partial(self._policy_at, place))
        current = self.forge.get(request.iid)
        if current.state == "open":
            reason = "people merge it (merge: manual)"
            return Verdict(current, "waiting", (GateState("manual", False, reason),), reason)
        state: VerdictState = "merged" if current.state == "merged" else "refused"
        return Verdict(current, state, reason=f"it is {current.state}")
