"""An explanation, as the document `Explanation` and as a story for a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ci_gitops.core.explaining import Trouble, identity, shown, trouble_lines
from ci_gitops.core.health import Health
from ci_gitops.core.inventory import Key
from ci_gitops.core.provenance import Consent, Provenance, moment
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import Source
from ci_gitops.output import styled
from ci_gitops.results import Result

_COLOURS = {"healthy": "green", "suspended": "yellow", "progressing": "yellow"}
_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that is known. `owners` lead from what was applied down to the object that is asked about."""

    target: Target
    destination: str
    object: Key | None
    owners: tuple[Key, ...]
    health: Health | None  # None where nothing acts on the objects
    revision: str | None
    record: Record | None
    images: tuple[Provenance, ...]
    troubles: tuple[Trouble, ...]
    absent: tuple[Key, ...] = ()


def explanation_result(found: Explanation) -> Result:
    document = {
        "environment": found.target.environment,
        "app": found.target.app,
        "object": identity(found.object) if found.object else None,
        "owners": [identity(key) for key in found.owners],
        "destination": found.destination,
        "health": shown(found.health) if found.health else None,
        "revision": found.revision,
        "record": found.record.document if found.record else None,
        "images": [each.document for each in found.images],
        "missing": [identity(key) for key in found.absent],
        "troubles": [each.document for each in found.troubles],
    }
    return Result("Explanation", document, "\n".join(_lines(found)))


def _lines(found: Explanation) -> Iterator[str]:
    name = f"{found.object} of {found.target}" if found.object else str(found.target)
    if found.health is None:
        yield f"{styled('bold', name)} is written to {found.destination}, where nothing runs."
    else:
        status = styled(_COLOURS.get(found.health.status, "red"), found.health.status)
        yield f"{styled('bold', name)} is {status}: {found.health.message}"
    if found.owners:
        yield f"  It came from {', '.join(map(str, reversed(found.owners)))}."
    yield from _deployed(found)
    for each in found.images:
        yield ""
        yield from _image(each)
    if found.absent:
        yield ""
        yield f"Not in the cluster, and declared: {', '.join(map(str, found.absent))}."
        yield "  A deploy with `drift: heal`, or of a new revision, makes them again."
    for trouble in found.troubles:
        yield ""
        yield from trouble_lines(trouble)


def _deployed(found: Explanation) -> Iterator[str]:
    record = found.record
    if record is None:
        yield f"  Nothing of it was recorded at {found.destination}; `ci-gitops deploy` does both."
        return
    origin = record.origin
    subject = f' "{origin.subject}"' if origin.subject else ""
    author = f" of {origin.author}" if origin.author else ""
    yield f"  Revision: {record.revision[:_SHORT]}{subject}{author}"
    by = f" by {origin.actor}" if origin.actor else ""
    when = record.finished or record.started
    yield f"  {record.cause.capitalize()} {record.outcome} at {when[:19]}Z{by}, to {found.destination}"
    if record.failure:
        yield f"  It failed: {record.failure.message}"
    if origin.pipeline:
        yield f"  Pipeline: {origin.pipeline}"
    if origin.merge_request:
        yield f"  Merge request: {origin.merge_request}"


def _image(each: Provenance) -> Iterator[str]:
    yield styled("bold", each.image)
    yield f"  Used by {', '.join(map(str, each.objects))}"
    written = [digest for digest in each.digests if digest not in each.image]
    if written:
        yield f"  Runs as {', '.join(written)}"
    if each.source:
        through = each.through
        by = f", as {through.commit.sha[:_SHORT]} wrote it to {through.move.environment}" if through else ""
        yield f"  Built from {_source(each.source)}{by}"
    if each.labels:
        yield f"  The image says: {', '.join(f'{name} {value}' for name, value in each.labels.items())}"
    commit = each.commit
    if commit is None:
        yield "  No commit of ci-gitops wrote it: it is as people, or other tools, declared it"
        return
    how = "Written" if each.exact else "Last written, with another tag or digest,"
    yield f'  {how} in {commit.sha[:_SHORT]} "{commit.subject}" of {commit.author}, {moment(commit.time)}'
    if each.consent:
        yield from _consent(each.consent)


def _source(source: Source) -> str:
    commit = f" at {source.commit[:_SHORT]}" if source.commit else ""
    pipeline = f", pipeline {source.pipeline}" if source.pipeline is not None else ""
    return f"{source.project}{commit}{pipeline}"


def _consent(consent: Consent) -> Iterator[str]:
    request = consent.request
    author = f" of {request.author}" if request.author else ""
    approved = f", approved by {', '.join(consent.approvers)}" if consent.approvers else ", approved by nobody"
    merged = f", merged {moment(request.merged_at)}" if request.merged_at else ""
    yield f'  Merge request !{request.iid} "{request.title}"{author}{approved}{merged}'
    if request.url:
        yield f"  {request.url}"
