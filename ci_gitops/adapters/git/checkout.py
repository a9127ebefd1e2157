"""The checkout that the command was called in: its root, its origin, its head; and who the user is for Git.

Here the user's own configuration counts, since these are questions about the user's own repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.adapters.git.records import Person
from ci_gitops.adapters.process import clean_environment, run
from ci_gitops.errors import CiGitopsError

_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Checkout:
    root: Path
    head: str  # the commit that is checked out
    branch: str | None  # None: detached, as CI systems check out
    origin: str | None
    default_branch: str | None = None  # of origin, as far as the checkout knows


# A job often runs as another user than the one who cloned, and git then answers nothing. These questions run no
# program that the repository's configuration could name; `status` may (filters), so it is not asked this way.
_ANYBODYS = ("-c", "safe.directory=*")


def checkout_origin(cwd: Path, environ: Mapping[str, str]) -> str | None:
    """The address of the remote `origin`, or None outside a checkout or without that remote."""
    return _ask(cwd, environ, *_ANYBODYS, "config", "--get", "remote.origin.url")


def find_checkout(cwd: Path, environ: Mapping[str, str]) -> Checkout | None:
    """The checkout that `cwd` lies in; None where there is none or it has no commit."""
    found = _ask(cwd, environ, *_ANYBODYS, "rev-parse", "--show-toplevel", "HEAD")
    if not found:
        return None
    root, head = found.splitlines()
    branch = _ask(cwd, environ, *_ANYBODYS, "symbolic-ref", "--quiet", "--short", "HEAD")
    origin = checkout_origin(cwd, environ)
    default = _default_branch(cwd, environ) if origin else None
    return Checkout(Path(root), head, branch, origin, default)


def commit_of(checkout: Checkout, revision: str, environ: Mapping[str, str]) -> str | None:
    """The commit that a checkout knows by `revision`: HEAD~1, origin/main, a tag, an abbreviated hash …"""
    wanted = f"{revision}^{{commit}}"
    return _ask(checkout.root, environ, *_ANYBODYS, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted)


def _default_branch(cwd: Path, environ: Mapping[str, str]) -> str | None:
    """What a clone noted of origin's HEAD; where it did not, the one branch with a usual name that is known."""
    asked = ("for-each-ref", "--format=%(refname:lstrip=3) %(symref:lstrip=3)", "refs/remotes/origin")
    refs = [line.partition(" ") for line in (_ask(cwd, environ, *_ANYBODYS, *asked) or "").splitlines()]
    noted = next((target for name, _, target in refs if name == "HEAD" and target), None)
    usual = [name for name, _, _ in refs if name in ("main", "master")]
    return noted or (usual[0] if len(usual) == 1 else None)


def uncommitted(checkout: Checkout, environ: Mapping[str, str], *, new: bool = True) -> tuple[str, ...]:
    """The paths that are changed in the work tree and in no commit, and with `new` those that no commit knows."""
    untracked = f"--untracked-files={'normal' if new else 'no'}"
    listed = _ask(checkout.root, environ, "status", "--porcelain", "-z", "--no-renames", untracked) or ""
    return tuple(line[3:] for line in listed.split("\0") if line)


def configured_person(cwd: Path, environ: Mapping[str, str]) -> Person | None:
    """Name and address of the user's own Git configuration, where both are set."""
    listed = _ask(cwd, environ, "config", "-z", "--get-regexp", r"^user\.(name|email)$") or ""
    values = dict(line.split("\n", 1) for line in listed.split("\0") if "\n" in line)
    name, email = values.get("user.name", "").strip(), values.get("user.email", "").strip()
    return Person(name, email) if name and email else None


def _ask(cwd: Path, environ: Mapping[str, str], *arguments: str) -> str | None:
    # Without locks and file system monitors: asking changes nothing and starts nothing.
    env = {**clean_environment(environ), "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = run(["git", "-c", "core.fsmonitor=false", *arguments], env=env, cwd=cwd, timeout=_TIMEOUT)
    except CiGitopsError:
        return None  # without git there is no checkout to ask
    return done.text.rstrip("\n") if done.code == 0 and done.stdout else None
