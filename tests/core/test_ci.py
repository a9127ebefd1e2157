"""What a CI system says about its job."""

from __future__ import annotations

from ci_gitops.core.ci import CiFacts

WORKFLOW = {
    "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "octo/shop",
    "GITHUB_REPOSITORY_ID": "42", "GITHUB_SHA": "c" * 40, "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main",
    "GITHUB_REF_TYPE": "branch", "GITHUB_RUN_ID": "9812", "GITHUB_EVENT_NAME": "push", "GITHUB_ACTOR": "alice",
    "GITHUB_ACTOR_ID": "7", "GITHUB_HEAD_REF": "", "GITHUB_BASE_REF": "",
}  # fmt: skip


def test_a_workflow_of_github() -> None:
    facts = CiFacts.from_environ(WORKFLOW)
    assert (facts.gitlab, facts.project, facts.commit, facts.branch, facts.tag) == (
        False, "octo/shop", "c" * 40, "main", None,
    )  # fmt: skip
    assert facts.repository_url == "https://github.com/octo/shop.git"
    assert (facts.pipeline_id, facts.pipeline_url) == (9812, "https://github.com/octo/shop/actions/runs/9812")
    assert (facts.user, facts.user_email) == ("alice", "7+alice@users.noreply.github.com")
    assert (facts.fork, facts.merge_request) == (False, None)


def test_a_tag_s_workflow() -> None:
    facts = CiFacts.from_environ({**WORKFLOW, "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"})
    assert (facts.branch, facts.tag) == (None, "v1")


def test_what_a_pull_request_brings_is_a_stranger_s() -> None:
    request = {
        "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/12/merge", "GITHUB_REF_NAME": "12/merge",
        "GITHUB_HEAD_REF": "topic", "GITHUB_BASE_REF": "main",
    }  # fmt: skip
    facts = CiFacts.from_environ({**WORKFLOW, **request})
    assert (facts.branch, facts.target_branch, facts.merge_request, facts.fork) == ("topic", "main", 12, True)
    assert facts.target_url == facts.repository_url


def test_gitlab_s_job_is_gitlab_s_whatever_else_is_set() -> None:
    assert (
        CiFacts.from_environ({**WORKFLOW, "GITLAB_CI": "true", "CI_PROJECT_PATH": "group/app"}).project == "group/app"
    )


def test_a_machine_of_nobody() -> None:
    assert CiFacts.from_environ({}) == CiFacts()
