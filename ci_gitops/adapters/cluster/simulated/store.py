"""The file that a simulated cluster is kept in: one JSON document, for one process at a time.

It is written beside and renamed over, so that a reader sees the old state or the new one, and read again when another
process wrote it. A file beside it is the lock. There is no fsync: after a loss of power the old file is there still.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from ci_gitops.core.api.state import Change, Document, Ref, State
from ci_gitops.core.controllers.first import furnish
from ci_gitops.errors import ClusterError

API_VERSION = "ci-gitops/v1"
KIND = "SimulatedCluster"
MAX_BYTES = 64 * 1024 * 1024


class Store:
    """One file. `settings` is what it says besides the state: who may not do what."""

    def __init__(self, path: Path) -> None:
        path = Path(os.path.realpath(path))  # a link leads to the file that is replaced
        self._path = path
        self._lock_file = path.with_name(f".{path.name}.lock")
        self._lock = RLock()
        self._seen: tuple[int, int, int] | None = None  # of the file that the state was read from
        self._state: State | None = None
        self._texts: dict[int, tuple[Document, str]] = {}  # documents that were written before, as they are written
        self._closed = False
        self.settings: dict[str, Any] = {}

    def close(self) -> None:
        """Leave the file alone from now on, whatever watch still goes on in another thread."""
        with self._lock:
            self._closed = True

    @contextmanager
    def opened(self, now: float) -> Iterator[State]:
        """The state, for us alone; what was changed in it is kept. After an error nothing is."""
        with self._lock:
            if self._closed:
                raise ClusterError(f"The simulated cluster {self._path} was closed.")
            with self._locked():
                state = self._current(now)
                before = (state.version, state.marks)
                try:
                    yield state
                    if (state.version, state.marks) != before or self._seen is None:
                        self._write(state)
                except BaseException:
                    if (state.version, state.marks) != before:
                        self._state = self._seen = None  # read again what the file says
                    raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ClusterError(f"The simulated cluster {self._path} cannot be kept there: {error.strerror}.") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _current(self, now: float) -> State:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen = None
            self._state = State(str(uuid.uuid4()))
            self._state.stepped = now
            furnish(self._state, now)
            return self._state
        except OSError as error:
            raise ClusterError(f"{self._path} cannot be read: {error.strerror}.") from error
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._state is None or seen != self._seen:
            self._state = self._read(found.st_size)
            self._seen = seen
        return self._state

    def _read(self, size: int) -> State:
        if size > MAX_BYTES:
            raise ClusterError(f"{self._path} is larger than {MAX_BYTES // 1024 // 1024} MiB.", hint=_HINT)
        try:
            document = json.loads(self._path.read_bytes())
            if document["apiVersion"] != API_VERSION or document["kind"] != KIND:
                raise ValueError(f"it says {document['apiVersion']}, {document['kind']}")
            self.settings = _settings(document.get("settings") or {})
            return _state(document)
        except OSError as error:
            raise ClusterError(f"{self._path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ClusterError(f"{self._path} does not hold a simulated cluster: {error!r}.", hint=_HINT) from error

    def _write(self, state: State) -> None:
        data = self._text(state).encode(errors="surrogatepass")
        if len(data) > MAX_BYTES:
            raise ClusterError(f"{self._path} would be larger than {MAX_BYTES // 1024 // 1024} MiB.", hint=_HINT)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as stream:  # noqa: PTH123 - a descriptor; it holds secrets, so it is ours alone
                stream.write(data)
            temporary.replace(self._path)
            found = self._path.stat()
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise ClusterError(f"{self._path} cannot be written: {error.strerror}.") from error
        self._seen = (found.st_mtime_ns, found.st_size, found.st_ino)

    def _text(self, state: State) -> str:
        """One object a line, so that people can look at it and tools can compare it."""
        used: dict[int, tuple[Document, str]] = {}

        def one(document: Document) -> str:
            known = self._texts.get(id(document)) or used.get(id(document))
            if known is None or known[0] is not document:
                known = (document, json.dumps(document, ensure_ascii=False, separators=(",", ":")))
            used[id(document)] = known
            return known[1]

        head = {"apiVersion": API_VERSION, "kind": KIND, "settings": self.settings, "seed": state.seed,
                "version": state.version, "forgotten": state.forgotten, "stepped": state.stepped,
                "times": state.times}  # fmt: skip
        objects = ",\n".join(one(document) for document in state.objects.values())
        changes = ",\n".join(
            f'{{"version":{change.version},"type":"{change.type}","document":{one(change.document)}}}'
            for change in state.changes
        )
        self._texts = used
        return (
            f'{json.dumps(head, ensure_ascii=False)[:-1]},\n"objects":[\n{objects}\n],\n"changes":[\n{changes}\n]}}\n'
        )


_HINT = "Name another file, or delete this one to begin with an empty cluster."


def _settings(found: dict[str, Any]) -> dict[str, Any]:
    """`denied` is a list of rules, each of lists of words."""
    for rule in found.get("denied", ()):
        for name, words in rule.items():
            if name not in ("verbs", "groups", "resources", "namespaces") or not isinstance(words, list):
                raise ValueError(f"settings.denied holds {name}: {words!r}")
    return dict(found)


def _state(document: dict[str, Any]) -> State:
    state = State(str(uuid.UUID(document["seed"])), int(document["version"]), forgotten=int(document["forgotten"]))
    state.stepped = float(document["stepped"])
    state.times = {
        str(uid): {str(what): float(time) for what, time in times.items()} for uid, times in document["times"].items()
    }
    state.load(document["objects"])
    for change in document["changes"]:
        found = change["document"]
        state.changes.append(Change(int(change["version"]), change["type"], Ref.of(found), found))
    return state
