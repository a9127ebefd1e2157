"""Paths inside a commit: which may be written, and where a symbolic link inside the tree leads."""

from __future__ import annotations

import posixpath

from ci_gitops.errors import EditError


def check_path(path: str) -> str:
    """`path` if a commit may hold it; raises EditError for what Git or a checkout would not take."""
    parts = path.split("/")
    wrong = not path or "\0" in path or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    if wrong:
        raise EditError(f"{path!r} cannot be a path in a Git repository.")
    return path


def link_target(path: str, target: str) -> str | None:
    """Where the symbolic link at `path` leads, as a path of the same tree; None if it leaves the tree."""
    if target.startswith("/") or not target or "\0" in target:
        return None
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return None if joined == ".." or joined.startswith("../") else joined
