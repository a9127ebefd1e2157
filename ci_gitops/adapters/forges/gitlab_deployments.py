"""GitLab's own record of what was brought where, and its environments.

https://docs.gitlab.com/ci/environments/external_deployment_tools/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_gitops.adapters.forges import gitlab_records as records
from ci_gitops.adapters.forges.base import Deployment, DeploymentState
from ci_gitops.adapters.forges.gitlab_api import GitLabApi

Json = Mapping[str, Any]
_MOST = 100


def deployments_of(api: GitLabApi, environment: str) -> tuple[Deployment, ...]:
    """Newest first."""
    query = {"environment": environment, "order_by": "id", "sort": "desc"}
    listed = api.all(api.at("/deployments"), query, most=_MOST)
    return tuple(records.to_deployment(one) for one in listed)


def record_deployment(
    api: GitLabApi, environment: str, sha: str, ref: str, state: DeploymentState, number: int | None, url: str
) -> Deployment:
    if url:
        _show(api, environment, url)
    if number is not None:
        return _moved_on(api, number, state)
    newest = next(iter(deployments_of(api, environment)), None)
    body = {"environment": environment, "sha": sha, "ref": ref, "tag": False, "status": state}

    def made() -> Deployment | None:
        """After a lost answer: the record that has come since, of this commit."""
        since = newest.number if newest else 0
        later = [one for one in deployments_of(api, environment) if one.number > since]
        return next((one for one in later if (one.sha, one.state) == (sha, state)), None)

    return api.once(lambda: _deployment(api, api.post(api.at("/deployments"), body).data), made)


def _moved_on(api: GitLabApi, number: int, state: DeploymentState) -> Deployment:
    """The next state of a record; the state that it has already is refused by GitLab and is what was wanted."""
    path = api.at(f"/deployments/{number}")
    reply = api.once(lambda: api.put(path, {"status": state}, accept=(400,)), lambda: None)
    now = _deployment(api, api.get(path).data)
    if not reply.ok and now.state != state:
        raise api.refused(f"the deployment {number} as {state}", reply)
    return now


def _deployment(api: GitLabApi, data: Any) -> Deployment:
    return records.to_deployment(api.record(data, "deployment", "id"))


def _show(api: GitLabApi, environment: str, url: str) -> None:
    """Let the environment's page link to where it can be seen."""
    path = api.at("/environments")
    found = next(iter(api.all(path, {"name": environment}, most=1, accept=(404,))), None)
    if found is None:
        created = api.once(
            lambda: api.post(path, {"name": environment, "external_url": url}, accept=(400, 409)), lambda: None
        )
        if created.ok:
            return
        found = next(iter(api.all(path, {"name": environment}, most=1)), None)  # another run was first
    if found and found.get("external_url") != url:
        api.once(lambda: api.put(f"{path}/{found['id']}", {"external_url": url}), lambda: None)
