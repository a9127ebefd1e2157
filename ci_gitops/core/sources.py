"""A config repository's own name: the mark of what it owns in a cluster, and the last name for its one app."""

from __future__ import annotations

import re

from ci_gitops.core.git_urls import parse_git_url


def source_name(repository: str) -> str:
    """`host/path` of an address, the path of a repository on this machine; credentials, port and `.git` left out.

    >>> source_name("git@git.example.com:acme/config.git")
    'git.example.com/acme/config'
    """
    address = parse_git_url(repository)
    path = address.path.rstrip("/").removesuffix("/.git").removesuffix(".git")
    return f"{address.host}/{path.lstrip('/')}" if address.host else path


def last_name(repository: str) -> str:
    """The last part of its path, fit to be an app's name; 'app' where there is none."""
    name = source_name(repository).rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:63].strip("-._") or "app"
