"""What runs in an environment, and whether it is well: decided from what was recorded of its deployments.

`promote` and the gates ask nothing else. Where a deployment was made is one question, where it is known from another:
`evidence` says it, and `reason` is the sentence that people read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ci_gitops.core.health import Health
from ci_gitops.core.images import ImageRef
from ci_gitops.core.records import Record, moment, newest_first
from ci_gitops.core.targets import Target
from ci_gitops.errors import UsageError

Evidence = Literal["records", "forge", "git"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One target as it was last deployed. `images` are exact references as deployed: NAME[:TAG][@DIGEST]."""

    target: Target
    revision: str  # of the config repository; empty where nothing was deployed
    images: tuple[str, ...]
    healthy: bool
    reason: str  # why it is healthy or not, and from what that is known
    since: int  # seconds since the epoch when that deployment was finished healthy; 0: unknown
    evidence: Evidence
    moving: bool = False  # a newer deployment is under way
    unwaited: bool = False  # applied, and nobody waited for its health

    @property
    def deployed(self) -> bool:
        return bool(self.revision)


def nothing(target: Target, reason: str, evidence: Evidence) -> Running:
    """The target where nothing runs."""
    return Running(
        target=target, revision="", images=(), healthy=False, reason=reason, since=0, evidence=evidence
    )  # fmt: skip


def from_records(target: Target, records: Iterable[Record]) -> Running:
    """As the records of one target tell it.

    A deployment that is under way hides nothing: what ran before it is what is known to be healthy. One that failed, or
    whose health nobody waited for, does: what runs now is not what was healthy.
    """
    ordered = [each for each in newest_first(records) if each.outcome != "superseded"]
    closed = [each for each in ordered if each.closed]
    if not closed or closed[0].cause == "delete":
        return nothing(target, _why_nothing(target, ordered, closed), "records")
    newest = closed[0]
    healthy = newest.outcome == "succeeded"
    start = _begin(closed) if healthy else newest
    under_way = ordered[0] if not ordered[0].closed else None
    return Running(
        target=target,
        revision=newest.revision,
        images=newest.images,
        healthy=healthy,
        reason=_well(start, under_way) if healthy else _unwell(newest),
        since=_seconds(start.finished or start.started) if healthy else 0,
        evidence="records",
        moving=under_way is not None,
        unwaited=newest.outcome == "applied",
    )


def as_it_lives(running: Running, health: Health, digests: Mapping[str, Sequence[str]]) -> Running:
    """With what is to be seen now: whether it is still well, and the digests that its pods run.

    What is only on its way (more replicas, a node that goes) is no reason to doubt what was healthy.
    """
    images = tuple(_with_digest(image, digests.get(image, ())) for image in running.images)
    found = replace(running, images=images)
    if not running.healthy or health.status not in ("degraded", "missing"):
        return found
    said = f"It was healthy at {running.revision[:12]}, and is {health.status} now: {health.message}"
    return replace(found, healthy=False, since=0, reason=said)


def _with_digest(image: str, digests: Sequence[str]) -> str:
    """The one that ran; of several nobody can say which was healthy."""
    try:
        known = ImageRef.parse(image)
    except UsageError:
        return image
    return image if known.digest or len(digests) != 1 else str(replace(known, digest=digests[0]))


def _begin(records: Sequence[Record]) -> Record:
    """The success since which the same is deployed: healing what somebody changed by hand begins nothing new."""
    begin = records[0]
    for record in records[1:]:
        if begin.cause != "heal" or record.outcome != "succeeded" or record.rendered != begin.rendered:
            break
        begin = record
    return begin


def _why_nothing(target: Target, ordered: Sequence[Record], closed: Sequence[Record]) -> str:
    if closed:
        return f"It was deleted at {_time(closed[0].started)}."
    if ordered:
        return f"Its first deployment is under way since {_time(ordered[0].started)}."
    return f"Nothing of it was deployed to {target.environment} yet."


def _well(record: Record, under_way: Record | None) -> str:
    said = f"Healthy since {_time(record.finished or record.started)}, at {record.revision[:12]}"
    if under_way:
        said += f"; a newer deployment ({under_way.revision[:12]}) is under way since {_time(under_way.started)}"
    return f"{said}, as its deployment record says."


def _unwell(record: Record) -> str:
    if record.outcome == "applied":
        return (
            f"{record.revision[:12]} was applied at {_time(record.finished or record.started)} and nobody waited for "
            "its health."
        )
    why = f": {record.failure.message}" if record.failure else "."
    return f"Its deployment of {record.revision[:12]} failed at {_time(record.finished or record.started)}{why}"


def _seconds(text: str) -> int:
    return int(moment(text).timestamp())


def _time(text: str) -> str:
    return f"{text[:19]}Z"
