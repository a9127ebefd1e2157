"""The way back, written to Git: the images of the last good deployment through the updater's road, the bad one held.

Where Git may not be written, the mark on the failed record keeps the revision from being tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from ci_gitops.core.edits.records import Edit
from ci_gitops.core.hold_edits import with_hold
from ci_gitops.core.holds import Hold
from ci_gitops.core.images import ImageRef
from ci_gitops.core.records import Record
from ci_gitops.errors import CiGitopsError, UsageError
from ci_gitops.run import Run
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.holding import write_holds
from ci_gitops.steps.locate import identity
from ci_gitops.steps.update import update
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces

_SECONDS = 100.0


def revert(run: Run, ask: Ask, place: Workplace, good: Record, bad: Record) -> tuple[str, ...]:
    """Write the images of `good` back and hold those of `bad`; what was done, or why not, in sentences."""
    moved = _moved(good, bad)
    if not moved:
        return ("Git still declares the failed revision: no image differs, so revert the commit by hand.",)
    url = identity(run, place.url)
    done = []
    for step in (_hold, _write_back):
        try:
            done.append(step(run, ask, url, good, bad, moved))
        except CiGitopsError as error:
            done.append(f"Git could not be written ({error.message}); the record keeps the revision from being tried.")
            break
    return tuple(done)


def _moved(good: Record, bad: Record) -> dict[str, tuple[str, str]]:
    """name -> (good reference, bad reference), of images that are another version now."""
    before, after = _by_name(good), _by_name(bad)
    return {name: (before[name], after[name]) for name in after if name in before and before[name] != after[name]}


def _by_name(record: Record) -> dict[str, str]:
    found = {}
    for text in record.images:
        try:
            found[ImageRef.parse(text).name] = text
        except UsageError:
            continue  # what a chart made of a template is not ours to write
    return found


def _write_back(run: Run, ask: Ask, url: str, good: Record, bad: Record, moved: Mapping[str, tuple[str, str]]) -> str:
    target = bad.target
    result = update(run, UpdateCall(
        images=tuple(old for old, _ in moved.values()), environments=(target.environment,), apps=(target.app,),
        repo=url, branch=ask.branch, force=True, token_file=ask.token_file, ca_file=ask.ca_file,
        message=f"Roll back {target.app} in {target.environment} to {good.revision[:12]}",
    ))  # fmt: skip
    return f"Git: {result.text.splitlines()[0]}" if result.text else "Git holds the good images already."


def _hold(run: Run, ask: Ask, url: str, good: Record, bad: Record, moved: Mapping[str, tuple[str, str]]) -> str:
    from ci_gitops.steps.update_jobs import hand_of  # it brings the settings along

    target, now = bad.target, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    reason = f"{bad.revision[:12]} failed in {target.environment}"
    hand = hand_of(run, UpdateCall())
    with Workplaces(run, Reach(url, ask.branch, ask.ca_file, ask.token_file, _SECONDS)) as places:
        root = places.root()
        place = places.of(root.settings.environment(target.environment), root)
        for _, wrong in moved.values():
            hold = Hold(reason, target.app, ImageRef.parse(wrong), hand.author.name, now)
            change = partial(_held, hold)
            message = f"Hold {wrong} in {target.environment}\n\n{reason}\n"
            write_holds(places, place, target.environment, change, message, hand)
    return f"Held: {', '.join(wrong for _, wrong in moved.values())}."


def _held(hold: Hold, text: str, path: str) -> Edit:
    return with_hold(text, hold, path)
