"""The configuration file of this machine: where it is, without reading it."""

from __future__ import annotations

from pathlib import Path

from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.run import Run


def local_file(run: Run) -> Path | None:
    """`--config`, else the nearest configuration file from the working folder up to the Git root."""
    if run.config is not None:
        return run.cwd / run.config
    for folder in (run.cwd, *run.cwd.parents):
        if (folder / CONFIG_FILE).is_file():
            return folder / CONFIG_FILE
        if (folder / ".git").exists():
            break
    return None
