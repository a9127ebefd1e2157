"""The files of a checkout on this machine, as the repository-relative paths that layouts are read from."""

from __future__ import annotations

import os
from pathlib import Path

from ci_gitops.errors import CiGitopsError

_NOT_OURS = {".git", "node_modules", ".venv", "__pycache__"}
_MOST = 200_000


def root_of(folder: Path) -> Path:
    """The top of the Git checkout that `folder` is in; `folder` itself outside of one."""
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


def files_of(root: Path) -> tuple[str, ...]:
    """The files below `root`, sorted; other repositories in it, links to folders and packages are left out.

    The whole machine is nobody's repository: of `/` nothing is listed.
    """
    found: list[str] = []
    if root.parent == root:
        return ()
    for place, folders, names in os.walk(root):
        above = Path(place)
        folders[:] = [name for name in folders if name not in _NOT_OURS and not (above / name / ".git").exists()]
        prefix = above.relative_to(root).as_posix()
        found += names if prefix == "." else [f"{prefix}/{name}" for name in names]
        if len(found) > _MOST:
            raise CiGitopsError(f"{root} holds more than {_MOST} files.", hint="Run this inside the config repository.")
    return tuple(sorted(found))
