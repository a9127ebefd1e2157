"""What merging a merge request changes in the manifests, and in what runs now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from ci_gitops.core.contextual import shown, unified
from ci_gitops.core.differences import Compared
from ci_gitops.core.inventory import Key
from ci_gitops.core.object_names import spelt
from ci_gitops.core.plan import PlanList
from ci_gitops.core.promotion_text import LivePlan, RenderedChange
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, TemporaryError
from ci_gitops.output import clean
from ci_gitops.steps import people
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.diff import DiffCall, against_live
from ci_gitops.steps.request_text import Draft, policy_files
from ci_gitops.steps.revisions import compared_targets
from ci_gitops.steps.side_by_side import Asked
from ci_gitops.steps.workplace import RepositoryTree, Workplace

_FOR_THE_CLUSTER = 8.0  # seconds
_EFFECTS = ("create", "update", "delete", "unknown")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The config repository as it would be after the merge. `conflict`: it cannot be merged, and it is the branch."""

    place: Workplace
    conflict: bool = False


def after_merging(draft: Draft) -> Outcome:
    """The target branch has its own commits by now: what these brought is no change of the merge request."""
    place, repository = draft.place, draft.place.repository
    person = people.author(draft.places.run)
    sha = repository.merge(place.revision, draft.head, "", author=person, committer=person).sha
    revision = sha or draft.head
    after = replace(place, revision=revision, tree=RepositoryTree(repository, revision), policy=place.rules)
    return Outcome(after, conflict=sha is None)


def changed_policy(draft: Draft) -> tuple[str, ...]:
    """The files of rules that its own branch changes."""
    place = draft.place
    return policy_files(place.repository.changed_paths(draft.head, place.revision), place.keys)


def rendered_changes(draft: Draft, outcome: Outcome, ask: Ask) -> tuple[RenderedChange, ...]:
    """Of each target that it holds, rendered before and after."""
    try:
        found = compared_targets(draft.places, draft.place, outcome.place, draft.environment, ask)
    except CiGitopsError as error:
        return (RenderedChange(f"{draft.environment.name}", trouble=error.message),)
    hidden = Placeholders()
    return tuple(_change(target, compared, hidden) for target, compared in found.items())


def _change(target: Target, compared: Sequence[Compared] | CiGitopsError, hidden: Placeholders) -> RenderedChange:
    if isinstance(compared, CiGitopsError):
        return RenderedChange(str(target), trouble=clean(compared.message))
    changed = [each for each in compared if each.operation != "unchanged"]
    blocks = [_object_diff(each, hidden) for each in changed]
    return RenderedChange(str(target), tuple(_named(each) for each in changed), clean("\n".join(blocks)))


def _named(compared: Compared) -> str:
    return f"{compared.operation} {spelt(Key.of(compared.document))}"


def _object_diff(compared: Compared, hidden: Placeholders) -> str:
    """One object, without what is secret."""
    old, new = compared.live, compared.document
    sides = {"create": (None, new), "delete": (new, None)}.get(compared.operation, (old, new))
    before, after = (shown(hidden.masked(each)) if each is not None else [] for each in sides)
    key = Key.of(new)
    where = f" in {key.namespace}" if key.namespace else ""
    return "\n".join([f"@@ {_named(compared)}{where} @@", *unified(before, after)])


def whole_diff(changes: Sequence[RenderedChange]) -> str:
    """All of it, for a file."""
    parts = [f"# {each.target}\n{each.trouble or each.diff or 'nothing changes'}\n" for each in changes]
    return clean("\n".join(parts))


def live_plan(draft: Draft, outcome: Outcome, ask: Ask) -> LivePlan:
    """What a deploy would do after the merge; raises where that is not to be had in time."""
    given = {each.name: getattr(ask, each.name) for each in fields(Ask)}
    call = DiffCall(**given, reports={}, timeout=_FOR_THE_CLUSTER)
    question = lambda: against_live(draft.places.run, call, outcome.place, draft.environment)  # noqa: E731
    found = Asked({"live": question}, _FOR_THE_CLUSTER).answers()["live"]
    if isinstance(found, CiGitopsError):
        raise found
    if found.troubles:
        raise TemporaryError(found.troubles[0].message)
    return LivePlan(f"{found.where[:1].upper()}{found.where[1:]}", _sums(found.plans), _first(found.plans))


def _sums(plans: PlanList) -> str:
    told = [f"{number} to {name}" for name, number in plans.summary.items() if number and name in _EFFECTS]
    return ", ".join(told) or "nothing to do"


def _first(plans: PlanList) -> tuple[str, ...]:
    changes = [change for plan in plans.plans for change in plan.changes if change.operation in _EFFECTS]
    return tuple(
        f"{each.operation} {each.object.kind.lower()}/{each.object.name}"
        + (f" ({', '.join(field.path for field in each.fields[:3])})" if each.operation == "update" else "")
        for each in changes
    )
