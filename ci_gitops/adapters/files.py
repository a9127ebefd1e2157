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
from pathlib import Path

from ci_gitops.errors import EditError

MAX_BYTES = 10 * 1024 * 1024
_YAML = (".yaml", ".yml", ".json")


def read_text(path: Path, root: Path) -> str:
    """The text of a file within `root`: UTF-8, its line ends and byte order mark kept. EditError otherwise."""
    resolved = inside(path, root)
    try:
        found = os.stat(resolved)  # noqa: PTH116 - one call for a thousand files
        if not stat.S_ISREG(found.st_mode):
            raise EditError(f"{path} is not a file.")
        if found.st_size > MAX_BYTES:
            raise EditError(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB; such a file is not edited.")
        with open(resolved, "rb") as stream:  # noqa: PTH123
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise EditError(f"There is no file {path}.", hint="The path is taken from the current folder.") from error
    except OSError as error:
        raise EditError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise EditError(f"{path}:{line}: not UTF-8 text (byte {error.start}).") from error


def inside(path: Path, root: Path) -> str:
    """Where `path` really is; EditError where that is outside `root`."""
    real, tree = os.path.realpath(path), os.path.realpath(root)
    if real != tree and not real.startswith(tree.rstrip("/") + "/"):
        raise EditError(
            f"{path} leads out of {root}, to {real}.", hint="Name the file itself, in the repository that holds it."
        )
    return real


def tree_of(path: Path) -> Path:
    """The tree that a path belongs to: its Git repository, else its folder."""
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the link that is to be judged
    folder = folder if folder.is_dir() else folder.parent
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return folder


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


def write_text(path: Path, text: str) -> None:
    """Replace one file."""
    write_all([(path, text)])


def write_all(files: Iterable[tuple[Path, str]]) -> None:
    """Replace these files, or none of them: nothing is renamed before everything is written."""
    staged: list[tuple[str, str, Path]] = []
    try:
        for path, text in files:
            target = os.path.realpath(path)
            staged.append((_stage(path, target, text.encode()), target, path))
        _rename(staged)
    finally:
        for temporary, _, _ in staged:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108


def _stage(path: Path, target: str, data: bytes) -> str:
    folder, name = os.path.split(target)
    temporary = f"{folder}/.{name}.{os.getpid()}.tmp"
    try:
        found = os.stat(target)  # noqa: PTH116
        # The kernel's permission to replace a file is that of its folder; ours is the file's own.
        if not os.access(target, os.W_OK):
            raise PermissionError(13, "Permission denied")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, stat.S_IMODE(found.st_mode))  # noqa: PTH101
        if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            with contextlib.suppress(OSError):
                os.chown(temporary, found.st_uid, found.st_gid)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise _cannot_write(path, error) from error
    return temporary


def _rename(staged: Sequence[tuple[str, str, Path]]) -> None:
    done: list[tuple[str, bytes]] = []
    for temporary, target, path in staged:
        try:
            # Kept only where a later file could fail: the rename of one file needs no way back.
            before = Path(target).read_bytes() if len(staged) > 1 else b""
            os.replace(temporary, target)  # noqa: PTH105
            done.append((target, before))
        except OSError as error:
            for written, old in done:
                temporary_back = _stage(Path(written), written, old)
                os.replace(temporary_back, written)  # noqa: PTH105
            raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> EditError:
    return EditError(
        f"{path} cannot be written: {error.strerror}.", hint="No file was changed; free the way and call again."
    )
