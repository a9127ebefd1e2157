"""JSON documents in a Git repository: each is the tree of a commit under a ref of its own.

A ref is moved by compare and swap, together with other refs in one atomic push, so any number of processes may
write: who comes second reads again. The commits are the document's history, with who changed what.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ci_gitops.adapters.git import Person, RefUpdate, Repository
from ci_gitops.errors import ForgeError, TemporaryError

_FILE = "record.json"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Document:
    ref: str
    sha: str = ""  # "" where it is not there yet
    data: Mapping[str, Any] = field(default_factory=dict)


class Documents:
    """Reads and writes documents; what has been read once is kept, since a commit never changes."""

    def __init__(
        self,
        repository: Repository,
        person: Person,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        patience: float = 600.0,  # seconds that races are run; trouble with the server has its own bound
    ) -> None:
        self.repository = repository
        self.person = person
        self._clock, self._wait, self._patience = clock, wait, patience
        self._known: dict[str, Mapping[str, Any]] = {}

    def load(self, refs: Mapping[str, str]) -> dict[str, Document]:
        """The documents of these refs at these commits, fetched in one go."""
        unknown = [ref for ref, sha in refs.items() if sha not in self._known]
        if unknown:
            # A ref may have moved since it was listed: what is read is what was fetched.
            fetched = self.repository.read_refs(unknown, _FILE)
            refs = {**refs, **{ref: sha for ref, (sha, _) in fetched.items()}}
            self._known |= {sha: _parsed(ref, contents) for ref, (sha, contents) in fetched.items()}
        return {ref: Document(ref, sha, self._known[sha]) for ref, sha in refs.items()}

    def get(self, ref: str) -> Document:
        """One document as it is now; an empty one where there is none."""
        return self.load(self.repository.remote_refs(ref)).get(ref, Document(ref))

    def moved(self, document: Document, data: Mapping[str, Any], message: str) -> RefUpdate:
        """The ref update that makes `data` the successor of `document`, to be pushed."""
        text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        sha = self.repository.commit(
            [document.sha] if document.sha else [], {_FILE: text.encode()}, message,
            author=self.person, committer=self.person,
        )  # fmt: skip
        self._known[sha] = data
        return RefUpdate(document.ref, sha, document.sha)

    def change(self, ref: str, edit: Callable[[Mapping[str, Any]], Mapping[str, Any]], message: str) -> Document:
        """Apply `edit` to the document as it is, whoever else writes; nothing is written where nothing changes."""

        def attempt() -> Document | None:
            document = self.get(ref)
            data = edit(document.data)
            if data == document.data:
                return document
            update = self.moved(document, data, message)
            return Document(ref, update.new, data) if self.push([update]) else None

        return self.until_landed(attempt, ref)

    def push(self, updates: Iterable[RefUpdate]) -> bool:
        """All of `updates` or none; False where another process was first."""
        return self.repository.push(tuple(updates)).landed

    def until_landed(self, attempt: Callable[[], _T | None], what: str) -> _T:
        """Repeat `attempt` while others are first, with growing random pauses, up to the bound of patience."""
        deadline = self._clock() + self._patience
        pause = 0.1
        while (result := attempt()) is None:
            if self._clock() > deadline:
                raise TemporaryError(
                    f"{what} kept being changed by others for {self._patience:.0f} s.", hint="Run the command again."
                )
            self._wait(random.uniform(0, pause))  # noqa: S311 - a pause is no secret
            pause = min(pause * 1.7, 5.0)
        return result


def _parsed(ref: str, contents: bytes | None) -> Mapping[str, Any]:
    try:
        data = json.loads(contents or b"")
    except ValueError as error:
        raise ForgeError(f"{ref} does not hold a record of ci-gitops: {error}.") from error
    if not isinstance(data, dict):
        raise ForgeError(f"{ref} does not hold a record of ci-gitops: {_FILE} is not an object.")
    return data
