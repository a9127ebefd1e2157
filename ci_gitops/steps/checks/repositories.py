"""Does each config repository answer, is the branch there, and may we push to it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for, environment_variable
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.errors import CiGitopsError
from ci_gitops.steps.checks import forge
from ci_gitops.steps.checks.base import Finding, Scene, failed

_PROBE = "ci-gitops/doctor"  # never pushed: its name lies where branches of merge requests do


@dataclass(frozen=True, slots=True)
class Goal:
    """One branch of one repository that is written, and how."""

    url: str
    branch: str | None
    by_merge_request: bool
    token_environment: str | None  # whose CI_GITOPS_TOKEN_<ENVIRONMENT> counts


def goals(scene: Scene) -> tuple[Goal, ...]:
    """What the chosen environments are written to; the named repository alone where none is known."""
    if scene.place is None:
        return ()
    found = [
        Goal(
            environment.url or scene.place.url,
            environment.branch or (scene.place.branch if not environment.url else None),
            environment.write == "merge-request",
            environment.name if environment_variable(environment.name) in scene.run.environ else None,
        )
        for environment in scene.chosen()
    ]
    return tuple(dict.fromkeys(found)) or (Goal(scene.place.url, scene.place.branch, False, None),)


def check(scene: Scene) -> Iterator[Finding]:
    for goal in goals(scene):
        yield from _look(scene, goal)


def _look(scene: Scene, goal: Goal) -> Iterator[Finding]:
    url = parse_git_url(goal.url).clean
    step = ("repository", _address_setting(scene))
    try:
        access = access_for(
            goal.url, scene.run.environ, ca_file=scene.reach.ca_file, token_file=scene.reach.token_file,
            environment=goal.token_environment,
        )  # fmt: skip
        with Repository.open(goal.url, access, trace=scene.run.output.command, timeout=scene.reach.timeout) as opened:
            branch = goal.branch or opened.default_branch()
            head = opened.fetch(branch)
            yield Finding("repository", "ok", f"{url} answers; {branch} is at {head[:12]}.")
            step = ("push", access.source or "CI_GITOPS_TOKEN or GITLAB_ID_RSA")
            opened.may_push(head, f"refs/heads/{_PROBE}" if goal.by_merge_request else f"refs/heads/{branch}")
            what = "branches of merge requests" if goal.by_merge_request else branch
            yield Finding("push", "ok", f"{url} takes pushes to {what}, as far as its protection allows.")
            if goal.by_merge_request:
                step = ("forge", "CI_GITOPS_FORGE")
                yield from forge.look(scene, opened, url)
    except CiGitopsError as error:
        yield failed(step[0], error, step[1])


def _address_setting(scene: Scene) -> str:
    return scene.place.said_by if scene.place else "--repo"
