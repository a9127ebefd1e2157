"""Does each config repository answer, is the branch there, and may we push to it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for, environment_variable
from ci_gitops.core.git_urls import GitUrl, parse_git_url
from ci_gitops.errors import CiGitopsError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.checks import forge
from ci_gitops.steps.checks.base import Finding, Scene, failed
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.locate import Place, own_project

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
    found = [goal_of(scene, scene.place, environment) for environment in scene.chosen()]
    return tuple(dict.fromkeys(found)) or (Goal(scene.place.url, scene.place.branch, False, None),)


def goal_of(scene: Scene, place: Place, environment: EnvironmentSettings) -> Goal:
    return Goal(
        environment.url or place.url,
        environment.branch or (place.branch if not environment.url else None),
        environment.write == "merge-request",
        environment.name if environment_variable(environment.name) in scene.run.environ else None,
    )


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
            if goal.by_merge_request or not (refused := _protected(scene, opened, branch)):
                yield Finding("push", "ok", f"{url} takes pushes to {what}, as far as its protection allows.")
            else:
                yield refused
            if goal.by_merge_request:
                step = ("forge", "CI_GITOPS_FORGE")
                yield from forge.look(scene, opened, url)
    except CiGitopsError as error:
        yield failed(step[0], error, step[1])
        yield from _allowlist(scene, goal, url)


def _protected(scene: Scene, opened: Repository, branch: str) -> Finding | None:
    """A dry run of a push does not meet the branch's protection: the forge is asked, where there is one that tells."""
    try:
        config = scene.settings.config if scene.settings else None
        may = forge_for(scene.run, opened, None, config=config).may_push(branch)
    except CiGitopsError:
        return None
    if may is not False:
        return None
    return Finding(
        "push", "fail", f"{opened.url.clean}: the branch {branch} is protected, and this token may not push to it.",
        "Settings > Repository > Protected branches > Allowed to push and merge: the token's user or role; "
        f"or `write: merge-request`{_settings_page(opened.url)}",
    )  # fmt: skip


def _settings_page(url: GitUrl) -> str:
    address = url.clean.removesuffix(".git")
    return f"\n{address}/-/settings/repository" if url.scheme in ("https", "http") else ""


def _allowlist(scene: Scene, goal: Goal, url: str) -> Iterator[Finding]:
    """Another project opens itself to our job token, or does not; its answer looks as if it were not there."""
    environ, ci = scene.run.environ, scene.run.ci
    own_token = any(environ.get(name) for name in ("CI_GITOPS_TOKEN", goal.token_environment or "CI_GITOPS_TOKEN"))
    if ci.gitlab and environ.get("CI_JOB_TOKEN") and not own_token and not own_project(scene.run, goal.url):
        yield Finding(
            "repository", "warn", f"{url} was asked with the job token of {ci.project}.",
            f"in that project: Settings > CI/CD > Job token permissions: add {ci.project}; or CI_GITOPS_TOKEN here",
        )  # fmt: skip


def _address_setting(scene: Scene) -> str:
    return scene.place.said_by if scene.place else "--repo"
