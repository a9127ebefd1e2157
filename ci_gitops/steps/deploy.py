"""The story of `deploy`: which revision, which targets, rendered all before the first write, applied one by one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ci_gitops.adapters.cluster.base import Applied, Destination
from ci_gitops.errors import CiGitopsError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.declared import Ask, Rendered, declared_at, destination_of, render_targets
from ci_gitops.steps.deploy_report import Deployed, deploy_result
from ci_gitops.steps.workplace import Workplaces


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployCall(Ask):
    """The options of one call, as the command line gives them."""

    dry_run: bool = False


def deploy(run: Run, call: DeployCall) -> Result:
    """Bring the destination of one environment to what Git declares."""
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        targets = place.settings.targets([environment.name], call.apps, paths=place.tree.files())
        rendered = render_targets(run, place, targets, partial(destination_of, run, call, environment))
    done: list[Deployed] = []
    for each in rendered:
        deployed, failure = _apply(run, destination_of(run, call, environment, each.target), each, call.dry_run)
        done.append(deployed)
        if failure:
            failure.result = deploy_result(environment.name, place.revision, done, dry_run=call.dry_run)
            raise failure
    return deploy_result(environment.name, place.revision, done, dry_run=call.dry_run)


def _apply(
    run: Run, destination: Destination, rendered: Rendered, dry_run: bool
) -> tuple[Deployed, CiGitopsError | None]:
    """What was applied of a target, and why not the rest."""
    applied: list[Applied] = []
    try:
        for manifest in rendered.manifests:
            run.output.step(f"{rendered.target}: {manifest}")
            applied.append(destination.apply_manifest(manifest, dry_run=dry_run))
    except CiGitopsError as error:
        return Deployed(rendered.target, str(destination), tuple(applied), error.message), error
    return Deployed(rendered.target, str(destination), tuple(applied)), None
