"""Does this machine's clock agree with the server's? Tokens, certificates and the order of updates depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ci_gitops.adapters.certificates import ca_file
from ci_gitops.adapters.clock import server_time
from ci_gitops.core.durations import format_duration
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.steps.checks.base import Finding, Scene

_BEARABLE = timedelta(seconds=30)
_WRONG = timedelta(minutes=5)


def check(scene: Scene) -> Iterator[Finding]:
    address = _web_server(scene)
    theirs = server_time(address, ca_file(scene.run.environ, scene.reach.ca_file)) if address else None
    if address and theirs:
        yield compare(urlsplit(address).netloc, theirs, datetime.now(UTC))


def compare(server: str, theirs: datetime, ours: datetime) -> Finding:
    """Seconds do not matter; minutes make tokens and certificates look expired or not yet valid."""
    apart = abs(ours - theirs)
    if apart <= _BEARABLE:
        return Finding("clock", "ok", f"This machine and {server} agree on the time.")
    direction = "ahead of" if ours > theirs else "behind"
    message = f"This machine's clock is {format_duration(apart)} {direction} that of {server}."
    return Finding("clock", "fail" if apart > _WRONG else "warn", message, "the clock of this machine (NTP)")


def _web_server(scene: Scene) -> str | None:
    """The forge, else the server of the config repository where that is one of the web."""
    if scene.run.ci.server_url:
        return scene.run.ci.server_url
    address = parse_git_url(scene.place.url) if scene.place else None
    return f"{address.scheme}://{address.authority}/" if address and address.scheme in ("http", "https") else None
