"""The way back, written to Git: the images of a good deployment through the updater's road, the bad ones held.

`rollback` goes it, and so does `deploy --rollback-on-failure`. Where Git may not be written then, the mark on the
failed record keeps the revision from being tried again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from ci_gitops.core.edits.records import Edit
from ci_gitops.core.hold_edits import with_holds
from ci_gitops.core.holds import Hold
from ci_gitops.core.images import ImageRef
from ci_gitops.core.records import Record
from ci_gitops.core.rollbacks import Way, subject
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.holding import Change, write_holds
from ci_gitops.steps.locate import identity
from ci_gitops.steps.update import update
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces

_SECONDS = 100.0


def revert(run: Run, ask: Ask, place: Workplace, good: Record, bad: Record) -> tuple[str, ...]:
    """Write the images of `good` back and hold those of `bad`; what was done, or why not, in sentences."""
    way = Way(good, bad)
    if not way.moved:
        target = way.target
        command = f"ci-gitops rollback --environment {target.environment} --app {target.app} --scope target"
        return (f"Git still declares the failed revision: no image differs, so `{command}` brings its files back.",)
    url = identity(run, place.url)
    done = []
    for step in (_hold, _write_back):
        try:
            done.append(step(run, ask, url, way))
        except CiGitopsError as error:
            done.append(f"Git could not be written ({error.message}); the record keeps the revision from being tried.")
            break
    return tuple(done)


def call_back(way: Way, base: UpdateCall) -> UpdateCall:
    """The update that brings the images of the way back; it may overwrite what a newer pipeline wrote."""
    target = way.target
    return replace(
        base, images=tuple(old for old, _ in way.moved.values()),
        charts=tuple(f"{chart}={version}" for chart, version in way.charts), environments=(target.environment,),
        apps=(target.app,), force=True, back_to=way.good.revision,
        message=base.message or subject(target.app, target.environment, way.good.revision),
    )  # fmt: skip


def holds_of(way: Way, reason: str, by: str) -> tuple[Hold, ...]:
    """What is held when this way is gone: the artifacts that it comes from, in its app."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return tuple(Hold(reason, way.target.app, ImageRef.parse(wrong), by, now) for _, wrong in way.moved.values())


def holding(*holds: Hold) -> Change:
    """The change of a file of holds that adds them."""
    return partial(_held, holds)


def _held(holds: tuple[Hold, ...], text: str, path: str) -> Edit:
    return with_holds(text, holds, path)


def _write_back(run: Run, ask: Ask, url: str, way: Way) -> str:
    base = UpdateCall(repo=url, branch=ask.branch, token_file=ask.token_file, ca_file=ask.ca_file)
    result = update(run, call_back(way, base))
    return f"Git: {result.text.splitlines()[0]}" if result.text else "Git holds the good images already."


def _hold(run: Run, ask: Ask, url: str, way: Way) -> str:
    from ci_gitops.steps.update_jobs import hand_of  # it brings the settings along

    target = way.target
    reason = f"{way.bad.revision[:12]} failed in {target.environment}"
    hand = hand_of(run, UpdateCall())
    held = holds_of(way, reason, hand.author.name)
    names = ", ".join(str(hold.image) for hold in held)
    with Workplaces(run, Reach(url, ask.branch, ask.ca_file, ask.token_file, _SECONDS)) as places:
        root = places.root()
        place = places.of(root.settings.environment(target.environment), root)
        message = f"Hold {names} in {target.environment}\n\n{reason}\n"
        write_holds(places, place, target.environment, holding(*held), message, hand)
    return f"Held: {names}."
