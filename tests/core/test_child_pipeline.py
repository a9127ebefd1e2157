from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_gitops.core.child_pipeline import MOST_NEEDS, Spread, child_pipeline
from ci_gitops.core.targets import NAME
from ci_gitops.errors import UsageError
from tests.rig.templates import template


def spread(apps: list[str], **changed: Any) -> Spread:
    facts: dict[str, Any] = {
        "environment": "staging", "revision": "a" * 40, "apps": apps, "after": {}, "image": "cli:1", "variables": {},
    }  # fmt: skip
    return Spread(**(facts | changed))


def needs(document: dict[str, Any]) -> dict[str, list[str]]:
    return {name: job["needs"] for name, job in document.items() if isinstance(job, dict) and "needs" in job}


def test_a_job_is_that_of_the_template_for_one_app() -> None:
    """But for GitLab's environment: a pipeline has one job that starts it."""
    (theirs,) = template("deploy").filled({"environment": "staging", "cli-image": "cli:1", "stage": "deploy"}).values()
    ours = child_pipeline(spread(["web"], tags=["big"]))["deploy-app-web"]
    for key in ("stage", "image", "script", "retry", "interruptible"):
        assert ours[key] == (theirs[key] if key != "script" else [line.strip() for line in theirs[key]])
    assert ours["resource_group"] == f"{theirs['resource_group']}-web"
    assert set(ours["variables"]) - {"CI_GITOPS_COMMIT"} <= set(theirs["variables"])
    assert ours["environment"] == {"name": "staging", "action": "access"}
    assert ours["tags"] == ["big"]


def test_jobs_wait_in_the_order_of_after_also_through_what_did_not_change() -> None:
    after = {"web": ("api",), "api": ("queue", "database"), "queue": ("database",)}
    assert needs(child_pipeline(spread(["web", "api", "database"], after=after))) == {
        "deploy-app-web": ["deploy-app-api"], "deploy-app-api": ["deploy-app-database"], "deploy-app-database": [],
    }  # fmt: skip
    assert needs(child_pipeline(spread(["web", "database"], after=after)))["deploy-app-web"] == ["deploy-app-database"]


def test_what_left_git_is_looked_at_last() -> None:
    document = child_pipeline(spread(["web"], gone=True))
    assert needs(document)["deploy-staging"] == ["deploy-app-web"]
    assert "CI_GITOPS_DEPLOY_APP" not in document["deploy-staging"]["variables"]


def test_a_pipeline_has_a_job_where_nothing_changed() -> None:
    document = child_pipeline(spread([]))
    assert document["nothing-changed"]["script"] == ["echo 'No target of staging changed.'"]


def test_more_needs_than_gitlab_takes_are_refused() -> None:
    apps = [f"app{number}" for number in range(MOST_NEEDS + 1)]
    with pytest.raises(UsageError, match="comes after 51 apps"):
        child_pipeline(spread(["web", *apps], after={"web": apps}))


@pytest.mark.parametrize("name", ["a: b", "$CI_JOB_TOKEN", "x\n- y", "a/b", "", "`id`", "é", "a" * 64, "'; id; '"])
def test_a_name_that_could_be_more_than_a_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a job"):
        child_pipeline(spread([name]))
    with pytest.raises(UsageError, match="cannot name a job"):
        child_pipeline(spread(["web"], environment=name))


@settings(deadline=None)
@given(st.lists(st.from_regex(NAME, fullmatch=True), unique=True, max_size=6), st.text())
def test_every_name_comes_back_as_it_went_in(apps: list[str], context: str) -> None:
    """`yes`, `1e3`, `null`: names that YAML would read as something else."""
    document = child_pipeline(spread(apps, variables={"CI_GITOPS_DEPLOY_CONTEXT": context}))
    again = yaml.safe_load(yaml.safe_dump(document, sort_keys=False))
    assert again == document
    assert [job["variables"]["CI_GITOPS_DEPLOY_APP"] for name, job in again.items() if "-app-" in name] == apps
