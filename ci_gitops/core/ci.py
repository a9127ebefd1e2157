"""What the CI system says about the job: project, commit, pipeline, person, registry.

Read from GitLab's predefined variables (https://docs.gitlab.com/ci/variables/predefined_variables/), or from those of
a workflow of GitHub (https://docs.github.com/en/actions/reference/workflows-and-actions/variables); on a developer's
machine everything is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CiFacts:
    gitlab: bool = False  # the job runs in GitLab CI
    server_url: str | None = None  # https://gitlab.example.com
    ssh_host: str | None = None  # of the server's SSH, which may be another one
    project: str | None = None  # group/app
    project_id: str | None = None
    project_url: str | None = None  # the project's page
    repository_url: str | None = None  # https, without credentials
    commit: str | None = None  # 40 hex digits
    commit_time: str | None = None  # ISO 8601
    branch: str | None = None  # the branch, in merge request pipelines the source branch; None for tags
    tag: str | None = None
    default_branch: str | None = None
    pipeline_id: int | None = None
    pipeline_url: str | None = None
    pipeline_source: str | None = None
    job_url: str | None = None
    merge_request: int | None = None
    target_branch: str | None = None  # of the merge request that the pipeline is for
    target_url: str | None = None  # https, of the project that it would be merged into
    fork: bool = False  # the merge request comes from another project: its tree is a stranger's
    user: str | None = None  # login
    user_name: str | None = None
    user_email: str | None = None
    environment: str | None = None
    environment_action: str | None = None
    registry: str | None = None
    registry_image: str | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> CiFacts:
        """Facts from variables; an empty variable is an absent one."""
        if environ.get("GITHUB_ACTIONS") == "true" and environ.get("GITLAB_CI") != "true":
            return _of_workflow({name: value for name, value in environ.items() if value})

        def text(name: str) -> str | None:
            return environ.get(name) or None

        def number(name: str) -> int | None:
            value = environ.get(name, "")
            return int(value) if value.isascii() and value.isdigit() else None

        project_url, target_url = text("CI_PROJECT_URL"), text("CI_MERGE_REQUEST_PROJECT_URL")
        return cls(
            gitlab=environ.get("GITLAB_CI") == "true",
            server_url=text("CI_SERVER_URL"),
            ssh_host=text("CI_SERVER_SHELL_SSH_HOST"),
            project=text("CI_PROJECT_PATH"),
            project_id=text("CI_PROJECT_ID"),
            project_url=project_url,
            repository_url=f"{project_url}.git" if project_url else None,
            commit=text("CI_COMMIT_SHA"),
            commit_time=text("CI_COMMIT_TIMESTAMP"),
            branch=text("CI_COMMIT_BRANCH") or text("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
            tag=text("CI_COMMIT_TAG"),
            default_branch=text("CI_DEFAULT_BRANCH"),
            pipeline_id=number("CI_PIPELINE_ID"),
            pipeline_url=text("CI_PIPELINE_URL"),
            pipeline_source=text("CI_PIPELINE_SOURCE"),
            job_url=text("CI_JOB_URL"),
            merge_request=number("CI_MERGE_REQUEST_IID"),
            target_branch=text("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
            target_url=f"{target_url}.git" if target_url else None,
            fork=text("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != text("CI_MERGE_REQUEST_PROJECT_ID"),
            user=text("GITLAB_USER_LOGIN"),
            user_name=text("GITLAB_USER_NAME"),
            user_email=text("GITLAB_USER_EMAIL"),
            environment=text("CI_ENVIRONMENT_NAME"),
            environment_action=text("CI_ENVIRONMENT_ACTION"),
            registry=text("CI_REGISTRY"),
            registry_image=text("CI_REGISTRY_IMAGE"),
        )


def _of_workflow(environ: Mapping[str, str]) -> CiFacts:
    """The facts of a job of GitHub Actions. What a pull request brings counts as a stranger's: no variable says."""
    server, project, run = (environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    project_url = f"{server}/{project}" if server and project else None
    run_url = f"{project_url}/actions/runs/{run}" if project_url and run else None
    kind, name = environ.get("GITHUB_REF_TYPE"), environ.get("GITHUB_REF_NAME")
    asked = environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request")
    number = re.match(r"refs/pull/(\d+)/", environ.get("GITHUB_REF", ""))
    actor, identity = environ.get("GITHUB_ACTOR"), environ.get("GITHUB_ACTOR_ID")
    return CiFacts(
        server_url=server,
        project=project,
        project_id=environ.get("GITHUB_REPOSITORY_ID"),
        project_url=project_url,
        repository_url=f"{project_url}.git" if project_url else None,
        commit=environ.get("GITHUB_SHA"),
        branch=environ.get("GITHUB_HEAD_REF") or (name if kind == "branch" else None),
        tag=name if kind == "tag" else None,
        pipeline_id=int(run) if run and run.isdigit() else None,
        pipeline_url=run_url,
        pipeline_source=environ.get("GITHUB_EVENT_NAME"),
        job_url=run_url,
        merge_request=int(number[1]) if number else None,
        target_branch=environ.get("GITHUB_BASE_REF"),
        target_url=f"{project_url}.git" if project_url and asked else None,
        fork=asked,
        user=actor,
        user_email=f"{identity}+{actor}@users.noreply.github.com" if actor and identity else None,
    )
