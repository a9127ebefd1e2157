"""The note that a plan leaves on a merge request: for people, and for the deploy that must not do anything else.

Its first line holds the hashes as JSON in a comment. A deploy reads them back; people read the rest.
"""

from __future__ import annotations

import json
import re

from ci_gitops.core.plan import PlanList
from ci_gitops.core.plan_file import Reviewed
from ci_gitops.core.text import counted, plain

_LINE = re.compile(r"\A<!-- ci-gitops:plan (?P<data>\{.*?\}) -->$", re.MULTILINE)
_FENCE = re.compile(r"`{3,}")
_LIMIT = 60_000  # characters; GitHub takes 65,536


def note_key(environment: str, apps: tuple[str, ...]) -> str:
    """Notes of other environments, and of jobs that look at other apps, are notes of their own."""
    return "-".join(("plan", environment, *sorted(apps)))


def write_note(plans: PlanList, text: str) -> str:
    """`text` is the plan as the console shows it, without colours."""
    effects = {plan.target.app: plan.hash for plan in plans.plans if not plan.is_empty}
    data = {
        "environment": plans.environment, "source": plans.source, "revision": plans.revision, "hash": plans.hash,
        "targets": effects,
    }  # fmt: skip
    marker = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("--", "-\\u002d")
    sums = ", ".join(f"{number} to {name}" for name, number in plans.summary.items() if number and name in _EFFECTS)
    head = f"**Plan for `{plans.environment}`** at `{plans.revision[:12]}`: {sums or 'nothing to do'}"
    body = plain(text)
    if len(body) > _LIMIT:
        body = body[:_LIMIT] + f"\n... {counted(len(body) - _LIMIT, 'more character')}; the job's log has all."
    longest = max((len(found) for found in _FENCE.findall(body)), default=2)
    fence = "`" * (longest + 1)
    details = f"<details><summary>Changes</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>"
    return f"<!-- ci-gitops:plan {marker} -->\n{head}\n\n{details}\n"


_EFFECTS = ("create", "update", "delete", "unknown")


def read_note(text: str) -> Reviewed | None:
    """What people agreed to by this note; None where it is no note of a plan."""
    found = _LINE.search(text)
    if found is None:
        return None
    try:
        data = json.loads(found["data"])
        targets = {str(app): str(digest) for app, digest in data["targets"].items()}
        return Reviewed(str(data["environment"]), data["source"], str(data["revision"]), str(data["hash"]), targets)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
