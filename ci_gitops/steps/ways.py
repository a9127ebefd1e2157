"""Which way `rollback` goes: to what the deployment records name, else to what Git declared at a revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from ci_gitops.core.git_refs import is_object_id
from ci_gitops.core.holds import Hold
from ci_gitops.core.records import Record, stamp
from ci_gitops.core.rollbacks import Way, images_of, last_brought, running, way_back, way_to
from ci_gitops.core.target_images import images_in
from ci_gitops.core.targets import Target
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.update_values import chart_versions
from ci_gitops.errors import EditError, GitError, RefusedError, UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.earlier import earlier
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.rollback_call import RollbackCall
from ci_gitops.steps.running import records_of
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.workplace import RepositoryTree, Workplace, Workplaces

SECONDS = 100.0
_HISTORY_STEPS = (0, 50, 250, 700)  # commits; 1,000 in all
_SHORTEST = 7  # digits of a commit that name it


def ways_of(
    places: Workplaces, call: RollbackCall, place: Workplace, environment: EnvironmentSettings
) -> list[Way]:  # fmt: skip
    """One for each app that is rolled back."""
    elsewhere = call.context or call.kubeconfig or call.destination
    recorded = environment.operator == "ci-gitops" and (environment.destination or elsewhere)
    if environment.operator != "ci-gitops" or (call.to and not recorded):
        found = _ways_of_git(place, environment, call)
    else:
        found = _ways_of_records(places, call, place, environment)
    ways = [way for way in found.values() if way and (way.leads or call.whole)]
    stuck = [app for app, way in found.items() if way not in ways]
    if stuck and (not ways or call.apps):
        raise _no_way(call, stuck[0], found[stuck[0]])
    return ways


def _ways_of_records(
    places: Workplaces, call: RollbackCall, place: Workplace, environment: EnvironmentSettings
) -> dict[str, Way | None]:
    records = records_of(places, call.ask, place, environment)
    if not records:
        raise RefusedError(
            f"Nothing was deployed to {environment.name} yet, so there is nothing to go back to.",
            hint=f"`ci-gitops history --environment {environment.name}` lists what was.",
        )
    holds = holds_at(place, environment.name)
    revision = "" if _recorded(call, records) else _commit_of(place, call.to or "")
    chosen = _chosen(call, records)
    return {app: _with_charts(place, _way(place, call, records[app], holds, revision)) for app in chosen}


def _recorded(call: RollbackCall, records: Mapping[str, list[Record]]) -> bool:
    """Whether records name where the call wants to go."""
    apps = call.apps or tuple(records)
    return not call.to or any(way_to(records.get(app, ()), call.to) for app in apps)


def _chosen(call: RollbackCall, records: Mapping[str, list[Record]]) -> tuple[str, ...]:
    """The apps of the call; else those that hold what is wanted, or that the last deployment came to."""
    for app in call.apps:
        if app not in records:
            raise UsageError(f"There are no records of the app {app!r} in {call.environment}.",
                             hint=did_you_mean(app, records, "Apps with records"))  # fmt: skip
    if call.apps:
        return tuple(dict.fromkeys(call.apps))
    there = tuple(app for app, each in records.items() if call.to and way_to(each, call.to))
    return there or tuple(sorted(last_brought(now for each in records.values() if (now := running(each)))))


def _way(
    place: Workplace, call: RollbackCall, records: Sequence[Record], holds: Sequence[Hold], revision: str
) -> Way | None:
    if not call.to:
        return way_back(records, holds)
    now = running(records)
    if revision and now:  # nothing was recorded there: it changed nothing of the target, or came before records
        return _way_of_git(place, now, revision)
    return way_to(records, call.to)


def _with_charts(place: Workplace, way: Way | None) -> Way | None:
    """The way with the charts whose versions were others in the good revision."""
    if way is None:
        return None
    target = way.target
    try:
        now = chart_versions(place.tree, target, declared=True)
        tree = RepositoryTree(place.repository, place.repository.fetch(way.good.revision)) if now else place.tree
        then = chart_versions(tree, target, declared=True)
    except (EditError, GitError):  # images go back nevertheless
        return way
    return replace(
        way, charts=tuple((chart, then[chart]) for chart in now if then.get(chart, now[chart]) != now[chart])
    )


# Where Git alone says what was


def _ways_of_git(place: Workplace, environment: EnvironmentSettings, call: RollbackCall) -> dict[str, Way | None]:
    """From what the branch declares to what it declared: nobody here knows what of it went well."""
    name = environment.name
    by_others = f"Somebody else deploys {name} (`operator: {environment.operator}`)"
    who = f"{name} has no `destination`" if environment.operator == "ci-gitops" else by_others
    if not call.to:
        raise RefusedError(
            f"{who}, and there are no records of what went well there.",
            hint=f"Name where to go back to: `ci-gitops rollback --environment {name} --to REVISION`, a commit of "
            f"{place.branch} as `git log` shows it.{_examples(place, name, call)}",
        )
    revision = _commit_of(place, call.to)
    if not revision:
        raise RefusedError(f"{who}, and {place.branch} of {place.url} has no commit {call.to!r}.",
                           hint="Name a commit of it as `git log` shows it.")  # fmt: skip
    targets = [files.target for files in targets_of(place, name, call.apps)]
    heads = {target.app: _declared(place, target, place.revision) for target in targets}
    return {app: _with_charts(place, _way_of_git(place, head, revision)) for app, head in heads.items() if head}


def _examples(place: Workplace, name: str, call: RollbackCall) -> str:
    """Revisions that could be meant, of the first app that was ever another one."""
    for target in (files.target for files in targets_of(place, name, call.apps)):
        if before := earlier(place, target, partial(_declared, place)):
            listed = "; ".join(map(str, before))
            words = f"rollback --environment {name} --app {target.app} --to {before[0].revision[:12]}"
            return f" Before, {target.app} was at {listed}. To the first of these: `ci-gitops {words}`."
    return ""


def _way_of_git(place: Workplace, now: Record, revision: str) -> Way | None:
    good = _declared(place, now.target, revision)
    return Way(good, now) if good else None


def _declared(place: Workplace, target: Target, revision: str) -> Record | None:
    """What Git declared there, as a record would tell it; None where the target was not there."""
    tree = RepositoryTree(place.repository, place.repository.fetch(revision))
    if not tree.holds(target.path):
        return None
    files = targets_of(place, target.environment, [target.app])[0]
    made = stamp(datetime.fromtimestamp(place.repository.log(revision, 1)[0].time, UTC))
    return Record(
        name="", target=target, source="", revision=revision, rendered="", outcome="applied", started=made,
        images=images_in(tree, files),
    )  # fmt: skip


def _commit_of(place: Workplace, name: str) -> str:
    """The commit of that (shortened) id, tag or branch which the place's branch holds; empty where there is none."""
    repository = place.repository
    try:
        if is_object_id(name) or not _is_short(name):
            found = repository.fetch(name)
            return found if repository.is_ancestor(found, place.revision) else ""
        for count in _HISTORY_STEPS:
            if count and not repository.deepen(place.branch, count):
                break
            if found := next((each.sha for each in repository.log(place.revision, 1_000)
                              if each.sha.startswith(name.lower())), ""):  # fmt: skip
                return found
    except (GitError, UsageError):  # such as HEAD~1, which names something in a checkout alone
        return ""
    return ""


def _is_short(name: str) -> bool:
    return len(name) >= _SHORTEST and all(letter in "0123456789abcdefABCDEF" for letter in name)


def _no_way(call: RollbackCall, app: str, way: Way | None) -> RefusedError:
    listing = f"`ci-gitops history --environment {call.environment} --app {app}` lists what was deployed."
    if way is None and call.to:
        return RefusedError(
            f"No record of {app} in {call.environment} is {call.to!r}, and no commit of its branch that has {app}.",
            hint=listing,
        )
    if way is None:
        return RefusedError(
            f"{app} in {call.environment} has no earlier deployment that went well, differs and is not held.",
            hint=listing,
        )
    if not images_of(way.good):
        return RefusedError(
            f"The record of {way.good.revision[:12]} names no image of {app}, and no chart has another version now.",
            hint=listing,
        )
    return RefusedError(
        f"{app} in {call.environment} had the same images and charts at {way.good.revision[:12]}.",
        hint="Something else has changed: take --scope target, or name another deployment with --to.",
    )
