"""Which fields of other managers are taken, and which are a conflict."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.conflicts import claim, is_kubectl
from ci_gitops.core.differences import Difference
from ci_gitops.core.fieldsets import MISSING

FIELD = Difference(("data", "mode"), "wild", "calm", "somebody")
OLD: dict[str, Any] = {"data": {"mode": "mild"}}


def claims(difference: Difference, **terms: Any) -> Any:
    given = {"settled_before": False, "before": lambda: None, "adopted": False, "take_over": False} | terms
    return claim([difference], **given)


def test_what_nobody_else_holds_needs_no_word() -> None:
    found = claims(Difference(("data", "mode"), "wild", "calm"))
    assert (found.taken, found.conflicts, found.force) == ((), (), False)


@pytest.mark.parametrize("terms", [{"settled_before": True}, {"before": lambda: OLD}], ids=["nothing new", "rendered"])
def test_what_our_last_record_applied_is_taken_back(terms: dict[str, Any]) -> None:
    found = claims(FIELD, **terms)
    assert found.taken == ("takes back data.mode from somebody",)
    assert found.force


def test_what_we_never_applied_is_a_conflict_that_names_who_holds_it() -> None:
    for before in (lambda: None, lambda: {"data": {"other": "1"}}):
        found = claims(FIELD, before=before)
        assert found.conflicts == ("somebody holds data.mode",)
        assert not found.force


def test_a_call_may_take_it() -> None:
    assert claims(FIELD, take_over=True).taken == ("takes over data.mode from somebody",)


@pytest.mark.parametrize(
    ("manager", "adopted"),
    [("kubectl-client-side-apply", True), ("kubectl-edit", True), ("kubectl", True), ("before-first-apply", True),
     ("helm", False), ("kubectlish", False)],
)  # fmt: skip
def test_an_object_of_nobody_comes_with_the_fields_of_kubectl(manager: str, adopted: bool) -> None:
    assert is_kubectl(manager) == adopted
    found = claims(Difference(("data", "mode"), "wild", "calm", manager), adopted=True)
    assert bool(found.taken) == adopted
    assert bool(found.conflicts) != adopted


def test_a_field_that_leaves_git_is_no_conflict() -> None:
    assert not claims(Difference(("data", "mode"), "wild", MISSING, "somebody")).conflicts


def test_many_fields_are_told_in_one_sentence() -> None:
    many = [Difference(("data", f"k{number}"), 1, 2, "somebody") for number in range(5)]
    found = claim(many, settled_before=False, before=lambda: None, adopted=False, take_over=False)
    assert found.conflicts == ("somebody holds data.k0, data.k1, data.k2 and 2 more fields",)
