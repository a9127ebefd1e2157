"""Rendered manifests on a branch of their own: files that are kept back and then pushed as one commit.

There is no work tree. Nothing is visible before `publish`; a push that another push beat is made again on top of it,
never forced, unless that one wrote to the same target: then its run was first and ours gives way.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from threading import RLock

from ci_gitops.adapters.cluster.files import MAX_BYTES, OURS
from ci_gitops.adapters.git import Person, RefUpdate, Repository, SigningKey
from ci_gitops.core.backoff import race_pause
from ci_gitops.core.git_refs import branch_ref
from ci_gitops.errors import ClusterError, TemporaryError, UsageError

_SECONDS = 300.0  # how long races are run


class BranchFiles:
    """The Protocol `Files` below one folder of one branch, which is made where it is missing.

    The repository is its own, and closed with it.
    """

    pushed = True

    def __init__(
        self,
        repository: Repository,
        branch: str,
        folder: str,
        author: Person,
        *,
        sign: SigningKey | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._repository = repository
        self._branch = branch
        self._ref = branch_ref(branch)
        self._prefix = _prefix(folder)
        self._author = author
        self._sign = sign
        self._sleep = sleep
        self._lock = RLock()
        self._head: str | None = None
        self._there: dict[str, bytes] | None = None  # what the branch holds, by path
        self._now: dict[str, dict[str, bytes]] = {}  # the same with our changes, by folder and name
        self._changes: dict[str, bytes | None] = {}

    def __str__(self) -> str:
        return f"branch {self._branch} of {self._repository.url.clean}"

    def contents(self, folder: str) -> Mapping[str, bytes]:
        with self._lock:
            self._loaded()
            return dict(sorted(self._now.get(folder, {}).items()))

    def folders(self, folder: str) -> tuple[str, ...]:
        above = f"{folder}/" if folder else ""
        with self._lock:
            self._loaded()
            held = [name for name, files in self._now.items() if files and name.startswith(above)]
        return tuple(sorted({name[len(above) :].partition("/")[0] for name in held}))

    def read(self, path: str) -> bytes | None:
        folder, _, name = path.rpartition("/")
        with self._lock:
            self._loaded()
            return self._now.get(folder, {}).get(name)

    def write(self, path: str, content: bytes) -> None:
        if len(content) > MAX_BYTES:
            raise ClusterError(f"{path} would be larger than {MAX_BYTES >> 20} MiB.")
        self._change(path, content)

    def remove(self, path: str) -> None:
        self._change(path, None)

    def _change(self, path: str, content: bytes | None) -> None:
        with self._lock:
            self._loaded()
            self._changes[path] = content
            _put(self._now, path, content)

    @contextmanager
    def lock(self, path: str, said: str) -> Iterator[None]:
        """Nobody is kept waiting: who pushes first wins, and the other one is told by `publish`."""
        yield

    def publish(self, message: str, below: tuple[str, ...] = ()) -> None:
        """Push what was written as one commit; nothing where that is what the branch holds."""
        started, losses = time.monotonic(), 0
        with self._lock:
            while changes := self._significant(below):
                began = time.monotonic()
                lost = self._pushed(changes, message)
                if lost is None:
                    return
                losses += 1
                pause = race_pause(losses, time.monotonic() - began, random.SystemRandom().uniform)
                if time.monotonic() + pause - started > _SECONDS:
                    raise TemporaryError(f"{self} moved on before each of our pushes: {lost}", hint="Run it again.")
                self._sleep(pause)
                self._follow(changes)

    def close(self) -> None:
        self._repository.close()

    def _pushed(self, changes: Mapping[str, bytes | None], message: str) -> str | None:
        """None where it landed, else why not."""
        head = self._head
        files = {self._prefix + path: content for path, content in changes.items() if head or content is not None}
        commit = self._repository.commit(
            [head] if head else [], files, message, author=self._author, committer=self._author, sign=self._sign
        )
        outcome = self._repository.push([RefUpdate(self._ref, commit, head or "")])
        if not outcome.landed:
            return outcome.raced or "another push was first"
        there = {**self._loaded(), **changes}
        self._there = {path: content for path, content in there.items() if content is not None}
        self._changes = {path: content for path, content in self._changes.items() if path not in changes}
        self._head = commit
        return None

    def _follow(self, changes: Mapping[str, bytes | None]) -> None:
        """Take the branch as it is now, unless what we write was written by another run."""
        before, self._there = self._loaded(), None
        after = self._loaded()
        scopes = tuple({_scope(path) for path in changes})
        for path in before.keys() | after.keys():
            if path.startswith(scopes) and before.get(path) != after.get(path):
                raise TemporaryError(
                    f"Another run wrote {path} on {self} first.", hint="Run it again: it starts from what is there now."
                )

    def _significant(self, below: tuple[str, ...]) -> dict[str, bytes | None]:
        there = self._loaded()
        folders = tuple(f"{folder}/" for folder in below)
        return {
            path: content for path, content in self._changes.items()
            if there.get(path) != content and (not below or path.startswith(folders))
        }  # fmt: skip

    def _loaded(self) -> dict[str, bytes]:
        """What the branch holds below our folder, in one conversation."""
        if self._there is None:
            there = self._repository.remote_refs(self._ref)
            self._head = self._repository.fetch(self._ref) if there else None
            self._there = {}
            if self._head:
                paths = [path for path in self._repository.paths(self._head) if path.startswith(self._prefix)]
                found = self._repository.read(self._head, paths)
                self._there = {path[len(self._prefix) :]: content for path, content in found.items()}
            self._now = {}
            for path, content in (self._there | self._changes).items():
                _put(self._now, path, content)
        return self._there


def _put(folders: dict[str, dict[str, bytes]], path: str, content: bytes | None) -> None:
    folder, _, name = path.rpartition("/")
    files = folders.setdefault(folder, {})
    if content is None:
        files.pop(name, None)
    else:
        files[name] = content


def _prefix(folder: str) -> str:
    """The folder as the beginning of paths in a commit."""
    parts = PurePosixPath(folder).parts
    if folder.startswith("/") or ".." in parts:
        raise UsageError(
            f"dir:{folder}@… names a folder outside of the repository.", hint="Write a path from its root, or `.`."
        )
    return "".join(f"{part}/" for part in parts)


def _scope(path: str) -> str:
    """What belongs together: the files of one target; each record and inventory for itself."""
    return path if path.startswith(f"{OURS}/") else "/".join(path.split("/")[:2]) + "/"
