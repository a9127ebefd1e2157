"""Which configuration rules: the file at the head of the branch that is written, unless `--config` names another."""

from __future__ import annotations

from pathlib import Path

from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.uses import Tree
from ci_gitops.errors import SettingsError
from ci_gitops.run import Run
from ci_gitops.settings import Config, parse_config
from ci_gitops.steps.local_file import local_file


def chosen_config(run: Run) -> Config | None:
    """The file that `--config` names; None without it."""
    if run.config is None:
        return None
    return _read(run.cwd / run.config)


def local_config(run: Run) -> Config | None:
    """`--config`, else the nearest `.ci-gitops.yaml` from the working folder up to the Git root.

    An application's own file says where the config repository is; nothing else of it counts for a repository
    that is cloned.
    """
    path = local_file(run)
    return _read(path) if path else None


def config_at(tree: Tree) -> Config | None:
    """The configuration at a revision of the config repository."""
    if not tree.holds(CONFIG_FILE):
        return None
    texts = tree.read([CONFIG_FILE])
    if CONFIG_FILE not in texts:
        raise SettingsError(f"{CONFIG_FILE} of the config repository is not a file.")
    return parse_config(texts[CONFIG_FILE], CONFIG_FILE)


def _read(path: Path) -> Config:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise SettingsError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The configuration {path} is not UTF-8 text (byte {error.start}).") from error
    return parse_config(text, str(path))
