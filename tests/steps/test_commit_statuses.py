"""What a pass says on commits: one status of all its targets, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.targets import Target
from ci_gitops.errors import UnhealthyError
from ci_gitops.steps.commit_statuses import broken_off, ended, running
from ci_gitops.steps.deploy_report import Done


def done(app: str, outcome: Any, message: str | None = None, error: str | None = None) -> Done:
    return Done(
        target=Target(app, "live", f"apps/{app}"), destination="simulated", outcome=outcome, message=message,
        error=UnhealthyError(error) if error else None,
    )  # fmt: skip


@pytest.mark.parametrize(("outcomes", "state", "words"), [
    (["succeeded", "unchanged"], "success", "2 apps deployed to live, healthy"),
    (["recovered"], "success", "1 app deployed to live, healthy"),
    (["succeeded", "superseded"], "canceled", "A newer revision is deployed instead"),
    (["succeeded", "held"], "failed", "app1: held"),
    (["superseded", "away"], "failed", "app1: away"),
])  # fmt: skip
def test_one_word_for_all_targets(outcomes: list[str], state: str, words: str) -> None:
    status = ended("live", "https://ci", [done(f"app{number}", one) for number, one in enumerate(outcomes)])
    assert status
    assert (status.name, status.state, status.description, status.url) == ("ci-gitops/live", state, words, "https://ci")


def test_the_first_failure_is_told_in_its_first_line() -> None:
    status = ended("live", "", [done("cart", "succeeded"), done("shop", "unhealthy", error="No pod is ready.\nMore")])
    assert status
    assert (status.state, status.description) == ("failed", "shop: No pod is ready.")


def test_who_did_not_wait_says_nothing() -> None:
    assert ended("live", "", [done("shop", "applied")]) is None
    assert (running("live", "").state, broken_off("live", "").state) == ("running", "canceled")
