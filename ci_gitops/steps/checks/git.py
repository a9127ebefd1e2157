"""Is git there and new enough, and are the certificate authorities that are named what they should be?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ci_gitops.adapters.certificates import VARIABLES, tls_context
from ci_gitops.adapters.programs import find, version_of
from ci_gitops.errors import CiGitopsError
from ci_gitops.steps.checks.base import Finding, Scene

_LEAST = (2, 38)  # merges without a work tree: `git merge-tree --write-tree`


def check(scene: Scene) -> Iterator[Finding]:
    path = find("git", scene.run.environ)
    version = version_of(path, "--version", environ=scene.run.environ) if path else None
    if path is None or version is None:
        yield Finding("git", "fail", "The program git does not run here.", "PATH: install git 2.38 or newer")
        return
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < _LEAST:
        yield Finding("git", "fail", f"git {version} ({path}) is too old.", "PATH: install git 2.38 or newer")
    else:
        yield Finding("git", "ok", f"git {version} ({path})")


def check_certificates(scene: Scene) -> Iterator[Finding]:
    """Each variable that names authorities: an unreadable one makes every server look untrusted."""
    named = {name: scene.run.environ[name] for name in VARIABLES if scene.run.environ.get(name)}
    if scene.reach.ca_file:
        named = {"--ca-file": str(scene.run.cwd / scene.reach.ca_file), **named}
    for name, value in named.items():
        if not Path(value).is_file():
            yield Finding("certificates", "fail", f"{name} names {value}, which is no file.", name)
            continue
        try:
            count = tls_context(Path(value)).cert_store_stats()["x509_ca"]
        except CiGitopsError as error:
            yield Finding("certificates", "fail", error.message, name)
            continue
        yield Finding("certificates", "ok", f"{name}: with it {count} authorities are trusted.")
