"""The files behind a destination `dir:`: a folder on this machine, or (`branch_files.py`) a branch of a repository."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Protocol

from ci_gitops.core.text import plain
from ci_gitops.errors import ClusterError, TemporaryError

#: Where inventories and records are kept beside the manifests, by environment and app.
OURS = ".ci-gitops"
KEPT = INVENTORIES, RECORDS = "inventory", "records"
#: A manifest that is larger is refused by every API server too.
MAX_BYTES = 10 * 1024 * 1024
MAX_FILES = 20_000  # of one target
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Files(Protocol):
    """Files by their path below one place, written one by one. Safe to use from several threads.

    ClusterError where a path leads out of the place, or a file cannot be read or written.
    """

    pushed: bool  # others get to see what is written

    def contents(self, folder: str) -> Mapping[str, bytes]:
        """The files of one folder, by name and sorted; none where there is no such folder."""

    def folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders in it, sorted."""

    def read(self, path: str) -> bytes | None:
        """What a file holds; None where there is none."""

    def write(self, path: str, content: bytes) -> None: ...

    def remove(self, path: str) -> None:
        """Take a file away, and folders that are empty then."""

    def lock(self, path: str, said: str) -> contextlib.AbstractContextManager[None]:
        """Be the only one who holds the lock of that name; TemporaryError where another run does.

        `said` is who we are, for the message of that one.
        """

    def publish(self, message: str, below: tuple[str, ...] = ()) -> None:
        """Make what was written visible, where that takes a step of its own: all of it, or what is in these folders."""

    def close(self) -> None: ...

    def __str__(self) -> str: ...


class LocalFiles:
    """A folder of this machine. Links below it are not followed, whoever made them, so that nothing leaves it."""

    pushed = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = RLock()  # a folder that one thread finds empty is not taken from under another one's file

    def __str__(self) -> str:
        return f"folder {self._root}"

    def contents(self, folder: str) -> Mapping[str, bytes]:
        names = self._listed(folder, lambda entry: entry.is_file(follow_symlinks=False))
        found = ((name, self.read(f"{folder}/{name}")) for name in names)
        return {name: content for name, content in found if content is not None}

    def folders(self, folder: str) -> tuple[str, ...]:
        return self._listed(folder, lambda entry: entry.is_dir(follow_symlinks=False))

    def _listed(self, folder: str, is_wanted: Callable[[os.DirEntry[str]], bool]) -> tuple[str, ...]:
        with self._told(folder), self._opened(folder) as place:
            if place is None:
                return ()
            with os.scandir(place) as entries:
                found = sorted(entry.name for entry in entries if is_wanted(entry))
            if len(found) > MAX_FILES:
                raise ClusterError(f"{self._root / folder} holds more than {MAX_FILES} files.")
            return tuple(found)

    def read(self, path: str) -> bytes | None:
        folder, _, name = path.rpartition("/")
        with self._told(path), self._opened(folder) as place:
            if place is None:
                return None
            try:
                opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
            except FileNotFoundError:
                return None
            with open(opened, "rb") as stream:  # noqa: PTH123
                content = stream.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise ClusterError(f"{self._root / path} is larger than {MAX_BYTES >> 20} MiB.")
            return content

    def write(self, path: str, content: bytes) -> None:
        """Write beside and rename: a reader sees the old file or the new one."""
        folder, _, name = path.rpartition("/")
        if len(content) > MAX_BYTES:
            raise ClusterError(f"{self._root / path} would be larger than {MAX_BYTES >> 20} MiB.")
        with self._lock, self._told(path), self._opened(folder, make=True) as place:
            temporary = f".{name[:100]}.{os.getpid()}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(temporary, flags, 0o666, dir_fd=place), "wb") as stream:  # noqa: PTH123
                    stream.write(content)
                os.replace(temporary, name, src_dir_fd=place, dst_dir_fd=place)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=place)
                raise

    def remove(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        with self._lock, self._told(path):
            with self._opened(folder) as place, contextlib.suppress(FileNotFoundError):
                if place is not None:
                    os.unlink(name, dir_fd=place)
            self._remove_empty(folder)

    def _remove_empty(self, folder: str) -> None:
        while folder:
            folder, _, name = folder.rpartition("/")
            with self._opened(folder) as place:
                if place is None:
                    return
                try:
                    os.rmdir(name, dir_fd=place)
                except OSError:  # it holds something still
                    return

    @contextmanager
    def lock(self, path: str, said: str) -> Iterator[None]:
        """The kernel's lock on a file, which goes with the process that holds it, however that ends."""
        folder, _, name = path.rpartition("/")
        with self._told(path):
            place = self._open(folder, make=True)
        try:
            with self._told(path):
                held = self._locked(place, name)
                os.pwrite(held, said.encode(), 0)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=place)
                os.close(held)
        finally:
            os.close(place)

    def _locked(self, place: int, name: str) -> int:
        """The lock's file, locked; one that its last holder has just taken away is no lock."""
        while True:
            held = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=place)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(held), os.stat(name, dir_fd=place)):
                        return held
            except BlockingIOError as error:
                holder = os.pread(held, 500, 0).decode(errors="replace")
                os.close(held)
                raise TemporaryError(
                    f"{plain(holder) or 'Another run'} is writing to {self._root} now.",
                    hint="Try again when that run has ended.",
                ) from error
            os.close(held)

    def publish(self, message: str, below: tuple[str, ...] = ()) -> None:
        """Files are visible at once."""

    def close(self) -> None:
        """Nothing is open between the calls."""

    @contextmanager
    def _opened(self, folder: str, *, make: bool = False) -> Iterator[int | None]:
        """The folder's descriptor; None where it is not there."""
        place: int | None = None
        if make:
            place = self._open(folder, make=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                place = self._open(folder, make=False)
        try:
            yield place
        finally:
            if place is not None:
                os.close(place)

    def _open(self, folder: str, *, make: bool) -> int:
        """Reached step by step, without following links; FileNotFoundError where it is not there."""
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        place = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in folder.split("/") if folder else ():
            try:
                below = _below(place, part, make=make)
            finally:
                os.close(place)
            place = below
        return place

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise ClusterError(
                    f"{self._root / path} is reached by a link, or is no file: it is not followed.",
                    hint="Manifests are kept in plain files and folders.",
                ) from error
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise TemporaryError(f"{self._root / path} cannot be written: {error.strerror}.") from error
            raise ClusterError(f"{self._root / path} cannot be read or written: {error.strerror}.") from error


def _below(place: int, name: str, *, make: bool) -> int:
    if name in ("", ".", ".."):
        raise ClusterError(f"{name!r} is no name of a folder.")
    try:
        return os.open(name, _FOLDER, dir_fd=place)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o777, dir_fd=place)
    return os.open(name, _FOLDER, dir_fd=place)
