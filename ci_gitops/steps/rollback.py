"""The story of `rollback`: from what runs to what last ran well, by edits on today's files, the bad artifact held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ci_gitops.core.holds import Hold
from ci_gitops.core.records import Record
from ci_gitops.core.rollbacks import Way, images_of, last_brought, running, way_back, way_to
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.update_values import chart_versions
from ci_gitops.errors import CiGitopsError, EditError, GitError, RefusedError, UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.holding import changed_holds, propose_holds, write_holds
from ci_gitops.steps.reverting import call_back, holding, holds_of
from ci_gitops.steps.running import records_of
from ci_gitops.steps.update import wanted
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.update_jobs import Task, hand_of, jobs_of, write_each
from ci_gitops.steps.workplace import Reach, RepositoryTree, Workplace, Workplaces
from ci_gitops.steps.write import Hand

_SECONDS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackCall(UpdateCall):
    """The options of one call, as the command line gives them."""

    environment: str
    to: str | None = None
    scope: str = "images"
    context: str | None = None
    kubeconfig: Path | None = None
    destination: str | None = None
    record_namespace: str | None = None

    @property
    def ask(self) -> Ask:
        """Where the records are."""
        return Ask(
            environment=self.environment, apps=self.apps, repo=self.repo, branch=self.branch, context=self.context,
            kubeconfig=self.kubeconfig, destination=self.destination, record_namespace=self.record_namespace,
            token_file=self.token_file, ca_file=self.ca_file,
        )  # fmt: skip

    @property
    def base(self) -> UpdateCall:
        return UpdateCall(**{each.name: getattr(self, each.name) for each in fields(UpdateCall)})


def rollback(run: Run, call: RollbackCall) -> Result:
    """Find the way back of each app, hold what runs now, and write what ran well before."""
    if call.scope == "target":
        raise RefusedError(
            "--scope target is not possible yet: rollback brings images back, not whole files.",
            hint="Take --scope images, or revert the commit by hand where something else must go back.",
        )
    reach = Reach(call.repo, call.branch, call.ca_file, call.token_file, call.timeout or _SECONDS)
    with Workplaces(run, reach) as places:
        place, environment = _place(places, call)
        ways = _ways(places, call, place, environment)
        for way in ways:
            run.output.step(f"{way.target}: back to {way.good.revision[:12]} of {way.good.started[:19]}Z")
        notes = _hold(places, place, ways, call)
        return _written(places, ways, call, notes)


def _place(places: Workplaces, call: RollbackCall) -> tuple[Workplace, EnvironmentSettings]:
    root = places.root()
    place = places.of(root.settings.environment(call.environment), root)
    return place, place.settings.environment(call.environment)


# Which way


def _ways(places: Workplaces, call: RollbackCall, place: Workplace, environment: EnvironmentSettings) -> list[Way]:
    """One for each app that is rolled back."""
    records = _records(places, call, place, environment)
    if not records:
        raise RefusedError(
            f"Nothing was deployed to {environment.name} yet, so there is nothing to go back to.",
            hint=f"`ci-gitops history --environment {environment.name}` lists what was.",
        )
    holds = holds_at(place, environment.name)
    chosen = _chosen(call, records)
    found = {app: _with_charts(place, _way(call, records[app], holds)) for app in chosen}
    ways = [way for way in found.values() if way and way.leads]
    stuck = [app for app, way in found.items() if not (way and way.leads)]
    if stuck and (not ways or call.apps):
        raise _no_way(call, stuck[0], found[stuck[0]])
    return ways


def _records(
    places: Workplaces, call: RollbackCall, place: Workplace, environment: EnvironmentSettings
) -> Mapping[str, list[Record]]:
    """The records of each app; RefusedError with what is missing where there are none."""
    if environment.operator != "ci-gitops":
        raise RefusedError(
            f"Somebody else deploys {environment.name} (`operator: {environment.operator}`), "
            "and there are no records of it.",
            hint="Write the version that you want with `ci-gitops update`.",
        )
    return records_of(places, call.ask, place, environment)


def _chosen(call: RollbackCall, records: Mapping[str, list[Record]]) -> tuple[str, ...]:
    """The apps of the call; else those that hold what is wanted, or that the last deployment came to."""
    for app in call.apps:
        if app not in records:
            raise UsageError(f"There are no records of the app {app!r} in {call.environment}.",
                             hint=did_you_mean(app, records, "Apps with records"))  # fmt: skip
    if call.apps:
        return tuple(dict.fromkeys(call.apps))
    if call.to:
        return tuple(app for app, each in records.items() if way_to(each, call.to)) or tuple(records)[:1]
    return tuple(sorted(last_brought(now for each in records.values() if (now := running(each)))))


def _way(call: RollbackCall, records: Sequence[Record], holds: Sequence[Hold]) -> Way | None:
    return way_to(records, call.to) if call.to else way_back(records, holds)


def _with_charts(place: Workplace, way: Way | None) -> Way | None:
    """The way with the charts whose versions were others in the good revision."""
    if way is None:
        return None
    target = way.target
    try:
        now = chart_versions(place.tree, target)
        tree = RepositoryTree(place.repository, place.repository.fetch(way.good.revision)) if now else place.tree
        then = chart_versions(tree, target)
    except (EditError, GitError):  # images go back nevertheless
        return way
    return replace(
        way, charts=tuple((chart, then[chart]) for chart in now if then.get(chart, now[chart]) != now[chart])
    )


def _no_way(call: RollbackCall, app: str, way: Way | None) -> RefusedError:
    listing = f"`ci-gitops history --environment {call.environment} --app {app}` lists what was deployed."
    if way is None and call.to:
        return RefusedError(f"No record of {app} in {call.environment} is {call.to!r}.", hint=listing)
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
        hint="Something else has changed: revert that commit by hand, or name another deployment with --to.",
    )


# What is written


def _hold(places: Workplaces, place: Workplace, ways: Sequence[Way], call: RollbackCall) -> tuple[str, ...]:
    """Hold what runs now; what there is to say of it. The way back is gone also where that is not possible."""
    hand = hand_of(places.run, call.base)
    held = [hold for way in ways for hold in _holds_of(way, hand)]
    if not held:
        return ()
    names = ", ".join(dict.fromkeys(hold.subject for hold in held))
    change = holding(*held)
    if call.dry_run:
        return (f"would hold {names}",) if changed_holds(place.tree, call.environment, change).changed else ()
    message = f"Hold {names} in {call.environment}\n\n{held[0].reason}\n"
    try:
        write_holds(places, place, call.environment, change, message, hand)
    except RefusedError as refused:
        try:
            config = place.settings.config
            forge = forge_for(places.run, place.repository, call.forge, url=call.forge_url, config=config)
        except UsageError:
            return (f"{names} could not be held: {refused.message}",)
        done = propose_holds(places, place, forge, call.environment, change, message, hand)
        number = f"!{done.request.iid}" if done.request.iid > 0 else done.request.title
        return (f"{names} is not held yet: merge {number}",)
    return (f"held: {names}",)


def _holds_of(way: Way, hand: Hand) -> tuple[Hold, ...]:
    return holds_of(way, f"{way.target} was rolled back from {way.bad.revision[:12]}", hand.author.name)


def _written(places: Workplaces, ways: Sequence[Way], call: RollbackCall, notes: tuple[str, ...]) -> Result:
    """Every way in its turn, as one result."""
    run, tasks = places.run, []
    root = places.root()  # with the holds
    for way in ways:
        each = call_back(way, call.base)
        tasks += [Task(job, wanted(run, each), hand_of(run, each)) for job in jobs_of(places, root, each)]
    apps = tuple(way.target.app for way in ways)
    asked = replace(call.base, environments=(call.environment,), apps=apps)
    try:
        return _told(write_each(places, tasks, asked), ways, notes)
    except CiGitopsError as error:
        if error.result:
            error.result = _told(error.result, ways, notes)
        raise


def _told(result: Result, ways: Sequence[Way], notes: tuple[str, ...]) -> Result:
    """What an update tells, and where the way went."""
    steps = [
        {"app": way.target.app, "from": way.bad.revision, "to": way.good.revision, "record": way.good.name,
         "images": [{"name": name, "old": wrong, "new": old} for name, (old, wrong) in way.moved.items()],
         "charts": [{"name": name, "new": version} for name, version in way.charts]}
        for way in ways
    ]  # fmt: skip
    said = [*result.document.get("notes", ()), *notes]
    document: dict[str, Any] = {**result.document, "notes": said, "rollback": steps}
    return replace(result, document=document, text="\n".join([result.text, *(f"  {note}" for note in notes)]))
