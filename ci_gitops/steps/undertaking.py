"""How a deployment of one target breaks off: what its record will say, and what people are shown beside it."""

from __future__ import annotations

from ci_gitops.adapters.cluster.base import Document
from ci_gitops.core.health import Health
from ci_gitops.core.records import Failure
from ci_gitops.errors import CiGitopsError


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
