"""The stories of `hold` and `release`: what must not move, and that it may again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ci_gitops.core.edits.records import Edit
from ci_gitops.core.hold_edits import with_hold, without_holds
from ci_gitops.core.holds import Hold, holds_path, parse_holds, same_image
from ci_gitops.core.images import ImageArgument, ImageRef
from ci_gitops.core.text import near
from ci_gitops.core.updates import Intent, plan_update
from ci_gitops.errors import EditError, RefusedError, UsageError
from ci_gitops.output import diff_text, styled
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps import people
from ci_gitops.steps.holding import Change, changed_holds, propose_holds, write_holds
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces
from ci_gitops.steps.write import Hand


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCall:
    """The options of one call, as the command line gives them."""

    environment: str
    reason: str
    app: str | None = None
    image: str | None = None
    repo: str | None = None
    branch: str | None = None
    forge: str | None = None
    forge_url: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    dry_run: bool = False

    @property
    def reach(self) -> Reach:
        return Reach(self.repo, self.branch, self.ca_file, self.token_file)


def hold(run: Run, call: HoldCall) -> Result:
    """Write it down; the same hold again changes nothing."""
    image = ImageRef.parse(call.image) if call.image else None
    with Workplaces(run, call.reach) as places:
        place = _place(places, call)
        who = people.author(run)
        made = Hold(_reason(call), call.app, image, who.name, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        notes = _unused(place, call, image) if image else ()
        change = partial(_with, made)
        return _Road(places, place, call, "hold", (made,), notes).go(change, _hold_message(call, made))


def release(run: Run, call: HoldCall) -> Result:
    """Take it out; what is not held is told, with what was perhaps meant."""
    image = ImageRef.parse(call.image) if call.image else None
    _reason(call)
    with Workplaces(run, call.reach) as places:
        place = _place(places, call)
        there = _holds(place, call.environment)
        gone = tuple(each for each in there if _meant(each, call.app, image))
        notes = () if gone else _not_held(call, image, there)
        road = _Road(places, place, call, "release", gone, notes)
        return road.go(partial(_without, call.app, image), _release_message(call, gone))


def _place(places: Workplaces, call: HoldCall) -> Workplace:
    root = places.root()
    place = places.of(root.settings.environment(call.environment), root)
    if call.app:
        place.settings.app(call.app)
    return place


def _reason(call: HoldCall) -> str:
    reason = " ".join(call.reason.split())
    if not reason:
        raise UsageError("--reason is empty.", hint="Say why, for whoever reads it at night.")
    return reason


def _holds(place: Workplace, environment: str) -> tuple[Hold, ...]:
    path = holds_path(environment)
    return parse_holds(place.tree.read([path])[path], path) if place.tree.holds(path) else ()


def _with(made: Hold, text: str, path: str) -> Edit:
    return with_hold(text, made, path)


def _without(app: str | None, image: ImageRef | None, text: str, path: str) -> Edit:
    gone = [each for each in parse_holds(text, path) if _meant(each, app, image)]
    return without_holds(text, gone, path)


def _meant(held: Hold, app: str | None, image: ImageRef | None) -> bool:
    """An app or environment by its own hold alone; an image by what is given of it, in any app where none is named."""
    if image is None or held.image is None:
        return image is None and held.image is None and held.app == app
    given = (image.tag in (None, held.image.tag)) and (image.digest in (None, held.image.digest))
    return same_image(image.name, held.image.name) and given and app in (None, held.app)


def _unused(place: Workplace, call: HoldCall, image: ImageRef) -> tuple[str, ...]:
    """A warning where no file declares the image: it may be misspelt."""
    try:
        targets = targets_of(place, call.environment, [call.app] if call.app else [])
        plan_update(Intent((ImageArgument(image.name, None, image.tag or "0", None),)), targets, place.tree)
    except EditError as error:
        return (f"{error.message} {error.hint or ''}".strip(),)
    return ()


def _not_held(call: HoldCall, image: ImageRef | None, there: Sequence[Hold]) -> tuple[str, ...]:
    said = " in ".join(part for part in (str(image) if image else None, call.app) if part)
    notes = [f"{said or 'The environment'} is not held{' in ' + call.environment if said else ''}."]
    images = [str(each.image) for each in there if each.image]
    if image and (matches := near(str(image), images)):
        notes.append(f"Did you mean {' or '.join(map(repr, matches))}?")
    notes += [f"Held is {each.subject or 'the environment'}: {each}" for each in there]
    return tuple(notes)


def _hold_message(call: HoldCall, made: Hold) -> str:
    return f"Hold {_where(call, made)}\n\n{made.reason}\n"


def _release_message(call: HoldCall, gone: Sequence[Hold]) -> str:
    what = _where(call, gone[0]) if len(gone) == 1 else f"{len(gone)} holds in {call.environment}"
    lines = [f"- {each.subject or call.environment}: {each}" for each in gone]
    return "\n".join([f"Release {what}", "", _reason(call), "", *lines]) + "\n"


def _where(call: HoldCall, held: Hold) -> str:
    return f"{held.subject} in {call.environment}" if held.subject else call.environment


@dataclass(slots=True)
class _Road:
    """The way of one change of holds to where it is in force, and what is told of it."""

    places: Workplaces
    place: Workplace
    call: HoldCall
    action: str
    holds: tuple[Hold, ...]
    notes: tuple[str, ...]

    def go(self, change: Change, message: str) -> Result:
        edit = changed_holds(self.place.tree, self.call.environment, change)
        if not edit.changed:
            return self._result("unchanged")
        if self.call.dry_run:
            return self._result("planned", diff=diff_text(edit.diff()))
        hand = Hand(author=people.author(self.places.run), actor=people.actor(self.places.run))
        try:
            commit = write_holds(self.places, self.place, self.call.environment, change, message, hand)
        except RefusedError as refused:
            return self._proposed(change, message, hand, refused)
        return self._result("pushed" if commit else "unchanged", commit)

    def _proposed(self, change: Change, message: str, hand: Hand, refused: RefusedError) -> Result:
        from ci_gitops.steps.forge import forge_for  # a push needs none

        call, place = self.call, self.place
        try:
            forge = forge_for(self.places.run, place.repository, call.forge, url=call.forge_url,
                              config=place.settings.config)  # fmt: skip
        except UsageError as error:
            hint = f"A merge request could bring it: {error.message} {error.hint or ''}".strip()
            raise RefusedError(refused.message, hint=hint) from error
        self.places.run.output.note(f"{refused.message} A merge request brings it instead.")
        done = propose_holds(self.places, place, forge, call.environment, change, message, hand)
        request = done.request
        number = f"!{request.iid}" if request.iid > 0 else request.title
        state = "in force" if self.action == "hold" else "lifted"
        self.notes += (f"It is not {state} yet: merge {number} first.",)
        document = {"iid": request.iid if request.iid > 0 else None, "url": request.url, "title": request.title,
                    "state": request.state, "source": request.source, "target": request.target,
                    "head": request.head_sha}  # fmt: skip
        return self._result("proposed", done.commit, request=document)

    def _result(
        self, outcome: str, commit: str | None = None, request: dict[str, Any] | None = None, diff: str = ""
    ) -> Result:
        call, place = self.call, self.place
        held = outcome in ("pushed", "unchanged") if self.action == "hold" else outcome in ("proposed", "planned")
        document = {
            "action": self.action,
            "outcome": outcome,
            "environment": call.environment,
            "repository": place.url,
            "branch": place.branch,
            "commit": commit,
            "holds": [each.document() for each in self.holds],
            "inForce": held and bool(self.holds),
            "mergeRequest": request,
            "notes": list(self.notes),
        }
        return Result("HoldResult", document, "\n".join(self._lines(outcome, commit, diff)))

    def _lines(self, outcome: str, commit: str | None, diff: str) -> list[str]:
        call, place = self.call, self.place
        what = ", ".join(_where(call, each) for each in self.holds)
        verb = {"hold": "Held", "release": "Released"}[self.action]
        place_said = f"{place.branch} of {place.url}"
        head = {
            "pushed": f"{styled('green', verb)}: {what} ({(commit or '')[:12]} on {place_said})",
            "unchanged": f"Nothing to do: {what} is held already." if self.holds else "",
            "planned": f"Would write to {place_said}: {verb.lower()} {what}; nothing was touched",
            "proposed": f"{styled('yellow', 'Proposed')}: {verb.lower()} {what}",
        }[outcome]
        notes = [*self.notes]
        if self.action == "hold" and outcome != "planned":
            notes.append(f"It is lifted by: {self.holds[0].release(call.environment)}")
        return [*([head] if head else []), *notes, *([diff] if diff else [])]
