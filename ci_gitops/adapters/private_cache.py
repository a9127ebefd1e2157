"""Small documents kept on this machine between runs, which nobody else can have written.

Each entry is signed with a key that lies elsewhere than the entries: a cache folder that was brought from another
machine, or that a job of a merge request has written and handed on, is not believed. Only their owner may read them.
Whatever goes wrong here, there is nothing kept, and what would have been taken from here is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

MAX_BYTES = 256 * 1024 * 1024  # of all entries
MAX_ENTRY = 32 * 1024 * 1024
_FORMAT = 1
_KEY_BYTES = 32
_KEPT_AT_TIDYING = 0.75
_TIDY_EVERY = 50  # entries that are written


class PrivateCache:
    """JSON by key, in one folder. Safe to use from several threads and processes."""

    name = "kept"  # of its folder
    key_file = "cache.key"
    most_bytes = MAX_BYTES

    def __init__(self, folder: Path, secret: bytes, *, limit: int | None = None) -> None:
        self._folder = folder
        self._secret = secret
        self._limit = self.most_bytes if limit is None else limit
        self._written = 0

    @classmethod
    def open(cls, environ: Mapping[str, str]) -> Self | None:
        """In `CI_GITOPS_CACHE_DIR`, else where XDG puts caches; None where there is no place of our own."""
        home = environ.get("HOME")
        named = environ.get("CI_GITOPS_CACHE_DIR")
        caches = environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
        states = environ.get("XDG_STATE_HOME") or (f"{home}/.local/state" if home else None)
        if named == "" or not states or not (named or caches):
            return None
        folder = Path(named) if named else Path(str(caches), "ci-gitops")
        try:
            key_folder = _own(Path(states, "ci-gitops"))
            return cls(_own(folder / cls.name), _secret(key_folder / cls.key_file))
        except OSError:
            return None

    def key(self, *parts: Any) -> str:
        """Of everything that the entry depends on, as JSON."""
        text = json.dumps([_FORMAT, *parts], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> Any:
        """What was kept; None where there is nothing that can be believed."""
        file = self._folder / key
        try:
            opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(opened, "rb") as stream:  # noqa: PTH123
                content = stream.read(MAX_ENTRY + 1)
            signature, _, body = content.partition(b"\n")
            if not hmac.compare_digest(signature, self._signature(key, body)):
                file.unlink()
                return None
            os.utime(file)  # what is used stays longest
            return json.loads(body)
        except (OSError, ValueError, RecursionError):
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep it, where it comes back as it is."""
        with contextlib.suppress(OSError, TypeError, ValueError, RecursionError):
            body = json.dumps(value, separators=(",", ":")).encode()
            if len(body) >= MAX_ENTRY - 100 or json.loads(body) != value:
                return
            temporary = self._folder / f".{key}.{secrets.token_hex(4)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(temporary, flags, 0o600), "wb") as stream:  # noqa: PTH123
                    stream.write(self._signature(key, body) + b"\n" + body)
                temporary.replace(self._folder / key)
            finally:
                temporary.unlink(missing_ok=True)
            if self._written % _TIDY_EVERY == 0:
                self._tidy()
            self._written += 1

    def _signature(self, key: str, body: bytes) -> bytes:
        return hmac.new(self._secret, key.encode() + b"\n" + body, "sha256").hexdigest().encode()

    def _tidy(self) -> None:
        """Let the oldest go, where there is too much."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another run tidies too
                    found.append((entry.stat(follow_symlinks=False), entry.path))
        size = sum(each.st_size for each, _ in found)
        if size <= self._limit:
            return
        for each, path in sorted(found, key=lambda one: one[0].st_mtime):
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
            size -= each.st_size
            if size <= self._limit * _KEPT_AT_TIDYING:
                return


def _own(folder: Path) -> Path:
    """A folder that nobody else reads or writes; OSError where it is not ours."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(str(folder))
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _secret(file: Path) -> bytes:
    """Made once; of two who make it at the same time, both take the first."""
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            found = file.read_bytes()
            if len(found) == _KEY_BYTES:
                return found
            file.unlink()
        temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123
            stream.write(secrets.token_bytes(_KEY_BYTES))
        try:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, file)  # whole, or not at all
        finally:
            temporary.unlink()
    raise PermissionError(str(file))
