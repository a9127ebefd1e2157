"""Which configuration rules: the file at the head of the branch that is written, unless `--config` names another."""

from __future__ import annotations

from pathlib import Path

from ci_gitops.errors import SettingsError
from ci_gitops.run import Run
from ci_gitops.settings import Config, parse_config
from ci_gitops.settings.schema import FILE_NAME


def chosen_config(run: Run) -> Config | None:
    """The file that `--config` names; None without it."""
    if run.config is None:
        return None
    path = run.cwd / run.config
    return _read(path)


def local_config(run: Run) -> Config | None:
    """`--config`, else the nearest `.ci-gitops.yaml` from the working folder up to the Git root.

    An application's own file says where the config repository is; nothing else of it counts for a repository
    that is cloned.
    """
    if run.config is not None:
        return chosen_config(run)
    for folder in (run.cwd, *run.cwd.parents):
        path = folder / FILE_NAME
        if path.is_file():
            return _read(path)
        if (folder / ".git").exists():
            break
    return None


def _read(path: Path) -> Config:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise SettingsError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The configuration {path} is not UTF-8 text (byte {error.start}).") from error
    return parse_config(text, str(path))
