"""The commit statuses of a deployment: on the commit of the config repository, and on those that its images came from.

A status has the name `ci-gitops/<environment>`. That of an application's commit says how its image fared, so that who
wrote it sees there what became of it; which commit that is, is read from the trailers of the config repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ci_gitops.core.gates import OWN_STATUS, CheckState, CommitStatus
from ci_gitops.core.images import ImageRef
from ci_gitops.core.records import Record, last_success
from ci_gitops.core.text import counted
from ci_gitops.errors import UsageError
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.deploy_report import Done
from ci_gitops.steps.provenance import Origins
from ci_gitops.steps.workplace import Workplace, Workplaces

_MOST_SOURCES = 20
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PROJECT = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)+")
_BAD = ("failed", "unhealthy", "refused", "away", "blocked", "held")


@dataclass(frozen=True, slots=True)
class Begun:
    """A deployment of one target that this pass has opened, and what ran there before."""

    opened: Record
    before: Record | None

    @classmethod
    def of(cls, opened: Record, earlier: Sequence[Record]) -> Begun:
        return cls(opened, last_success(earlier))

    @property
    def new_images(self) -> tuple[str, ...]:
        known = self.before.images if self.before else ()
        return tuple(image for image in self.opened.images if image not in known)


@dataclass(frozen=True, slots=True)
class OfSource:
    """A status for a commit of an application's project."""

    project: str
    sha: str
    status: CommitStatus


def running(environment: str, url: str) -> CommitStatus:
    return _status(environment, "running", f"Being deployed to {environment}", url)


def ended(environment: str, url: str, done: Sequence[Done]) -> CommitStatus | None:
    """How the pass ended for all of its targets; None where nobody waited for it."""
    bad = next((each for each in done if each.error is not None or each.outcome in _BAD), None)
    if bad:
        return _status(environment, "failed", f"{bad.target.app}: {_why(bad)}", url)
    if any(each.outcome == "superseded" for each in done):
        return _status(environment, "canceled", "A newer revision is deployed instead", url)
    if any(each.outcome == "applied" for each in done):
        return None
    return _status(environment, "success", f"{counted(len(done), 'app')} deployed to {environment}, healthy", url)


def broken_off(environment: str, url: str) -> CommitStatus:
    return _status(environment, "canceled", f"The run that deployed to {environment} broke off", url)


def of_sources(
    places: Workplaces, place: Workplace, ask: Ask, begun: Mapping[str, Begun], done: Sequence[Done], url: str
) -> tuple[OfSource, ...]:
    """The statuses of the commits that new images came from, as far as the config repository says which."""
    found: dict[tuple[str, str], OfSource] = {}
    for each in done:
        began, environment = begun.get(each.target.app), each.target.environment
        status = ended(environment, url, [each])
        if began is None or status is None or not began.new_images:
            continue
        origins = Origins(places.run, places, place, each.target, began.opened.revision, ask)
        since = began.before.revision if began.before else None
        for image, written in origins.written(began.new_images, since=since).items():
            source = written.source if written.exact else None
            if source and source.commit and _is_one(source.project, source.commit):
                told = replace(status, description=_of_image(image, status, environment))
                found.setdefault((source.project, source.commit), OfSource(source.project, source.commit, told))
    return tuple(found.values())[:_MOST_SOURCES]


def _is_one(project: str, commit: str) -> bool:
    """Whether what a commit message names may be a project and a commit: it goes into an address."""
    return bool(_PROJECT.fullmatch(project) and ".." not in project and _COMMIT.fullmatch(commit))


def _of_image(image: str, status: CommitStatus, environment: str) -> str:
    if status.state == "success":
        return f"{_short(image)} runs in {environment}, healthy"
    return f"{_short(image)} in {environment}: {status.description}"


def _short(image: str) -> str:
    try:
        parsed = ImageRef.parse(image)
    except UsageError:
        return image
    return f"{parsed.name.rpartition('/')[2]}:{parsed.tag or (parsed.digest or '')[7:19]}"


def _why(done: Done) -> str:
    said = done.message or (done.error.message if done.error else done.outcome)
    return (said.strip() or done.outcome).splitlines()[0]


def _status(environment: str, state: CheckState, description: str, url: str) -> CommitStatus:
    return CommitStatus(f"{OWN_STATUS}/{environment}", state, description, url)
