"""What a scan found and did, as the document `ScanResult` and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ci_gitops.core.scanning import Finding
from ci_gitops.core.text import counted
from ci_gitops.output import styled, table
from ci_gitops.results import Result

_NOTHING = "Nothing is followed: no app of these targets has `policies` in .ci-gitops.yaml (see docs/scan.md)."
_QUIET = ("current", "unchanged")
_COLOURS = {"failed": "red", "held": "yellow", "left": "yellow", "current": "dim", "unchanged": "dim"}
_WORDS = {"left": "left alone", "planned": "would be written", "unchanged": "already there"}


def scan_result(findings: Sequence[Finding], writes: Sequence[Result], *, dry_run: bool) -> Result:
    document: dict[str, Any] = {
        "dryRun": dry_run,
        "items": [finding.document for finding in findings],
        "writes": [write for each in writes for write in each.document["writes"]],
    }
    texts = [_table(findings) if findings else _NOTHING, *_reasons(findings), *(each.text for each in writes)]
    return Result("ScanResult", document, "\n".join(filter(None, texts)))


def told_of(result: Result, number: int) -> str:
    """One round of many: everything where something happened, else one line."""
    items = result.document["items"]
    if all(item["outcome"] in _QUIET for item in items):
        return f"Round {number}: {counted(len(items), 'image or chart', 'images and charts')} looked at, nothing newer."
    return f"Round {number}:\n{result.text}"


def _table(findings: Sequence[Finding]) -> str:
    rows = []
    for each in findings:
        outcome = _WORDS.get(each.outcome, each.outcome)
        rows.append([
            f"{each.app} in {each.environment}", each.name, _version(each, each.current, each.current_digest),
            _version(each, each.newest, each.digest) if each.outcome not in ("current", "left", "failed") else "",
            each.policy,
            styled(_COLOURS.get(each.outcome, "green"), outcome),
        ])  # fmt: skip
    return table(("TARGET", "IMAGE OR CHART", "NOW", "NEWER", "POLICY", "WHAT"), rows)


def _version(finding: Finding, version: str | None, digest: str | None) -> str:
    """The digest's first digits where the tag alone does not tell it."""
    short = (digest or "").removeprefix("sha256:")[:12]
    tag_stays = finding.newest == finding.current
    return " ".join(part for part in (version, short if tag_stays or not version else "") if part) or "-"


def _reasons(findings: Sequence[Finding]) -> Iterator[str]:
    for each in findings:
        what = f"{each.name} of {each.app} in {each.environment}"
        if each.reason:
            yield f"  {what}: {each.reason}"
        for reason in dict.fromkeys(one.reason for one in each.left_out):
            versions = ", ".join(one.version for one in each.left_out if one.reason == reason)
            yield styled("dim", f"  {what}: without {versions}: {reason}")
