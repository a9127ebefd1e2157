"""What becomes of a merge request after it was written: merged by the rule, waited for where that is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.gates import GateState
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.errors import GitError, RefusedError, TemporaryError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.gate_facts import Bench
from ci_gitops.steps.merging import MergePolicy, Merger, Patience, Verdict, VerdictState, settle
from ci_gitops.steps.request_policy import Ruled, environments_at, ruled
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
        try:
            return self._by_rule(place, written, request)
        except GitError:  # another process may have merged it at this moment, and its branch is gone
            current = self.forge.get(request.iid)
            if current.state != "merged":
                raise
            return _landed(written, current)

    def _by_rule(self, place: Workplace, written: Written, request: MergeRequest) -> Written:
        if self.policy.rule != "manual" and (others := self._of_people(place, request)):
            note = f"!{request.iid} changes files of {', '.join(others)} too, and people merge those (merge: manual)"
            by_people = replace(self, policy=replace(self.policy, rule="manual"))
            return by_people._by_rule(place, replace(written, notes=(*written.notes, note)), request)
        at = partial(self._policy_at, place)
        verdict = self._merger(place).merge_by_rule(request, self.policy, at)
        if self.patience.seconds and verdict.state not in ("merged", "already", "refused"):
            verdict = settle(lambda: [self._look(place, request)], self.patience)[0]
        if verdict.state in ("merged", "already"):
            return _landed(written, verdict.request)
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
        """That of all environments whose files it changes, by this one's rule."""
        return replace(self._ruled(place, request).policy, rule=self.policy.rule)

    def _of_people(self, place: Workplace, request: MergeRequest) -> tuple[str, ...]:
        """The other environments whose files it changes, and whose merge requests people merge."""
        names = self._ruled(place, request).environments
        others = (place.settings.environment(name) for name in names if name != self.environment.name)
        return tuple(one.name for one in others if one.merged_by_people)

    def _ruled(self, place: Workplace, request: MergeRequest) -> Ruled:
        here = environments_at(place, self.places.opened or place, self.places.reach.branch)
        return ruled(place, request, [self.environment.name], here, just_pushed=True)

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


def _landed(written: Written, request: MergeRequest) -> Written:
    return replace(written, outcome="merged", merge_request=request, revision=request.merge_sha or written.revision)
