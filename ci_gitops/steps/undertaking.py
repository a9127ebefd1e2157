"""What begins and what breaks off a deployment: where its revision comes from, and how it may end before its end."""

from __future__ import annotations

from datetime import UTC, datetime

from ci_gitops.adapters.cluster.base import Document
from ci_gitops.adapters.git import CommitInfo
from ci_gitops.core.health import Health
from ci_gitops.core.records import Failure, Origin, stamp
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.steps import people


class BrokenError(Exception):
    """The deployment cannot go on.

    `late`: only the time was over. `blamed` are the objects to explain, `details` lines for people; `error` is what
    was raised, where that decides the exit code.
    """

    def __init__(
        self,
        failure: Failure,
        *,
        late: bool = False,
        blamed: tuple[Document, ...] = (),
        health: Health | None = None,
        details: tuple[str, ...] = (),
        error: CiGitopsError | None = None,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.late = late
        self.blamed = blamed
        self.health = health
        self.details = details
        self.error = error


class SupersededError(Exception):
    """A newer revision waits for this target, and nothing is half-done: it goes first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def origin_of(run: Run, commit: CommitInfo) -> Origin:
    """Where the revision came from and who brings it, as far as Git and CI say."""
    return Origin(
        author=f"{commit.author} <{commit.email}>",
        subject=commit.subject,
        committed=stamp(datetime.fromtimestamp(commit.time, UTC)),
        actor=people.actor(run) or people.author(run).name,
        pipeline=run.ci.pipeline_url,
        merge_request=run.environ.get("CI_GITOPS_MERGE_REQUEST") or None,
    )
