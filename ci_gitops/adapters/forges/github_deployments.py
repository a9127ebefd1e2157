"""Deployment records at GitHub, which the environment's page is made from.

https://docs.github.com/en/rest/deployments/deployments. GitHub's defaults would merge the default branch into what is
deployed, and refuse where a status is missing: both are off. The branch goes into the payload, since a deployment of a
branch is one of whatever the branch is by then.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.adapters.forges.base import Deployment, DeploymentState
from ci_gitops.adapters.forges.github_api import GitHubApi
from ci_gitops.adapters.forges.github_records import TO_DEPLOYMENT, payload_of, to_deployment
from ci_gitops.errors import ForgeError

_KEPT = 20  # so many are read: each takes a request for its states
_TASK = "ci-gitops"


@dataclass(frozen=True, slots=True)
class GitHubDeployments:
    api: GitHubApi
    path: str  # /repos/octo/config

    def record(
        self, environment: str, sha: str, ref: str, state: DeploymentState, *, number: int | None, url: str
    ) -> Deployment:
        deployment = self._numbered(number) if number is not None else self._new(environment, sha, ref)
        states = self._states(deployment) if number is not None else []
        now = to_deployment(deployment, states)
        if not states or (now.state, now.url) != (state, url or now.url):
            states = [self._tell(deployment, state, url), *states]
        return to_deployment(deployment, states)

    def all(self, environment: str) -> tuple[Deployment, ...]:
        found = self.api.pages(f"{self.path}/deployments", environment=environment, most=_KEPT)
        newest = sorted(found, key=lambda one: int(one["id"]), reverse=True)
        return tuple(to_deployment(one, self._states(one)) for one in newest)

    def _numbered(self, number: int) -> dict[str, Any]:
        return self.api.get(f"{self.path}/deployments/{number}")

    def _new(self, environment: str, sha: str, ref: str) -> Mapping[str, Any]:
        attempt = secrets.token_hex(8)  # by which it is found again where the answer is lost
        body = {
            "ref": sha, "environment": environment, "task": _TASK, "payload": {"ref": ref, "attempt": attempt},
            "auto_merge": False, "required_contexts": [],
        }  # fmt: skip
        made = self.api.until_known(
            lambda: self.api.sent("POST", f"{self.path}/deployments", body),
            lambda: self._attempted(environment, sha, attempt),
        )
        if "id" not in made:  # 202: it has merged something instead
            raise ForgeError(f"GitHub made no deployment of {sha[:12]} to {environment}: {made.get('message')}.")
        return made

    def _attempted(self, environment: str, sha: str, attempt: str) -> dict[str, Any] | None:
        there = self.api.pages(f"{self.path}/deployments", environment=environment, sha=sha, task=_TASK, most=_KEPT)
        return next((one for one in there if payload_of(one).get("attempt") == attempt), None)

    def _states(self, deployment: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Newest first."""
        found = self.api.pages(f"{self.path}/deployments/{deployment['id']}/statuses")
        return sorted(found, key=lambda one: int(one["id"]), reverse=True)

    def _tell(self, deployment: Mapping[str, Any], state: DeploymentState, url: str) -> Mapping[str, Any]:
        body: dict[str, object] = {"state": TO_DEPLOYMENT[state], **({"environment_url": url} if url else {})}
        return self.api.until_known(
            lambda: self.api.sent("POST", f"{self.path}/deployments/{deployment['id']}/statuses", body),
            lambda: self._told(deployment, TO_DEPLOYMENT[state]),
        )

    def _told(self, deployment: Mapping[str, Any], state: str) -> dict[str, Any] | None:
        states = self._states(deployment)
        return dict(states[0]) if states and states[0]["state"] == state else None
