"""The way back: from what runs in a target to what last ran well, as its records tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_gitops.core.holds import Hold
from ci_gitops.core.images import ImageRef
from ci_gitops.core.records import Record, newest_first
from ci_gitops.core.targets import Target
from ci_gitops.errors import UsageError

_SHORTEST = 7  # digits of a commit that name it
_GOOD = ("succeeded", "applied")


@dataclass(frozen=True, slots=True)
class Way:
    """From `bad`, which runs now, or failed to, to `good`."""

    good: Record
    bad: Record
    charts: tuple[tuple[str, str], ...] = ()  # and the versions that they had then, of those that differ now

    @property
    def target(self) -> Target:
        return self.bad.target

    @property
    def leads(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.moved or self.charts)

    @property
    def moved(self) -> dict[str, tuple[str, str]]:
        """name -> (good reference, bad reference), of images that are another version now."""
        before, after = images_of(self.good), images_of(self.bad)
        return {name: (before[name], after[name]) for name in after if name in before and before[name] != after[name]}


def subject(app: str, environment: str, revision: str) -> str:
    """Of the commit that goes back."""
    return f"Roll back {app} in {environment} to {revision[:12]}"


def images_of(record: Record) -> dict[str, str]:
    """The references that it brought, by name; what a chart made of a template is not ours to write."""
    found = {}
    for text in record.images:
        try:
            found[ImageRef.parse(text).name] = text
        except UsageError:
            continue
    return found


def running(records: Iterable[Record]) -> Record | None:
    """Of one target the record of what runs now, or failed to; None where nothing does."""
    newest = next((each for each in newest_first(records) if each.outcome != "superseded"), None)
    return None if newest is None or newest.cause == "delete" else newest


def way_back(records: Iterable[Record], holds: Sequence[Hold]) -> Way | None:
    """Of one target; None where nothing that ran well is known that differs and is not held.

    After an automatic rollback it is the way that it went: Git may not say so yet.
    """
    ordered = newest_first(records)
    now = running(ordered)
    if now is None:
        return None
    others = [each for each in ordered[ordered.index(now) + 1 :] if each.rendered != now.rendered]
    if now.cause == "rollback" and now.outcome in _GOOD:
        return Way(now, others[0]) if others else None
    good = next((each for each in others if each.outcome in _GOOD and not _is_held(each, holds)), None)
    return Way(good, now) if good else None


def way_to(records: Iterable[Record], wanted: str) -> Way | None:
    """Of one target, to the record of that name or revision (or its beginning); None where it has none."""
    ordered = newest_first(records)
    now = running(ordered)
    good = next((each for each in ordered if _is_named(each, wanted)), None)
    return Way(good, now) if now and good else None


def last_brought(current: Iterable[Record]) -> frozenset[str]:
    """Of what runs in several targets: the apps that the newest revision among it was brought to."""
    records = newest_first(current)
    return frozenset(each.target.app for each in records if each.revision == records[0].revision)


def _is_named(record: Record, wanted: str) -> bool:
    return record.name == wanted or (len(wanted) >= _SHORTEST and record.revision.startswith(wanted.lower()))


def _is_held(record: Record, holds: Sequence[Hold]) -> bool:
    return any(
        hold.image is not None and hold.bars(record.target.app, text)
        for text in images_of(record).values() for hold in holds
    )  # fmt: skip
