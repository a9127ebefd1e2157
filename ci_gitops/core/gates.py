"""Gates: the conditions that must hold before a merge request is merged, each with a sentence that says why.

All facts come in as records; nothing here looks at a clock or asks anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted

CheckState = Literal["pending", "running", "success", "failed", "canceled", "skipped"]
CiRule = Literal["auto", "required", "optional"]
#: Every gate that a configuration or this program may name.
GATES = ("ci", "approvals", "healthy", "soak", "statuses", "http", "freeze", "windows")
OWN_STATUS = "ci-gitops"  # statuses of this name, or below it (`ci-gitops/gates`), are ours
_PASSED = ("success", "skipped")
_OPTIONAL_AGE = 120  # seconds after which `ci: optional` believes that no pipeline comes


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's consent, to one head. Where a forge keeps approvals over new commits, `sha` is the current head."""

    user: str
    sha: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """A status or check run of a commit; the newest of each name counts."""

    name: str
    state: CheckState
    description: str = ""
    url: str = ""
    blocking: bool = True  # False: allowed to fail, or optional
    at: int = 0

    @property
    def ours(self) -> bool:
        return self.name == OWN_STATUS or self.name.startswith(f"{OWN_STATUS}/")


@dataclass(frozen=True, slots=True)
class Checks:
    """All that ran or runs for one commit."""

    sha: str
    pipeline: CheckState | None = None  # the newest one's, as the forge counts it; None: there is none
    statuses: tuple[CommitStatus, ...] = ()
    has_ci: bool = False  # the project has CI at all: a configuration, or anything on its last commits
    committed_at: int = 0  # seconds since the epoch; 0: so long ago that nothing more is to be expected


@dataclass(frozen=True, slots=True)
class GateRules:
    """What an environment demands. `unknown` are gates that are configured and that nobody here can evaluate."""

    approvals: int = 0
    ci: CiRule = "auto"
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What is known about one merge request at one head."""

    head_sha: str
    approvals: tuple[Approval, ...] = ()
    checks: Checks = field(default_factory=lambda: Checks(""))
    now: int = 0  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class GateState:
    gate: str
    ok: bool
    reason: str
    overridden: bool = False


def evaluate(rules: GateRules, facts: GateFacts, overrides: Mapping[str, str] | None = None) -> tuple[GateState, ...]:
    """Each gate with its state; `overrides` (gate -> reason) makes a gate hold that does not."""
    states = [_ci(rules.ci, facts)]
    if rules.approvals:
        states.append(_approvals(rules.approvals, facts))
    states += [GateState(name, False, "this version of ci-gitops cannot evaluate it") for name in rules.unknown]
    return tuple(_overridden(state, overrides or {}) for state in states)


def environments_touched(
    paths: Iterable[str], targets: Iterable[Target], environments: Iterable[str], config: str
) -> frozenset[str]:
    """The environments whose own files are among `paths`, whatever a merge request says of itself.

    The configuration (`config`, and the folder of holds) is everybody's: it says what the gates are.
    """
    changed = list(paths)
    if any(path == config or path.startswith(".ci-gitops/") for path in changed):
        return frozenset(environments)
    return frozenset(target.environment for target in targets if any(map(target.holds, changed)))


def strictest(rules: Sequence[GateRules]) -> GateRules:
    """The rules of several environments together."""
    order: tuple[CiRule, ...] = ("optional", "auto", "required")
    return GateRules(
        max((one.approvals for one in rules), default=0),
        max((one.ci for one in rules), key=order.index, default="auto"),
        tuple(dict.fromkeys(name for one in rules for name in one.unknown)),
    )


def waiting(states: Sequence[GateState]) -> tuple[GateState, ...]:
    return tuple(state for state in states if not state.ok)


def _overridden(state: GateState, overrides: Mapping[str, str]) -> GateState:
    if state.ok or state.gate not in overrides:
        return state
    return replace(state, ok=True, overridden=True, reason=f"overridden: {overrides[state.gate]}")


def _approvals(wanted: int, facts: GateFacts) -> GateState:
    users = sorted({approval.user for approval in facts.approvals if approval.sha == facts.head_sha})
    by = f" ({', '.join(users)})" if users else ""
    older = {approval.user for approval in facts.approvals} - set(users)
    stale = f"; {counted(len(older), 'approval')} of an older head" if older and len(users) < wanted else ""
    return GateState("approvals", len(users) >= wanted, f"{len(users)} of {counted(wanted, 'approval')}{by}{stale}")


def _ci(rule: CiRule, facts: GateFacts) -> GateState:
    """Green, for exactly this head: the newest pipeline, and every status but our own."""
    checks = facts.checks
    relevant = [status for status in checks.statuses if not status.ours and status.blocking]
    for name, state in [("the pipeline", checks.pipeline), *((status.name, status.state) for status in relevant)]:
        if state is not None and state not in _PASSED:
            return GateState("ci", False, f"{name} is {state}")
    if checks.pipeline is not None or relevant:
        return GateState("ci", True, "all that ran for this head has passed")
    return _nothing_ran(rule, checks.has_ci, facts.now - checks.committed_at)


def _nothing_ran(rule: CiRule, has_ci: bool, age: int) -> GateState:
    if rule == "auto" and not has_ci:
        return GateState("ci", True, "the project has no CI")
    if rule == "optional" and age >= _OPTIONAL_AGE:
        return GateState("ci", True, "nothing runs for this head (ci: optional)")
    return GateState("ci", False, "no pipeline, status or check is there yet for this head")
