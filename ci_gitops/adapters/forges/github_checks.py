"""What ran for a commit at GitHub: statuses and check runs, and whether the project has CI at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.adapters.forges.base import Checks, CommitStatus
from ci_gitops.adapters.forges.github_api import GitHubApi
from ci_gitops.adapters.forges.github_records import from_check_run, from_status, seconds, to_status

_LAST = 10  # commits that are looked at for signs of CI
_SIGNS = """query Signs($owner: String!, $name: String!, $sha: String!, $workflows: String!, $last: Int!) {
  repository(owner: $owner, name: $name) {
    workflows: object(expression: $workflows) { ... on Tree { entries { name } } }
    commit: object(expression: $sha) { ... on Commit { committedDate history(first: $last) { nodes {
      statusCheckRollup { contexts(first: 50) { nodes {
        ... on StatusContext { context } ... on CheckRun { name } } } } } } } }
  }
}"""


@dataclass(frozen=True, slots=True)
class GitHubChecks:
    api: GitHubApi
    path: str  # /repos/octo/config
    environ: Mapping[str, str]  # of the workflow's job, which does not wait for itself

    def of(self, sha: str) -> Checks:
        """Of each name the newest; without any, whether some are to be expected."""
        statuses = [from_status(one) for one in self._statuses(sha)]
        runs = self.api.pages(f"{self.path}/commits/{sha}/check-runs", key="check_runs", filter="latest")
        statuses += [from_check_run(run) for run in runs if not self._this_job(run)]
        if any(not status.ours for status in statuses):
            return Checks(sha, None, tuple(statuses), has_ci=True)
        return self._expected(sha, tuple(statuses))

    def set(self, sha: str, status: CommitStatus) -> None:
        """GitHub takes a thousand of each name for a commit: what it has already is not posted again."""
        body = to_status(status)
        if not self._has(sha, body):
            self.api.until_known(
                lambda: bool(self.api.sent("POST", f"{self.path}/statuses/{sha}", body)),
                lambda: self._has(sha, body) or None,
            )

    def _has(self, sha: str, body: Mapping[str, object]) -> bool:
        there = next((one for one in self._statuses(sha) if one["context"] == body["context"]), None)
        return there is not None and all((there.get(name) or "") == (value or "") for name, value in body.items())

    def _statuses(self, sha: str) -> list[Any]:
        return self.api.pages(f"{self.path}/commits/{sha}/status", key="statuses")

    def _this_job(self, run: Mapping[str, Any]) -> bool:
        number = re.search(r"/actions/runs/(\d+)", run.get("details_url") or "")
        here = self.environ.get("GITHUB_RUN_ID"), self.environ.get("GITHUB_JOB")
        return number is not None and (number[1], run.get("name")) == here

    def _expected(self, sha: str, statuses: tuple[CommitStatus, ...]) -> Checks:
        owner, _, name = self.path.removeprefix("/repos/").partition("/")
        answer = self.api.graphql(
            _SIGNS, owner=owner, name=name, sha=sha, workflows=f"{sha}:.github/workflows", last=_LAST
        )
        repository = answer.get("repository") or {}
        commit = repository.get("commit") or {}
        workflows = (repository.get("workflows") or {}).get("entries") or ()
        names = _names((commit.get("history") or {}).get("nodes") or ())
        has_ci = bool(workflows) or any(not CommitStatus(name, "pending").ours for name in names)
        return Checks(sha, None, statuses, has_ci, seconds(commit.get("committedDate")))


def names_before(api: GitHubApi, path: str, sha: str) -> frozenset[str]:
    """Of all that ran for this commit and the last ones before it."""
    owner, _, name = path.removeprefix("/repos/").partition("/")
    answer = api.graphql(_SIGNS, owner=owner, name=name, sha=sha, workflows=f"{sha}:.github/workflows", last=_LAST)
    commit = (answer.get("repository") or {}).get("commit") or {}
    return frozenset(_names((commit.get("history") or {}).get("nodes") or ()))


def _names(commits: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of all statuses and check runs of these commits."""
    rollups = [commit.get("statusCheckRollup") or {} for commit in commits]
    contexts = [one for rollup in rollups for one in (rollup.get("contexts") or {}).get("nodes") or () if one]
    return [str(one.get("context") or one.get("name")) for one in contexts]
