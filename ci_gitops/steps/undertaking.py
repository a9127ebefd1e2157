"""How a deployment of one target breaks off: what its record will say, and what people are shown beside it."""

from __future__ import annotations

from ci_gitops.core.records import Failure
from ci_gitops.errors import CiGitopsError


class BrokenError(Exception):
    """The deployment cannot go on. `details` are lines for people, such as the end of a log."""

    def __init__(
        self, failure: Failure, *, details: tuple[str, ...] = (), error: CiGitopsError | None = None
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.details = details
        self.error = error


class SupersededError(Exception):
    """A newer revision waits for this target, and nothing is half-done: it goes first."""

    def __init__(self, revision: str) -> None:
        super().__init__(revision)
        self.revision = revision
