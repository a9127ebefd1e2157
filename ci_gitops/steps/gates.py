"""The story of `gates`: what each open merge request of an environment still waits for, and why."""

from __future__ import annotations

from dataclasses import dataclass

from ci_gitops.adapters.forges.base import CommitStatus
from ci_gitops.core.gates import GateState, waiting
from ci_gitops.core.mergerequests import MergeRequest, overlaps
from ci_gitops.errors import CiGitopsError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.gates_report import Judgement, report
from ci_gitops.steps.merging import GATES_STATUS, gives_way, policy_of, standing_in_the_way
from ci_gitops.steps.scope import Asked, Scope, Shop
from ci_gitops.steps.update_jobs import chosen_environments
from ci_gitops.steps.workplace import Workplaces


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesAsk(Asked):
    """The options of one call, as the command line gives them."""

    post: bool = False


def gates(run: Run, ask: GatesAsk) -> Result:
    """Each gate of each merge request; nothing is written but, with `--post`, the one status of each head."""
    with Workplaces(run, ask.reach) as places:
        scope = Scope(places, ask)
        names = scope.named if scope.named or ask.numbers else chosen_environments(run, scope.root, ())
        judged = [one for shop in scope.shops for one in _judged(scope, shop)]
        scope.all_found({one.request.iid for one in judged})
        for one in judged if ask.post else ():
            _post(one)
        general = {} if judged else {name: _general(scope, name) for name in names}
        return report(names, judged, general)


def _judged(scope: Scope, shop: Shop) -> list[Judgement]:
    requests = scope.chosen(shop)
    later = {one.later.iid: gives_way(one) for one in overlaps(shop.forge.find(target=shop.place.branch))}
    return [_one(scope, shop, request, later.get(request.iid)) for request in requests]


def _one(scope: Scope, shop: Shop, request: MergeRequest, order: GateState | None) -> Judgement:
    """Drafts and such are judged as well: what else they wait for is good to know before."""
    scope.places.run.output.detail(f"Looking at !{request.iid} {request.title}")
    outside = [state for state in (order, standing_in_the_way(request)) if state]
    written = shop.written(request, scope.named)
    if request.state != "open":
        return Judgement(shop.forge, request)
    if not request.head_sha:
        return Judgement(shop.forge, request, states=tuple(outside))
    try:
        ruled = scope.ruled(shop, request, written)
    except CiGitopsError as error:  # its branch is gone by now, or no history joins it with its target
        return Judgement(shop.forge, request, states=(*outside, GateState("branch", False, error.message.rstrip("."))))
    states = shop.bench.judged(request, ruled.policy.gates).states
    return Judgement(shop.forge, request, ruled.policy.rule, (*outside, *states), ruled.notes)


def _general(scope: Scope, name: str) -> tuple[GateState, ...]:
    shop = next(one for one in scope.shops if name in one.environments)
    return shop.bench.without_request(policy_of(shop.place.settings.environment(name)).gates)


def _post(judged: Judgement) -> None:
    """Keep our status on the head in step with what was found. It lets nothing be merged that `merge` would not."""
    request, unmet = judged.request, waiting(judged.states)
    if request.state != "open" or not request.head_sha:
        return
    said = "; ".join(f"{state.gate}: {state.reason}" for state in unmet)
    passed = f"passed: {', '.join(state.gate for state in judged.states)}"
    status = CommitStatus(GATES_STATUS, "pending" if unmet else "success", said or passed)
    judged.forge.set_status(request.head_sha, status, ref=request.source)
