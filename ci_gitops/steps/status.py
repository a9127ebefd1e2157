"""The story of `status`: what runs in one environment, or in all of them, and what came from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.family import Node
from ci_gitops.errors import CiGitopsError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask, Declared, all_declared
from ci_gitops.steps.families import Families
from ci_gitops.steps.state import Sight, State, sight
from ci_gitops.steps.status_report import status_result
from ci_gitops.steps.workplace import Workplaces

_SECONDS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCall(Ask):
    """The options of one call, as the command line gives them."""

    tree: bool = False


def status(run: Run, call: StatusCall) -> Result:
    """How everything does. An environment that cannot be looked at does not hide the others; its error comes last."""
    deadline = Deadline.after(_SECONDS)
    states: list[State] = []
    trees: dict[str, tuple[Node, ...]] = {}
    failed: CiGitopsError | None = None
    with Workplaces(run, call.reach) as places:
        for place, environment in _environments(places, call):
            try:
                with sight(run, call, place, environment, deadline) as seen:
                    found = seen.states()
                    states += found
                    trees |= _trees(seen, found, environment) if call.tree else {}
            except CiGitopsError as error:
                failed = failed or error
                if not call.environment:
                    run.output.warn(f"{environment.name}: {error.message}")
    result = status_result(states, trees)
    if failed:
        failed.result = result if states else None
        raise failed
    return result


def _environments(places: Workplaces, call: StatusCall) -> Iterator[Declared]:
    """Those that the call means. One without a destination is named where it was not asked for by itself."""
    elsewhere = call.destination or call.context or call.kubeconfig
    for place, environment in all_declared(places, call):
        if environment.destination or elsewhere or call.environment:
            yield place, environment
        else:
            places.run.output.note(f"{environment.name} has no destination: what runs there is not known.")


def _trees(seen: Sight, states: Sequence[State], environment: EnvironmentSettings) -> dict[str, tuple[Node, ...]]:
    """What came from the objects of each target, by its name."""
    trees: dict[str, tuple[Node, ...]] = {}
    for site in seen.sites:
        families = Families(site.cluster, rules=environment.health)
        here = [state for state in states if state.target in site.targets]
        nodes = iter(families.of(document for state in here for document in state.objects))
        trees |= {str(state.target): tuple(next(nodes) for _ in state.objects) for state in here}
    return trees
