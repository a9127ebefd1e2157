"""Folders of runs that were killed: nobody else would take away the keys that lie in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path

PREFIX = "ci-gitops-git-"
_LOCK = "lock"
_YOUNG = 60.0  # seconds in which a folder may not have its lock yet


def hold(folder: Path) -> int:
    """Lock a folder for as long as this process lives; the descriptor is to be closed with it."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def remove_leftovers(parent: Path) -> None:
    """Remove our folders in `parent` that no living process holds, whichever container it lives in."""
    with contextlib.suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    about = folder.lstat()
    if about.st_uid != os.getuid() or time.time() - about.st_mtime < _YOUNG or folder.is_symlink():
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where its process lives
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
