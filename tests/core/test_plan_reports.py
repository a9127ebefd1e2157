"""Plans as GitLab's widgets read them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from ci_gitops.core.differences import created, deleted, skipped, unchanged, unknown, updated
from ci_gitops.core.plan import PlanList, make_plan
from ci_gitops.core.plan_reports import junit, terraform
from tests.core.test_differences import OURS, ours
from tests.core.test_plan import TARGET, config

PLANS = PlanList("staging", "a" * 40, (make_plan(TARGET, [
    created(config("new")), updated(ours({"a": 1}), ours({"a": "<&\x00\ufffe>"}), OURS), deleted(config("old")),
    unchanged(config()), skipped(config("kept"), "Prune=false"), unknown(config("odd"), 'denied by "policy"\x1b[31m'),
]),))  # fmt: skip


def test_the_numbers_of_the_terraform_widget() -> None:
    assert json.loads(terraform(PLANS)) == {"create": 1, "update": 1, "delete": 1}


def test_cases_that_differ_have_failed_and_unknown_ones_are_errors() -> None:
    suite = ElementTree.fromstring(junit(PLANS))[0]
    assert suite.attrib == {
        "name": "shop in staging", "tests": "6", "failures": "3", "errors": "1", "skipped": "1"
    }  # fmt: skip
    kinds = [[child.tag for child in case] for case in suite]
    assert kinds == [["failure"], ["failure"], ["failure"], [], ["skipped"], ["error"]]
    assert suite[1][0].text == 'spec.a: 1 -> "<&\\u0000>"'
    assert suite[5][0].attrib["message"] == 'unknown: denied by "policy"'
