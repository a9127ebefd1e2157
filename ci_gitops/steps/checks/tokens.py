"""Which token is used for each repository, where it comes from and what its kind may not do.

https://docs.gitlab.com/ci/jobs/ci_job_token/
"""

from __future__ import annotations

from collections.abc import Iterator

from ci_gitops.adapters.git import GitAccess
from ci_gitops.adapters.git_access import access_for
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.core.tokens import kind_of, opens_merge_requests
from ci_gitops.errors import CiGitopsError
from ci_gitops.steps.checks.base import Finding, Scene, failed
from ci_gitops.steps.checks.repositories import Goal, goals
from ci_gitops.steps.locate import own_project

_USE = "CI_GITOPS_TOKEN: an access token of the project or group with the scopes api and write_repository"


def check(scene: Scene) -> Iterator[Finding]:
    seen = set()
    for goal in goals(scene):
        key = (goal.url, goal.token_environment, goal.by_merge_request)
        if key not in seen:
            seen.add(key)
            yield from _of(scene, goal)
    yield from _schedule(scene)


def _of(scene: Scene, goal: Goal) -> Iterator[Finding]:
    address = parse_git_url(goal.url)
    try:
        access = access_for(
            goal.url, scene.run.environ, ca_file=scene.reach.ca_file, token_file=scene.reach.token_file,
            environment=goal.token_environment,
        )  # fmt: skip
    except CiGitopsError as error:
        yield failed("token", error, "--token-file, CI_GITOPS_TOKEN or GITLAB_ID_RSA")
        return
    if address.scheme == "ssh":
        yield from _ssh(address.clean, access)
    elif address.remote:
        yield from _token(scene, goal, address.clean, access)


def _ssh(url: str, access: GitAccess) -> Iterator[Finding]:
    if access.ssh_key:
        yield Finding("token", "ok", f"{url}: the SSH key of {access.source}.")
    else:
        yield Finding("token", "warn", f"{url}: no key is given, this user's own SSH keys are used.", "GITLAB_ID_RSA")
    if access.accept_new:
        yield Finding(
            "token", "warn", f"{url}: unknown host keys are accepted, whoever answers.",
            "SSH_KNOWN_HOSTS: the host's key, instead of CI_GITOPS_SSH_HOST_KEYS=accept-new",
        )  # fmt: skip


def _token(scene: Scene, goal: Goal, url: str, access: GitAccess) -> Iterator[Finding]:
    if not access.token:
        yield Finding("token", "warn", f"{url}: there is no token, so only what is public can be done.", _USE)
        yield from _unprotected(scene)
        return
    if access.source == "CI_JOB_TOKEN":
        yield from _job_token(scene, goal, url)
        yield from _unprotected(scene)
        return
    kind = kind_of(access.token)
    about = f"{url}: from {access.source}" + (f", {kind}" if kind else "")
    if goal.by_merge_request and opens_merge_requests(access.token) is False:
        yield Finding("token", "fail", f"{about}, which cannot open merge requests.", _USE)
    elif access.source == "the address of the repository":
        yield Finding("token", "warn", f"{about}: addresses end up in logs and files.", "CI_GITOPS_TOKEN")
    else:
        yield Finding("token", "ok", f"{about}.")


def _job_token(scene: Scene, goal: Goal, url: str) -> Iterator[Finding]:
    """A job token reads much, pushes to its own project at most, and opens no merge request."""
    own = own_project(scene.run, goal.url)
    if goal.by_merge_request:
        yield Finding("token", "fail", f"{url}: a job token cannot open merge requests.", _USE)
    elif not own:
        yield Finding("token", "fail", f"{url}: a job token cannot push to another project.", _USE)
    else:
        yield Finding(
            "token", "warn", f"{url}: the job token pushes only where the project allows it, and its pushes start no "
            "pipeline.", "Settings > CI/CD > Job token permissions > Allow Git push requests, or CI_GITOPS_TOKEN",
        )  # fmt: skip


def _unprotected(scene: Scene) -> Iterator[Finding]:
    """The usual reason why a variable that is set does not reach a job."""
    if scene.run.ci.gitlab and scene.run.environ.get("CI_COMMIT_REF_PROTECTED") == "false":
        yield Finding(
            "token", "warn", f"{scene.run.ci.branch or 'This ref'} is not protected: its jobs do not get protected "
            "variables.", "Settings > CI/CD > Variables > CI_GITOPS_TOKEN > Protect variable, or "
            "Settings > Repository > Protected branches",
        )  # fmt: skip


def _schedule(scene: Scene) -> Iterator[Finding]:
    """A schedule runs as its owner; GitLab stops it when that person leaves."""
    ci = scene.run.ci
    if ci.pipeline_source == "schedule" and ci.user and "_bot" not in ci.user:
        yield Finding(
            "token", "warn", f"This schedule runs as {ci.user} and stops when that user is blocked.",
            "Build > Pipeline schedules > Take ownership, as a bot user",
        )  # fmt: skip
