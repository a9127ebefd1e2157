"""Plans on merge requests: the one note that is kept up to date, and what was agreed to by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.plan import Plan, PlanList, list_hash
from ci_gitops.core.plan_file import Reviewed, deviation, read_plan
from ci_gitops.core.plan_note import note_key, read_note, write_note
from ci_gitops.errors import RefusedError, UsageError
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.workplace import Workplace, Workplaces

MERGE_REQUEST = "merge-request"
_LONGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAsk:
    """Where the note goes, as the command line says."""

    repo: str | None = None
    apps: tuple[str, ...] = ()
    merge_request: int | None = None
    forge: str | None = None
    forge_url: str | None = None


def post_note(places: Workplaces, place: Workplace, plans: PlanList, text: str, ask: NoteAsk) -> MergeRequest:
    """Write the note, or bring the one that is there up to date; UsageError where no merge request is meant."""
    run = places.run
    forge = _forge(places, place, ask)
    number = ask.merge_request or run.ci.merge_request
    request = forge.get(number) if number else _open_one(forge, place.revision)
    shown = replace(run.output, colour=False).render(text)
    forge.comment(request.iid, note_key(plans.environment, ask.apps), write_note(plans, shown))
    run.output.note(f"The plan is noted on merge request {request.iid}.")
    return request


def _forge(places: Workplaces, place: Workplace, ask: NoteAsk) -> Forge:
    """Of the repository that the checkout came from, where the place is a checkout."""
    hub = place if ask.repo else places.root()
    return forge_for(places.run, hub.repository, ask.forge, url=ask.forge_url, config=place.settings.config)


def _open_one(forge: Forge, revision: str) -> MergeRequest:
    found = [request for request in forge.find() if request.head_sha == revision]
    if len(found) != 1:
        raise UsageError(
            f"{'No' if not found else 'More than one'} open merge request has {revision[:12]} as its head.",
            hint="Name it with --mr IID, or run `diff --note` in a merge request's pipeline.",
        )
    return found[0]


def reviewed_plan(places: Workplaces, place: Workplace, environment: str, plan: str, ask: NoteAsk) -> Reviewed:
    """The plan that people agreed to: from its file, or from the note of the merge request that was merged."""
    if plan == MERGE_REQUEST:
        return _noted(_forge(places, place, ask), place.revision, environment)
    path = places.run.cwd / plan
    reviewed = _from_file(path)
    source = place.settings.name or place.url
    for what, given, wanted in (("environment", reviewed.environment, environment),
                                ("config repository", reviewed.source, source)):  # fmt: skip
        if given != wanted:
            raise UsageError(f"{path} is a plan of the {what} {given!r}, and this is {wanted!r}.")
    return reviewed


def _from_file(path: Path) -> Reviewed:
    hint = "`ci-gitops diff --plan-out FILE` writes one."
    try:
        if path.stat().st_size > _LONGEST:
            raise UsageError(f"{path} is too large for a plan.", hint=hint)
        return read_plan(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{path} is no plan: {error}.", hint=hint) from error


def _noted(forge: Forge, revision: str, environment: str) -> Reviewed:
    merged = [request for request in forge.find(state="merged") if revision in (request.merge_sha, request.head_sha)]
    notes = [
        note
        for request in merged
        for comment in forge.comments(request.iid)
        if comment.key and (note := read_note(comment.text)) and note.environment == environment
    ]
    if not notes:
        where = f"merge request {merged[0].iid}" if merged else f"a merge request that brought {revision[:12]}"
        raise RefusedError(
            f"No plan for {environment} was noted on {where}.",
            hint="`ci-gitops diff --note` writes it in the merge request's pipeline.",
        )
    targets = {app: digest for note in notes for app, digest in note.targets.items()}
    return replace(notes[0], targets=targets, hash=list_hash(targets.values()))


def agree(reviewed: Reviewed, plans: Iterable[Plan]) -> None:
    """RefusedError where something would be done that nobody agreed to."""
    for plan in plans:
        if words := deviation(reviewed, plan):
            raise RefusedError(words, hint="`ci-gitops diff` shows the plan as it is now: have it reviewed again.")
