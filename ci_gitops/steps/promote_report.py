"""What a promotion brought, from where it is known that it runs well, and what stayed behind, as text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ci_gitops.core.promotion import Candidate, Version
from ci_gitops.output import styled
from ci_gitops.results import Result

_KNOWN_FROM = {
    "deployed": None,
    "target": None,
    "registry": "its deployment names the tag alone; this digest is what the registry has for it now",
}


@dataclass(frozen=True, slots=True)
class Left:
    """An app that stays as it is. `alone`: only one of both environments has it."""

    app: str
    reason: str
    alone: bool = False


def promotion_result(
    source: str, target: str, candidates: Sequence[Candidate], left: Sequence[Left], notes: Sequence[str]
) -> Callable[[Result | None], Result]:
    """What makes the whole result of what was written; None where there was nothing to write."""
    document: dict[str, Any] = {
        "from": source,
        "to": target,
        "promoted": [_document(each) for each in candidates],
        "skipped": [{"app": each.app, "reason": each.reason} for each in left],
    }
    lines = [
        *_lines(source, candidates),
        *(f"  {styled('yellow', 'stays:')} {each.app}: {each.reason}" for each in left),
    ]
    digests = [f"{each.app}: {said}" for each in candidates for said in _digest_notes(each)]
    more = [*notes, *digests]
    lines += [styled("dim", f"  note: {note}") for note in more]

    def result(written: Result | None) -> Result:
        if written is None:
            nothing = {"outcome": "unchanged", "writes": [], "notes": more}
            said = (
                f"Nothing to do: the files of {target} alone name no image or chart that runs in {source} "
                "(what both take from one base is never copied)"
            )
            return Result("PromotionResult", {**document, **nothing}, "\n".join([said, *lines]))
        told = {**document, **written.document, "notes": [*written.document.get("notes", ()), *more]}
        return replace(written, kind="PromotionResult", document=told, text="\n".join([*lines, written.text]))

    return result


def _document(each: Candidate) -> dict[str, Any]:
    running = each.running
    return {
        "app": each.app,
        "revision": running.revision,
        "evidence": running.evidence,
        "reason": running.reason,
        "since": running.since,
        "images": [_version(version) for version in each.versions],
        "charts": [{"name": name, "version": version} for name, version in each.charts],
    }


def _version(each: Version) -> dict[str, Any]:
    return {
        "name": each.name, "image": str(each.image), "old": each.there, "tag": each.image.tag,
        "digest": each.image.digest, "digestFrom": each.digest_from, "moves": each.moves,
    }  # fmt: skip


def _lines(source: str, candidates: Sequence[Candidate]) -> Iterator[str]:
    for each in candidates:
        yield f"{each.app} in {source}: {each.running.reason}"


def _digest_notes(each: Candidate) -> Iterator[str]:
    for version in each.versions:
        said = _KNOWN_FROM[version.digest_from or "deployed"]
        if said and version.moves:
            yield f"{version.image}: {said}"
