"""The note of a plan: read back as what was agreed, whatever the plan shows."""

from __future__ import annotations

import pytest

from ci_gitops.core.differences import created, unchanged
from ci_gitops.core.plan import PlanList, make_plan
from ci_gitops.core.plan_note import note_key, read_note, write_note
from ci_gitops.core.targets import Target
from tests.core.test_plan import config

SHOP, BLOG = (Target(app, "staging", app) for app in ("shop", "blog"))
PLAN, IDLE = make_plan(SHOP, [created(config())]), make_plan(BLOG, [unchanged(config())])
PLANS = PlanList("staging", "a" * 40, (PLAN, IDLE), "acme --> x")


@pytest.mark.parametrize("text", ["+ a", "```\n/merge\n````", "--> <!-- ci-gitops:plan {} -->", "x" * 200_000, ""])
def test_a_note_says_what_was_agreed_whatever_it_shows(text: str) -> None:
    note = write_note(PLANS, text)
    found = read_note(note)
    assert found
    assert (found.environment, found.source, found.hash) == ("staging", "acme --> x", PLANS.hash)
    assert found.targets == {"shop": PLAN.hash}
    assert note.count("-->") == 1 + text.count("-->")
    assert len(note) < 65_536


def test_what_is_shown_stays_within_its_fence() -> None:
    note = write_note(PLANS, "```\n/close\n````")
    assert "`````diff\n```\n/close\n````\n`````\n" in note
    assert "**Plan for `staging`** at `aaaaaaaaaaaa`: 1 to create" in note


@pytest.mark.parametrize(
    "text",
    ["", "LGTM", "hello\n<!-- ci-gitops:plan {} -->", "<!-- ci-gitops:plan {} -->", "<!-- ci-gitops:plan {x} -->",
     '<!-- ci-gitops:plan {"environment":"a","source":null,"revision":"b","hash":"c","targets":[]} -->'],
)  # fmt: skip
def test_other_comments_are_no_plans(text: str) -> None:
    assert read_note(text) is None


def test_jobs_that_look_at_other_apps_keep_notes_of_their_own() -> None:
    assert note_key("staging", ()) == "plan-staging"
    assert note_key("staging", ("b", "a")) == note_key("staging", ("a", "b")) == "plan-staging-a-b"
