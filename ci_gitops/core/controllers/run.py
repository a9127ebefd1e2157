"""The controllers in turn, moment by moment, until nothing is left to do by now."""

from __future__ import annotations

from ci_gitops.core.api.server import Server
from ci_gitops.core.controllers import (
    budgets,
    deployments,
    garbage,
    jobs,
    kinds,
    network,
    pods,
    replicas,
    schedules,
    stateful_sets,
    storage,
)
from ci_gitops.core.controllers.hands import Hands

_CONTROLLERS = (
    garbage.run, kinds.run, schedules.run, jobs.run, deployments.run, stateful_sets.run, replicas.run, storage.run,
    pods.run, network.run, budgets.run,
)  # fmt: skip
#: Rounds of one moment; a state that moves longer than this goes on when it is looked at next.
_ROUNDS = 50
_ALL = ("all", "")
#: Moments that are caught up with one by one after nobody looked for long.
_MOMENTS = 500


def step(server: Server) -> float | None:
    """Bring the state to what it would be by now. When it changes next by itself, or None."""
    until, state = server.now, server.state
    known = state.quiet.get(_ALL)
    if known is not None and known[0] == state.version and (known[1] is None or known[1] > until):
        state.stepped = until
        return known[1]
    now = min(state.stepped, until)
    for _ in range(_MOMENTS):
        server.now = now
        due = _moment(server)
        if due is None or due > until:
            break
        now = due
    if now < until:
        server.now = until
        due = _moment(server)
    state.stepped = until
    state.quiet[_ALL] = state.version, due
    return due


def _moment(server: Server) -> float | None:
    due: float | None = None
    for _ in range(_ROUNDS):
        before = server.state.version
        hands = Hands(server)
        for act in _CONTROLLERS:
            act(hands)
        due = hands.due
        if server.state.version == before:
            break
    return due
