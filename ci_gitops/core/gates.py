"""Gates: the conditions that must hold before a merge request is merged, each with a sentence that says why.

All facts come in as records; nothing here looks at a clock or asks anybody. The gates that look at the environment
where a promotion comes from are in `core/source_gates`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ci_gitops.core.inputs import Inputs
from ci_gitops.core.targets import Target
from ci_gitops.core.windows import Window
from ci_gitops.errors import CiGitopsError

CheckState = Literal["pending", "running", "success", "failed", "canceled", "skipped"]
CiRule = Literal["auto", "required", "optional"]
#: Every gate, in the order in which they are told.
GATES = ("ci", "approvals", "hold", "healthy", "soak", "statuses", "windows", "freeze", "http")
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
class ApprovalRule:
    """How many people must approve; with `groups`, people who are in one of them (or are named there)."""

    count: int = 0
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What one environment demands. `source` is where its promotions come from, "" where nothing does."""

    environment: str = ""
    ci: CiRule = "auto"
    approvals: ApprovalRule = ApprovalRule()
    statuses: tuple[str, ...] = ()
    http: tuple[str, ...] = ()
    freeze: bool = False
    windows: tuple[Window, ...] = ()
    healthy: bool = False
    soak: int = 0  # seconds
    source: str = ""


@dataclass(frozen=True, slots=True)
class GateState:
    """`until`: the time at which it will hold if nothing else changes; 0 where no clock says it.

    `trouble` is why its facts could not be had, where that is so.
    """

    gate: str
    ok: bool
    reason: str
    overridden: bool = False
    until: int = 0
    trouble: CiGitopsError | None = field(default=None, compare=False)


def ci_gate(rule: CiRule, checks: Checks, now: int) -> GateState:
    """Green, for exactly this head: the newest pipeline, and every status but our own."""
    relevant = [status for status in checks.statuses if not status.ours and status.blocking]
    for name, state in [("the pipeline", checks.pipeline), *((status.name, status.state) for status in relevant)]:
        if state is not None and state not in _PASSED:
            return GateState("ci", False, f"{name} is {state}")
    if checks.pipeline is not None or relevant:
        return GateState("ci", True, "all that ran for this head has passed")
    return _nothing_ran(rule, checks.has_ci, now - checks.committed_at)


def _nothing_ran(rule: CiRule, has_ci: bool, age: int) -> GateState:
    if rule == "auto" and not has_ci:
        return GateState("ci", True, "the project has no CI")
    if rule == "optional" and age >= _OPTIONAL_AGE:
        return GateState("ci", True, "nothing runs for this head (ci: optional)")
    return GateState("ci", False, "no pipeline, status or check is there yet for this head")


def statuses_gate(names: Sequence[str], statuses: Iterable[CommitStatus]) -> GateState:
    """Those that are named have passed, for this head; one that is allowed to fail must have passed, too."""
    newest: dict[str, CommitStatus] = {}
    for status in statuses:
        if status.name not in newest or status.at >= newest[status.name].at:
            newest[status.name] = status
    told = []
    for name in names:
        found = newest.get(name)
        if found is None:
            told.append(f"{name} is not there yet")
        elif found.state not in _PASSED:
            said = f": {' '.join(found.description.split())}" if found.description else ""
            told.append(f"{name} {_WORDS.get(found.state, f'is {found.state}')}{said}")
    if told:
        return GateState("statuses", False, "; ".join(told))
    return GateState("statuses", True, f"passed: {', '.join(names)}")


_WORDS: Mapping[str, str] = {"failed": "has failed", "canceled": "was canceled"}


def hold_gate(held: Sequence[str]) -> GateState:
    """`held` are sentences, one for each thing that it carries and that is held."""
    return GateState("hold", not held, "; ".join(dict.fromkeys(held)) or "nothing that it carries is held")


def together(states: Sequence[tuple[str, GateState]], overrides: Mapping[str, str] | None = None) -> list[GateState]:
    """One state for each gate, in their order, from those of each environment: all of them must hold.

    `overrides` (gate -> reason) makes a gate hold that does not.
    """
    joined = []
    for gate in GATES:
        own = [(environment, state) for environment, state in states if state.gate == gate]
        if own:
            joined.append(_overridden(_joined(own), overrides or {}))
    return joined


def _joined(states: Sequence[tuple[str, GateState]]) -> GateState:
    decisive = [(environment, state) for environment, state in states if not state.ok] or list(states)
    reasons: dict[str, list[str]] = {}
    for environment, state in decisive:
        reasons.setdefault(state.reason, []).append(environment)
    first = decisive[0][1]
    if len(reasons) == 1:
        return first
    told = "; ".join(f"{' and '.join(environments)}: {reason}" for reason, environments in reasons.items())
    untils = [state.until for _, state in decisive]
    return replace(first, reason=told, until=max(untils) if all(untils) else 0)


def _overridden(state: GateState, overrides: Mapping[str, str]) -> GateState:
    if state.ok or state.gate not in overrides:
        return state
    return replace(state, ok=True, overridden=True, until=0, reason=f"overridden: {overrides[state.gate]}")


def environments_touched(
    paths: Iterable[str], targets: Iterable[Target], environments: Iterable[str], policy: Collection[str], *,
    inputs: Inputs | None = None, shared: bool = True,
) -> frozenset[str]:  # fmt: skip
    """The environments whose files are among `paths`, whatever a merge request says of itself.

    An environment's files are what its targets are rendered from, wherever that lies (`inputs`), and what is in their
    folders. The configuration (`policy`, and the folder of holds) is everybody's: it says what the gates are. With
    `shared` so is each file that is in no target's folder: a base that several are rendered from, a new app, the
    pipeline's definition.
    """
    changed, every, known = list(paths), list(targets), inputs or Inputs()
    if any(path in policy or path.startswith(".ci-gitops/") for path in changed):
        return frozenset(environments)
    if shared and not all(any(target.holds(path) for target in every) for path in changed):
        return frozenset(environments)
    return frozenset(each.environment for each in every if any(known.touches(each, path) for path in changed))


def waiting(states: Sequence[GateState]) -> tuple[GateState, ...]:
    return tuple(state for state in states if not state.ok)
