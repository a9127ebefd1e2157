"""Which version of a program is on PATH."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping

from ci_gitops.adapters.process import clean_environment, run
from ci_gitops.errors import CiGitopsError

_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?\S*)")
_SECONDS = 10


def find(program: str, environ: Mapping[str, str]) -> str | None:
    """Its path, looked for on the PATH of `environ`."""
    return shutil.which(program, path=environ.get("PATH"))


def version_of(path: str, *arguments: str, environ: Mapping[str, str]) -> str | None:
    """The first version in what it prints; None where it does not run or names none."""
    try:
        done = run([path, *arguments], env=clean_environment(environ), timeout=_SECONDS, output_limit=1024 * 1024)
    except CiGitopsError:
        return None
    found = _VERSION.search(done.text) if done.code == 0 else None
    return found[1].rstrip(",}\"'") if found else None
