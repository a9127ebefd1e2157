"""What the CI system says about the job: project, commit, pipeline, person, registry.

Read from GitLab's predefined variables
(https://docs.gitlab.com/ci/variables/predefined_variables/); on a developer's machine everything is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CiFacts:
    gitlab: bool = False  # the job runs in GitLab CI
    server_url: str | None = None  # https://gitlab.example.com
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

        def text(name: str) -> str | None:
            return environ.get(name) or None

        def number(name: str) -> int | None:
            value = environ.get(name, "")
            return int(value) if value.isascii() and value.isdigit() else None

        project_url, target_url = text("CI_PROJECT_URL"), text("CI_MERGE_REQUEST_PROJECT_URL")
        return cls(
            gitlab=environ.get("GITLAB_CI") == "true",
            server_url=text("CI_SERVER_URL"),
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
            target_branch=text("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or text("GITHUB_BASE_REF"),
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
