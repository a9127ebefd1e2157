"""One merge request before its gates: what it brings, who has approved it, what ran for its head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ci_gitops.adapters.forges.base import Checks
from ci_gitops.core.approvals import approvals_gate, barred, pushed_by
from ci_gitops.core.gates import ApprovalRule, GateRules, GateState, ci_gate, hold_gate, statuses_gate
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.source_gates import Brought, held_things
from ci_gitops.core.target_images import images_in
from ci_gitops.core.targets import Target
from ci_gitops.core.update_values import chart_versions
from ci_gitops.errors import TemporaryError, UsageError
from ci_gitops.steps.authorship import of_people
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.workplace import RepositoryTree, Workplace

if TYPE_CHECKING:
    from ci_gitops.steps.gate_facts import Bench


@dataclass
class Case:
    """A merge request at the head that it had when it was read. Nothing that is its own is believed from its text."""

    bench: Bench
    request: MergeRequest
    checks: Checks | None = None  # once they were asked for

    def seen(self) -> Checks:
        if self.checks is None:
            self.checks = self.bench.forge.checks(self.request.head_sha)
        return self.checks

    def ci(self, rules: GateRules) -> GateState:
        return ci_gate(rules.ci, self.seen(), int(self.bench.now()))

    def statuses(self, rules: GateRules) -> GateState:
        return statuses_gate(rules.statuses, self.seen().statuses)

    def approvals(self, rule: ApprovalRule) -> GateState:
        given = self.bench.forge.approvals(self.request.iid)
        members = {group: self.bench.people(group) for group in rule.groups} if given else None
        if not (given and self.bench.forge.has_accounts):
            return approvals_gate(rule, self.request.head_sha, given, members=members)
        not_counted, unknown = self._not_counted()
        return approvals_gate(
            rule, self.request.head_sha, given, not_counted=not_counted, members=members, unknown=unknown
        )

    def _not_counted(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Whose approvals do not count, and why; and people's commits of which nobody knows who pushed them."""
        place = self.bench.place
        own = place.repository.only_in(self._head(place), place.revision) if place else []
        theirs = of_people(place, own) if place else ()
        pushed = pushed_by([commit.sha for commit in own], self.bench.forge.pushes(self.request) if own else ())
        unknown = tuple(commit.sha for commit in theirs if commit.sha not in pushed)
        return barred(self.request.author, theirs, pushed), unknown

    def hold(self, environment: str) -> GateState | None:
        """None where nothing is held in the environment."""
        _, place = self.bench.opened()
        holds = holds_at(place, environment)
        return hold_gate(held_things(self.brought(environment), holds)) if holds else None

    def brought(self, environment: str) -> tuple[Brought, ...]:
        """What it changes in each target of an environment since it left the branch."""
        fork, head, changed = self._change
        place = self.bench.opened()[1]
        there = RepositoryTree(place.repository, head)
        before = RepositoryTree(place.repository, fork)
        found = []
        for target in _targets(place, environment):
            images = _images(place, there, target) - _images(place, before, target)
            if images or any(place.inputs.touches(target, path) for path in changed):
                charts = set(_charts(there, target)) - set(_charts(before, target))
                found.append(Brought(target, tuple(sorted(images)), tuple(sorted(charts))))
        return tuple(found)

    @cached_property
    def _change(self) -> tuple[str, str, tuple[str, ...]]:
        """Where it left the branch, its head, and the files that differ."""
        place = self.bench.opened()[1]
        head = self._head(place)
        return (
            place.repository.fork(head, place.revision), head, place.repository.changed_paths(head, place.revision)
        )  # fmt: skip

    def _head(self, place: Workplace) -> str:
        """Its head, in our repository; TemporaryError where it is another one by now."""
        head = place.repository.fetch(self.request.source)
        if head != self.request.head_sha:
            raise TemporaryError(f"its branch has moved to {head[:12]} while it was looked at.")
        return head


def _targets(place: Workplace, environment: str) -> tuple[Target, ...]:
    try:
        return tuple(files.target for files in targets_of(place, environment, ()))
    except UsageError:  # none of them has files on the branch yet
        return ()


def _images(place: Workplace, tree: RepositoryTree, target: Target) -> set[str]:
    files = next(each for each in targets_of(place, target.environment, ()) if each.target == target)
    return set(images_in(tree, files))


def _charts(tree: RepositoryTree, target: Target) -> list[tuple[str, str]]:
    return list(chart_versions(tree, target).items())
