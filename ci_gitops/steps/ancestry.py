"""Which of two revisions is the older one, asked where the history is: in the checkout, else where that came from.

A CI job's checkout is often shallow, and a retried job's lacks what came after it. Nothing is concluded from where
such a history ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from ci_gitops.adapters.git import Repository
from ci_gitops.errors import GitError
from ci_gitops.steps.locate import identity
from ci_gitops.steps.workplace import Workplace, Workplaces


@dataclass(slots=True)
class Ancestry:
    """Of one config repository. Safe to use from several threads."""

    places: Workplaces
    place: Workplace
    _known: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def is_behind(self, revision: str, applied: str) -> bool | None:
        """Whether `revision` is older than `applied`: an ancestor of it. None where nobody can tell."""
        if applied in ("", revision):
            return False
        with self._lock:
            if (revision, applied) not in self._known:
                answers = (self._asked(repository, revision, applied) for repository in self._repositories())
                self._known[revision, applied] = next((answer for answer in answers if answer is not None), None)
            return self._known[revision, applied]

    def _repositories(self) -> Iterator[Repository]:
        yield self.place.repository
        origin = identity(self.places.run, self.place.url)
        if origin != self.place.url:
            yield self.places.repository(origin)

    def _asked(self, repository: Repository, revision: str, applied: str) -> bool | None:
        """The usual way first: what is deployed is newer than what was, and little history shows it."""
        try:
            if repository.is_ancestor(applied, revision):
                return False
            return repository.is_ancestor(revision, applied)
        except GitError as error:
            self.places.run.output.detail(f"{error.message}")
            return None
