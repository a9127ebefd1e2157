"""Previews on their way out: what was made is taken out of Git, and nothing that others put there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ci_gitops.core.holds import holds_path
from ci_gitops.core.preview_files import shape
from ci_gitops.core.previews import Preview, environment_of, record_path, strangers
from ci_gitops.core.text import counted, did_you_mean
from ci_gitops.errors import RefusedError
from ci_gitops.settings.environments import Previews
from ci_gitops.settings.resolve import own_paths
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.preview_records import FileChange, all_previews, preview_at
from ci_gitops.steps.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Departure:
    """The previews that go, and of each that stays although it is wanted gone, why."""

    gone: tuple[Preview, ...]
    kept: tuple[tuple[Preview, str], ...] = ()
    notes: tuple[str, ...] = ()


def deleted(place: Workplace, name: str, *, force: bool) -> tuple[Departure, FileChange]:
    """RefusedError where others have put work into it, or where it is none of ours."""
    environment = environment_of(name)
    preview = preview_at(place.tree, environment)
    if preview is None:
        _refuse_strange(place, environment)
        known = [each.name for each in all_previews(place.tree)]
        hint = did_you_mean(name, known, "Previews")
        return Departure((), (), (f"There is no preview {name!r}.", *([hint] if hint else []))), FileChange({})
    if preview.name != name:
        raise RefusedError(f"{environment} is the preview of {preview.name!r}, not of {name!r}.")
    if not force and (reason := obstacle(place, preview)):
        raise RefusedError(f"The preview {name!r} stays: {reason}", hint="--force removes it nevertheless.")
    return Departure((preview,)), FileChange(_files(place, preview))


def _refuse_strange(place: Workplace, environment: str) -> None:
    """An environment of that name that somebody made by hand."""
    for app in place.settings.apps.values():
        path = next((each for each in own_paths(app, environment) if place.tree.holds(each)), None)
        if path:
            raise RefusedError(
                f"{path} was not made by `ci-gitops preview`: {environment} has no record.",
                hint="Remove it by hand if nobody needs it.",
            )


def pruned(place: Workplace, now: datetime, only: frozenset[str] | None = None) -> tuple[Departure, FileChange]:
    """Those whose time is over (that go: of the environments in `only`); what cannot go is told."""
    usual = (place.settings.previews or Previews.model_validate({})).ttl
    over = [each for each in all_previews(place.tree) if (end := each.expires(usual)) and end <= now]
    kept = tuple((each, reason) for each in over if (reason := obstacle(place, each)))
    stay = {each.environment for each, _ in kept}
    gone = tuple(each for each in over if each.environment not in stay and (only is None or each.environment in only))
    return Departure(gone, kept), FileChange({path: None for each in gone for path in _files(place, each)})


def obstacle(place: Workplace, preview: Preview) -> str | None:
    """Why a preview is not simply removed."""
    hold = next((each for each in holds_at(place, preview.environment) if each.image is None), None)
    if hold:
        return f"it is {hold}."
    added = strangers(place.tree.files(), preview.paths, preview.environment)
    if added:
        return f"{_some(added)} put there by others."
    changed = _changed(place, preview)
    return f"{_some(changed)} changed by others." if changed else None


def _some(paths: Sequence[str]) -> str:
    more = f" and {counted(len(paths) - 1, 'more file')}" if len(paths) > 1 else ""
    return f"{paths[0]}{more} {'were' if more else 'was'}"


def _changed(place: Workplace, preview: Preview) -> list[str]:
    shapes = preview.paths
    there = place.repository.read(place.revision, [path for path in shapes if place.tree.holds(path)])
    return [path for path, content in there.items() if shape(content, path) != shapes[path]]


def _files(place: Workplace, preview: Preview) -> dict[str, bytes | None]:
    """All that is the preview's, with its record and its holds."""
    environment = preview.environment
    paths = [*preview.paths, *strangers(place.tree.files(), preview.paths, environment)]
    paths += [record_path(environment), holds_path(environment)]
    return dict.fromkeys(path for path in paths if path in place.tree.files())
