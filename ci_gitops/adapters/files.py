"""Files of a work tree: read whole and within bounds, written all or none.

A file is written beside its target and renamed over it, so that a reader sees the old text or the new one.
There is no fsync: after a loss of power Git has the old text still. A path that leaves its tree by a symbolic
link is refused; folders that are links are not walked into.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from pathlib import Path

from ci_gitops.core.edits.records import Edit
from ci_gitops.core.yamltext import UnreadableError
from ci_gitops.errors import EditError

MAX_BYTES = 10 * 1024 * 1024
_YAML = (".yaml", ".yml", ".json")


def read_text(path: Path, root: Path) -> str:
    """The text of a file within `root`: UTF-8, its line ends and byte order mark kept. EditError otherwise."""
    resolved = inside(path, root)
    try:
        found = os.stat(resolved)  # noqa: PTH116 - before it is opened: opening a pipe would wait
        if not stat.S_ISREG(found.st_mode):
            raise EditError(f"{path} is not a file.")
        if found.st_size > MAX_BYTES:
            raise UnreadableError(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB; such a file is not edited.")
        with open(resolved, "rb", buffering=0) as stream:  # noqa: PTH123
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise EditError(f"There is no file {path}.", hint="The path is taken from the current folder.") from error
    except OSError as error:
        raise EditError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"{path}:{line}: not UTF-8 text (byte {error.start}).") from error


def inside(path: Path, root: Path) -> str:
    """Where `path` really is; EditError where that is outside `root`."""
    real, tree = _real(path), _real(root)
    if real != tree and not real.startswith(tree.rstrip("/") + "/"):
        raise EditError(
            f"{path} leads out of {root}, to {real}.", hint="Name the file itself, in the repository that holds it."
        )
    return real


def _real(path: Path) -> str:
    """`os.path.realpath`, which asks for each folder once: a thousand files share most of theirs."""
    absolute = os.path.abspath(path)  # noqa: PTH100
    if os.path.islink(absolute):  # noqa: PTH114
        return os.path.realpath(absolute)
    folder, name = os.path.split(absolute)
    return os.path.join(_real_folder(folder), name) if name else absolute  # noqa: PTH118


@lru_cache(maxsize=10_000)
def _real_folder(folder: str) -> str:
    parent, name = os.path.split(folder)
    if parent == folder:
        return folder
    if os.path.islink(folder):  # noqa: PTH114
        return os.path.realpath(folder)
    return os.path.join(_real_folder(parent), name)  # noqa: PTH118


class Trees:
    """The tree that a file belongs to, its Git repository or else its folder; each folder is looked at once."""

    def __init__(self) -> None:
        self._repositories: dict[str, str | None] = {}

    def of(self, path: Path) -> Path:
        # Not `resolve`: it would follow the link that is to be judged.
        folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120
        return Path(self._repository(folder) or folder)

    def _repository(self, folder: str) -> str | None:
        if folder not in self._repositories:
            parent = os.path.dirname(folder)  # noqa: PTH120
            if os.path.exists(f"{folder}/.git"):  # noqa: PTH110
                self._repositories[folder] = folder
            else:
                self._repositories[folder] = None if parent == folder else self._repository(parent)
        return self._repositories[folder]


def yaml_files(folder: Path, extra: Sequence[str] = ()) -> Iterator[Path]:
    """Each YAML or JSON file below a folder, and those with a name in `extra`, in the order of their names."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise EditError(f"{folder} cannot be read: {error.strerror}.") from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name != ".git":
                yield from yaml_files(Path(entry.path), extra)
        elif (entry.name.endswith(_YAML) or entry.name in extra) and entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


@dataclass(frozen=True, slots=True)
class _Staged:
    path: Path
    target: str  # the file itself, where the path is a link
    temporary: str
    old: str
    new: str


def write_all(edits: Iterable[Edit]) -> None:
    """Write what was edited, all or none: nothing is renamed before everything is written beside its target."""
    staged = [_staged(Path(edit.path), edit.old, edit.new) for edit in edits]
    try:
        for one in staged:
            _stage(one)
        _rename(staged)
    finally:
        for one in staged:
            with contextlib.suppress(OSError):
                os.unlink(one.temporary)  # noqa: PTH108


def _staged(path: Path, old: str, new: str) -> _Staged:
    # Only the file itself may be a link that a rename would replace; folders on the way lead to the same place.
    target = os.path.realpath(path) if os.path.islink(path) else os.path.abspath(path)  # noqa: PTH100, PTH114
    folder, name = os.path.split(target)
    return _Staged(path, target, f"{folder}/.{name}.{os.getpid()}.tmp", old, new)


def _stage(one: _Staged) -> None:
    """Write the new text beside its target, with the target's mode and owner."""
    try:
        found = os.stat(one.target)  # noqa: PTH116
        # To replace a file the kernel asks for the right to its folder only; we want the right to the file as well.
        os.close(os.open(one.target, os.O_WRONLY | os.O_CLOEXEC))
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(one.temporary, flags, 0o600), "wb", buffering=0) as stream:  # noqa: PTH123
            _write(stream, one.new.encode())
            os.fchmod(stream.fileno(), stat.S_IMODE(found.st_mode))
            if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(OSError):
                    os.fchown(stream.fileno(), found.st_uid, found.st_gid)
    except OSError as error:
        raise _cannot_write(one.path, error) from error


def _write(stream: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


def _rename(staged: Sequence[_Staged]) -> None:
    done = 0
    try:
        for one in staged:
            os.replace(one.temporary, one.target)  # noqa: PTH105
            done += 1
    except BaseException as error:  # an interruption too leaves all or none
        for one in staged[: done + 1]:
            _put_back(one)
        if isinstance(error, OSError):
            raise _cannot_write(staged[done].path, error) from error
        raise


def _put_back(one: _Staged) -> None:
    """The old text again; also where the interruption came between the rename and its being counted."""
    if os.path.exists(one.temporary):  # noqa: PTH110
        return
    back = _staged(one.path, one.new, one.old)
    _stage(back)
    os.replace(back.temporary, back.target)  # noqa: PTH105


def _cannot_write(path: Path, error: OSError) -> EditError:
    return EditError(f"{path} cannot be written: {error.strerror}.", hint="No file was changed.")
