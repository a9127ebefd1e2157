"""Plans in the forms that CI systems show by themselves: GitLab's Terraform and JUnit reports."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

from ci_gitops.core.plan import Change, Plan, PlanList
from ci_gitops.core.text import plain

_MOST = 20  # fields that one test case names


def terraform(plans: PlanList) -> str:
    """The three numbers of the merge request's widget
    (https://docs.gitlab.com/user/infrastructure/iac/mr_integration/).
    """
    summary = plans.summary
    numbers = {"create": summary["create"], "update": summary["update"], "delete": summary["delete"]}
    return json.dumps(numbers) + "\n"


def junit(plans: PlanList) -> str:
    """One suite for each target and one case for each object: what differs has failed, what is unknown is an error."""
    suites = "".join(_suite(plan) for plan in plans.plans)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="ci-gitops diff">\n{suites}</testsuites>\n'


def _suite(plan: Plan) -> str:
    summary = plan.summary
    failures = summary["create"] + summary["update"] + summary["delete"]
    head = (
        f'<testsuite name={_attribute(str(plan.target))} tests="{len(plan.changes)}" failures="{failures}" '
        f'errors="{summary["unknown"]}" skipped="{summary["skipped"]}">'
    )
    cases = "".join(_case(plan, change) for change in plan.changes)
    return f"  {head}\n{cases}  </testsuite>\n"


def _case(plan: Plan, change: Change) -> str:
    name = f"<testcase classname={_attribute(str(plan.target))} name={_attribute(str(change.object))}"
    if change.operation == "unchanged":
        return f"    {name}/>\n"
    tag = {"unknown": "error", "skipped": "skipped"}.get(change.operation, "failure")
    message = f"{change.operation}: {change.reason}" if change.reason else change.operation
    body = _clean("\n".join(_fields(change)))
    return f"    {name}><{tag} message={_attribute(message)}>{html.escape(body)}</{tag}></testcase>\n"


def _fields(change: Change) -> Sequence[str]:
    lines = [f"{field.path}: {_shown(field.old)} -> {_shown(field.new)}" for field in change.fields[:_MOST]]
    more = len(change.fields) - _MOST
    return [*lines, f"… and {more} more"] if more > 0 else lines


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _attribute(text: str) -> str:
    return f'"{html.escape(_clean(text))}"'


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(
        letter for letter in plain(text) if letter not in "\ufffe\uffff" and not "\ud800" <= letter <= "\udfff"
    )
