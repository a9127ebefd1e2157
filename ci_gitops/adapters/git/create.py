"""New repositories on this machine, with none of the user's templates, hooks and configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ci_gitops.adapters.git.records import Person
from ci_gitops.adapters.process import clean_environment, run
from ci_gitops.errors import GitError


def create_bare(folder: Path, environ: Mapping[str, str], branch: str = "main") -> None:
    """An empty bare repository: what a server has."""
    _git(folder.parent, environ, "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(folder))


def commit_folder(folder: Path, message: str, author: Person, environ: Mapping[str, str]) -> str:
    """Make `folder` a repository, where it is none, and commit all of it; returns the commit."""
    if not (folder / ".git").exists():
        _git(folder, environ, "init", "--quiet", "--template=", "--initial-branch=main")
    _git(folder, environ, "add", "--all")
    identity = ("-c", f"user.name={author.name}", "-c", f"user.email={author.email}")
    _git(folder, environ, *identity, "commit", "--quiet", "--message", message)
    return _git(folder, environ, "rev-parse", "HEAD").strip()


def _git(folder: Path, environ: Mapping[str, str], *arguments: str) -> str:
    env = {
        **clean_environment(environ),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }
    done = run(["git", *arguments], env=env, cwd=folder)
    if done.code:
        raise GitError(f"git {arguments[0]} failed in {folder}: {done.errors}")
    return done.text
