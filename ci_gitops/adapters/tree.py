"""The files of one revision, laid in a folder of their own for programs that read folders."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ci_gitops.adapters.git import Repository
from ci_gitops.errors import GitError


@contextmanager
def laid_out(
    repository: Repository,
    revision: str,
    changed: Mapping[str, bytes | None] | None = None,
    *,
    below: Sequence[str] | None = None,
) -> Iterator[Path]:
    """A folder with every file of `revision` (or those `below` some folders), `changed` in its place; gone at the end.

    Symbolic links are written as the file that they lead to inside the tree; links out of it, and submodules,
    are left out, and so is what is `changed` to None. The folder is no repository.
    """
    with tempfile.TemporaryDirectory(prefix="ci-gitops-tree-") as name:
        folder = Path(name).resolve()
        paths = [path for path in repository.paths(revision) if below is None or _is_below(path, below)]
        contents = repository.read(revision, paths)
        for path, content in {**contents, **(changed or {})}.items():
            if content is None:
                continue
            file = folder / _inside(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        yield folder


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(folder in (".", path) or path.startswith(f"{folder}/") for folder in folders)


def _inside(path: str) -> str:
    """Git refuses to make such trees, but a server may hand out anything."""
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        raise GitError(f"The repository holds a file named {path!r}, which leads out of it.")
    return path
