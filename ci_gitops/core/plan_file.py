"""A plan that was reviewed, read back from its file, and whether the plan of now is still that one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from ci_gitops.core.differences import Operation
from ci_gitops.core.plan import API_VERSION, LIVE, Plan, list_hash
from ci_gitops.core.shapes import integer, mapping, one_of, optional, read_json, several, text

_ANY: Mapping[str, Any] = {"description": "A value as JSON; null where there is none. Secrets are masked."}
_HASH = text("The plan's hash: target, objects, operations, and old and new values.", pattern="^sha256:[0-9a-f]{64}$")
_OBJECT = mapping({"apiVersion": text(), "kind": text(), "namespace": optional(text()), "name": text()})
_FIELD = mapping({"path": text(), "old": _ANY, "new": _ANY, "manager": optional(text("Who else holds it now."))})
_CHANGE = mapping(
    {
        "object": _OBJECT,
        "operation": one_of(*get_args(Operation), description="What is done; unknown: it could not be compared."),
        "fields": several(_FIELD, "The fields that change."),
        "reason": optional(text("Why, where that needs a word.")),
        "drift": {"type": "boolean", "description": "Nothing is new in Git: somebody changed the object."},
    }
)
_PLAN = mapping(
    {
        "target": mapping({"app": text(), "environment": text()}),
        "hash": _HASH,
        "summary": {"type": "object", "additionalProperties": integer()},
        "changes": several(_CHANGE),
        "hooks": several(mapping({"phase": text(), "object": _OBJECT}), "The hooks that would run."),
        "notes": several(text(), "What a reviewer should know."),
    }
)
#: Of the documents of `diff` and of plan files, as published.
PLAN_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ci-gitops plans",
    **mapping(
        {
            "apiVersion": text("The version of this format.", const=API_VERSION),
            "kind": text(const="PlanList"),
            "source": optional(text("The config repository, by the name that it goes by in the cluster.")),
            "environment": text(),
            "revision": text("The commit that was rendered."),
            "hash": _HASH,
            "plans": several(_PLAN, "One for each target."),
            "against": text("What is compared with: live, or a revision."),
        }
    ),
}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people agreed to: the hash of each target that is changed, and of all of them."""

    environment: str
    source: str | None
    revision: str
    hash: str
    targets: Mapping[str, str]  # app -> hash, of plans that do something


def read_plan(content: str) -> Reviewed:
    """The plan that a file holds; ValueError says what is wrong with it."""
    document = read_json(content, PLAN_SCHEMA)
    if document["against"] != LIVE:
        raise ValueError("it compares two revisions and knows nothing of a cluster")
    effects = [plan for plan in document["plans"] if _does_something(plan)]
    if document["hash"] != list_hash(plan["hash"] for plan in effects):
        raise ValueError("its hash does not fit its plans: the file was changed")
    if any(plan["target"]["environment"] != document["environment"] for plan in effects):
        raise ValueError("it holds plans of several environments")
    return Reviewed(
        document["environment"], document["source"], document["revision"], document["hash"],
        {plan["target"]["app"]: plan["hash"] for plan in effects},
    )  # fmt: skip


def _does_something(plan: Mapping[str, Any]) -> bool:
    changed = ("create", "update", "delete", "unknown")
    return bool(plan["hooks"]) or any(change["operation"] in changed for change in plan["changes"])


def deviation(reviewed: Reviewed, plan: Plan) -> str | None:
    """How a target's plan of now differs from what was agreed, in a sentence; None where it does not.

    Where nothing is left to do, as after a first run with the same plan, there is nothing to disagree about.
    """
    if plan.is_empty or reviewed.targets.get(plan.target.app) == plan.hash:
        return None
    if plan.target.app not in reviewed.targets:
        return f"{plan.target} is not changed by the reviewed plan, and would be now."
    return f"The plan of {plan.target} is no longer the reviewed one."
