"""The configuration of a config repository: one schema, read once, with defaults and the place of each error.

Importing this loads pydantic: commands that need no configuration must not.
"""

from __future__ import annotations

from ci_gitops.settings.parse import parse_config
from ci_gitops.settings.resolve import AppSettings, EnvironmentSettings, Settings, resolve
from ci_gitops.settings.schema import Config

__all__ = ["AppSettings", "Config", "EnvironmentSettings", "Settings", "parse_config", "resolve"]
