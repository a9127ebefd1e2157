"""The pipeline of GitLab CI that deploys each changed target in a job of its own, spread over the runners.

The jobs are those of the template `deploy`, for one app each (https://docs.gitlab.com/ci/pipelines/downstream_pipelines/).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.targets import NAME
from ci_gitops.errors import UsageError

MOST_NEEDS = 50  # of one job: GitLab's own limit
_STAGE = "deploy"
_RETRY: Mapping[str, Any] = {
    "max": 2, "when": ["runner_system_failure", "stuck_or_timeout_failure", "api_failure"], "exit_codes": [75]
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What is deployed, and what every job is told. `gone`: targets left Git, so a last job looks at all of them."""

    environment: str
    revision: str
    apps: Sequence[str]
    gone: bool = False
    after: Mapping[str, Sequence[str]]
    image: str
    tags: Sequence[str] = ()
    variables: Mapping[str, str]  # of the command, by their names


def child_pipeline(spread: Spread) -> dict[str, Any]:
    """The document. GitLab refuses a pipeline without jobs, so one says where nothing changed."""
    for name in (spread.environment, *spread.apps):
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot name a job: letters, digits, `.`, `_` and `-`, at most 63 of them.")
    jobs = {_job_name(app): _job(spread, app, _before(app, spread)) for app in spread.apps}
    if spread.gone:
        jobs[f"deploy-{spread.environment}"] = _job(spread, None, list(jobs)[:MOST_NEEDS])
    if not jobs:
        jobs["nothing-changed"] = {
            "stage": _STAGE, "image": spread.image, **_tags(spread),
            "script": [f"echo 'No target of {spread.environment} changed.'"],
        }  # fmt: skip
    return {"stages": [_STAGE], **jobs}


def _job_name(app: str) -> str:
    return f"deploy-app-{app}"


def _tags(spread: Spread) -> dict[str, Any]:
    return {"tags": list(spread.tags)} if spread.tags else {}


def _before(app: str, spread: Spread) -> list[str]:
    """The jobs that go before it: those of its `after`, and through apps that did not change of theirs."""
    found = dict.fromkeys(_reached(app, spread.after, frozenset(spread.apps), {app}))
    if len(found) > MOST_NEEDS:
        raise UsageError(
            f"{app} comes after {len(found)} apps that changed; a job of GitLab can wait for {MOST_NEEDS}.",
            hint="Put an app between them, or deploy the environment in one job: `ci-gitops deploy`.",
        )
    return [_job_name(each) for each in found]


def _reached(app: str, after: Mapping[str, Sequence[str]], apps: frozenset[str], seen: set[str]) -> Iterator[str]:
    for other in after.get(app, ()):
        if other in seen:
            continue
        seen.add(other)
        if other in apps:
            yield other
        else:
            yield from _reached(other, after, apps, seen)


def _job(spread: Spread, app: str | None, needs: Iterable[str]) -> dict[str, Any]:
    """One deployment. The environment is accessed, not started: GitLab wants one job that starts it in a pipeline."""
    place = [spread.environment, *([app] if app else [])]
    only = {"CI_GITOPS_DEPLOY_APP": app} if app else {}
    return {
        "stage": _STAGE,
        "image": spread.image,
        **_tags(spread),
        "rules": [{"if": "$CI_PIPELINE_SOURCE"}],
        "needs": list(needs),
        "interruptible": False,
        "resource_group": "-".join(["ci-gitops-deploy", *place]),
        "environment": {"name": spread.environment, "action": "access"},
        "variables": {
            "CI_GITOPS_DEPLOY_ENVIRONMENT": spread.environment, **only, "CI_GITOPS_COMMIT": spread.revision,
            **spread.variables,
        },
        "script": ["ci-gitops deploy"],
        "retry": dict(_RETRY),
    }  # fmt: skip
