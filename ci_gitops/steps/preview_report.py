"""Previews told: the document `PreviewResult`, its text, the comment on a merge request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ci_gitops.core.durations import format_duration
from ci_gitops.core.messages import short_reference
from ci_gitops.core.preview_making import Made
from ci_gitops.core.previews import Preview
from ci_gitops.core.text import counted
from ci_gitops.output import styled, table
from ci_gitops.results import Result
from ci_gitops.settings.environments import Previews
from ci_gitops.steps.preview_create import namespace, url_of
from ci_gitops.steps.preview_request import shown
from ci_gitops.steps.workplace import Workplace

KIND = "PreviewResult"


def document(preview: Preview, previews: Previews, now: datetime) -> dict[str, Any]:
    """One preview as data."""
    expires = preview.expires(previews.ttl)
    request = preview.request
    return {
        "name": preview.name,
        "environment": preview.environment,
        "namespace": namespace(previews, preview.environment),
        "apps": list(preview.apps),
        "url": next(iter(urls(preview, previews)), None),
        "urls": list(urls(preview, previews)),
        "from": preview.source,
        "images": [image.argument for image in preview.images],
        "createdAt": stamp(preview.created),
        "renewedAt": stamp(preview.renewed),
        "expiresAt": stamp(expires) if expires else None,
        "expired": bool(expires and expires <= now),
        "mergeRequest": None if request is None else {
            "repository": request.repository, "iid": request.iid, "url": request.url or None,
        },
        "by": preview.by,
    }  # fmt: skip


def urls(preview: Preview, previews: Previews) -> tuple[str, ...]:
    """Where it can be seen: one address, or one for each app."""
    found = (url_of(previews, preview.environment, app) for app in preview.apps)
    return tuple(dict.fromkeys(url for url in found if url))


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def result(
    action: str, outcome: str, place: Workplace, previews: Sequence[Mapping[str, Any]], lines: Iterable[str], *,
    commit: str | None = None, attempts: int = 1, notes: Sequence[str] = (), more: Mapping[str, Any] | None = None,
) -> Result:  # fmt: skip
    said = {
        "action": action, "outcome": outcome, "repository": place.url, "branch": place.branch, "commit": commit,
        "previews": list(previews), "attempts": attempts, "notes": list(notes), **(more or {}),
    }  # fmt: skip
    text = [*lines, *(styled("dim", f"  note: {note}") for note in notes)]
    return Result(KIND, said, "\n".join(text))


def creation_lines(
    outcome: str, preview: Preview, made: Made, previews: Previews, place: Workplace, commit: str | None
) -> list[str]:
    """What `create` says."""
    where = f"{place.branch} of {place.url}"
    name = f"preview {preview.name} ({', '.join(preview.apps)})"
    head = {
        "pushed": f"{styled('green', 'Pushed')} {name} to {where} as {(commit or '')[:12]}",
        "planned": f"Would write {counted(len(made.changed), 'file')} of the {name} to {where}; nothing was touched",
        "unchanged": f"Nothing to do: the {name} is as it should be on {where}",
    }[outcome]
    lines = [head, f"  environment: {preview.environment}"]
    lines += [f"  url: {url}" for url in urls(preview, previews)]
    lines += [f"  {move.app}: {move.name} {_short(move.old)} -> {short_reference(move.new)}" for move in made.images]
    expires = preview.expires(previews.ttl)
    lines.append(f"  expires: {stamp(expires)} unless it changes" if expires else "  expires: never")
    if previews.operator == "ci-gitops" and previews.destination and outcome != "planned":
        lines.append(f"  deploy it by: ci-gitops deploy --environment {preview.environment}")
    return lines


def removal_lines(
    outcome: str, gone: Sequence[Preview], place: Workplace, commit: str | None, left: Sequence[str]
) -> list[str]:
    """What `delete` and `prune` say; `left` are the commands for what is still there."""
    where = f"{place.branch} of {place.url}"
    names = ", ".join(each.name for each in gone)
    head = {
        "pushed": f"{styled('green', 'Removed')} {names} from {where} ({(commit or '')[:12]})",
        "planned": f"Would remove {names} from {where}; nothing was touched",
        "unchanged": f"Nothing to do on {where}",
    }[outcome]
    return [head, *(["  What it deployed is removed by:"] if left else []), *(f"    {line}" for line in left)]


def _short(old: str | None) -> str:
    return short_reference(old) if old else "new"


def listing(found: Sequence[Preview], previews: Previews, now: datetime) -> str:
    """The table of `list`."""
    rows = [
        (
            each.name, each.environment, ", ".join(each.apps), _age(each.created, now), _ends(each, previews, now),
            " ".join(urls(each, previews)) or "-", shown(each.request) if each.request else "-",
        )
        for each in found
    ]  # fmt: skip
    if not rows:
        return "There are no previews."
    return table(("NAME", "ENVIRONMENT", "APPS", "AGE", "EXPIRES", "URL", "MERGE REQUEST"), rows)


def _age(moment: datetime, now: datetime) -> str:
    """The largest two units are enough."""
    return "".join(re.findall(r"\d+[dhms]", format_duration(max(now - moment, timedelta())))[:2])


def _ends(preview: Preview, previews: Previews, now: datetime) -> str:
    expires = preview.expires(previews.ttl)
    if expires is None:
        return "never"
    return "expired" if expires <= now else f"in {_age(now, expires)}"


def comment_key(preview: Preview) -> str:
    return preview.environment


def comment_text(preview: Preview, previews: Previews) -> str:
    """What the merge request says while the preview is there."""
    links = urls(preview, previews)
    lines = [f"**Preview `{preview.environment}`** of {', '.join(preview.apps)}" + (":" if links else " is there.")]
    lines += [f"- {url}" for url in links]
    expires = preview.expires(previews.ttl)
    images = [f"`{image.argument}`" for image in preview.images]
    if images:
        lines += ["", f"Images: {', '.join(images)}"]
    if expires:
        lines += ["", f"It is removed on {expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC unless it is brought up to date."]
    return "\n".join(lines)


def gone_text(preview: Preview) -> str:
    return f"The preview `{preview.environment}` was removed."


def cleanup(preview: Preview, previews: Previews, place: Workplace) -> list[str]:
    """The commands that remove what it deployed: at the last revision that declared it."""
    if previews.operator != "ci-gitops" or previews.destination is None:
        return []
    return [
        f"ci-gitops delete --repo {place.url} --branch {place.branch} --revision {place.revision} "
        f"--environment {preview.environment} --app {app} --yes"
        for app in reversed(preview.apps)
    ]
