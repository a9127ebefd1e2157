"""The story of `rollback`: from what runs to what last ran well, by edits on today's files, the bad artifact held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ci_gitops.core.holds import Hold
from ci_gitops.core.intents import Intent, Snapshot
from ci_gitops.core.rollbacks import Way
from ci_gitops.errors import CiGitopsError, RefusedError, UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.holding import changed_holds, propose_holds, write_holds
from ci_gitops.steps.reverting import call_back, holding, holds_of
from ci_gitops.steps.rollback_call import RollbackCall
from ci_gitops.steps.update import wanted
from ci_gitops.steps.update_jobs import Task, hand_of, jobs_of, write_each
from ci_gitops.steps.ways import SECONDS, ways_of
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces
from ci_gitops.steps.write import Hand


def rollback(run: Run, call: RollbackCall) -> Result:
    """Find the way back of each app, hold what runs now, and write what ran well before."""
    reach = Reach(call.repo, call.branch, call.ca_file, call.token_file, call.timeout or SECONDS)
    with Workplaces(run, reach) as places:
        place, environment = _place(places, call)
        ways = ways_of(places, call, place, environment)
        for way in ways:
            run.output.step(f"{way.target}: back to {way.good.revision[:12]} of {way.good.started[:19]}Z")
        notes = _hold(places, place, ways, call)
        return _written(places, ways, call, notes)


def _place(places: Workplaces, call: RollbackCall) -> tuple[Workplace, EnvironmentSettings]:
    root = places.root()
    place = places.of(root.settings.environment(call.environment), root)
    return place, place.settings.environment(call.environment)


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
        snapshot = Snapshot(way.target.app, way.good.revision)
        intent = Intent(files=(snapshot,)) if call.whole else wanted(run, each)
        tasks += [Task(job, intent, hand_of(run, each)) for job in jobs_of(places, root, each)]
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
