"""The client of one registry, with the login, authorities and proxies of this run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ci_gitops.adapters.certificates import ca_file
from ci_gitops.adapters.patience import TRIES
from ci_gitops.adapters.registry import Registry
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.adapters.registry_login import login_for
from ci_gitops.run import Run


def registry_at(
    run: Run, host: str, authority: Path | None = None, *, tries: int = TRIES, tell: Callable[[str], None] | None = None
) -> Registry:
    """`host` is as in image references; `authority` is `--ca-file`. Trouble is told by `tell`, else as a warning."""
    server = run.environ.get("CI_SERVER_HOST")
    return Registry(
        RegistryHttp(
            host, login_for(host, run.environ), ca_file(run.environ, run.cwd / authority if authority else None),
            environ=run.environ, trusted_hosts=(server,) if server else (), tries=tries, tell=tell or run.output.warn,
        )
    )  # fmt: skip
