"""The forge's own record of a deployment, beside ours: gates and people there see what runs.

Success means healthy, so a deploy that did not wait says nothing. In a GitLab job whose environment is the one that is
deployed, GitLab keeps that record itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from ci_gitops.adapters.forges.base import DeploymentState, Forge
from ci_gitops.core.ci import CiFacts
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.deploy_report import Done

_WELL = frozenset(("succeeded", "healed", "recovered", "unchanged"))


def record_at_forge(
    forge: Forge, ci: CiFacts, environment: EnvironmentSettings, sha: str, ref: str, done: Sequence[Done]
) -> None:
    """One record for the pass, with the address of the environment."""
    state = _state(done)
    if state and not _is_kept_by_gitlab(ci, environment):
        forge.record_deployment(environment.name, sha, ref, state, url=environment.address or "")


def _state(done: Sequence[Done]) -> DeploymentState | None:
    """Of all targets; None where nobody waited for their health."""
    outcomes = {each.outcome for each in done}
    if outcomes <= _WELL:
        return "success"
    return "failed" if outcomes & {"failed", "unhealthy"} else None


def _is_kept_by_gitlab(ci: CiFacts, environment: EnvironmentSettings) -> bool:
    return ci.gitlab and ci.environment == environment.name and ci.environment_action in (None, "start")
