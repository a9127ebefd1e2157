"""The forge's own record of a deployment, beside ours: gates and people there see what runs.

Success means healthy, so a deploy that did not wait says nothing. In a GitLab job whose environment is the one that is
deployed, GitLab keeps that record itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from ci_gitops.adapters.forges.base import DeploymentState
from ci_gitops.errors import CiGitopsError, UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.deploy_report import Done
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.locate import identity
from ci_gitops.steps.workplace import Workplace, Workplaces

_WELL = frozenset(("succeeded", "healed", "recovered", "unchanged"))


def tell_forge(places: Workplaces, place: Workplace, environment: EnvironmentSettings, done: Sequence[Done]) -> None:
    """One record for the pass, where it deployed something; what the forge refuses is told and fails nothing."""
    run = places.run
    state = _state(done)
    if state is None or _is_kept_by_gitlab(places, environment):
        return
    try:
        repository = places.repository(identity(run, place.url))
        forge = forge_for(run, repository, run.environ.get("CI_GITOPS_FORGE"), config=place.settings.config)
    except UsageError as error:  # nothing says where merge requests are
        run.output.detail(error.message)
        return
    if forge.kind == "local":
        return
    ref = run.ci.branch or (place.branch if place.branch != "HEAD" else None) or place.settings.branch or "main"
    try:
        forge.record_deployment(environment.name, place.revision, ref, state)
    except CiGitopsError as error:
        run.output.warn(f"The forge keeps no record of this deployment: {error.message}")


def _state(done: Sequence[Done]) -> DeploymentState | None:
    """Of all targets; None where nothing was deployed, or nobody waited for its health."""
    if not any(each.record is not None and each.record.cause in ("deploy", "rollback") for each in done):
        return None
    outcomes = {each.outcome for each in done}
    if outcomes <= _WELL:
        return "success"
    return "failed" if outcomes & {"failed", "unhealthy"} else None


def _is_kept_by_gitlab(places: Workplaces, environment: EnvironmentSettings) -> bool:
    ci = places.run.ci
    return ci.gitlab and ci.environment == environment.name and ci.environment_action in (None, "start")
