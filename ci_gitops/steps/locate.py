"""Where the config repository is and which branch is meant: the first that says so, from flag to pipeline."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.errors import UsageError
from ci_gitops.run import Run
from ci_gitops.steps.local_file import local_file

_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>(?!//).+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A repository's address and branch; `branch` None is the remote's default. `said_by` is for messages."""

    url: str
    branch: str | None
    said_by: str


def find_place(run: Run, repo: str | None, branch: str | None) -> Place:
    """The config repository of this run; UsageError where nothing names one."""
    for said_by, ask in _SOURCES:
        url, default = (repo, None) if said_by == "--repo" else ask(run)
        if url:
            place = _absolute(url, run.cwd)
            return Place(place, branch or _own_branch(run, place) or default, said_by)
    raise UsageError("No config repository is named.", hint=_how_to_name(run))


def _how_to_name(run: Run) -> str:
    from ci_gitops.adapters.git import find_checkout

    here = find_checkout(run.cwd, run.environ)
    if here:
        return f"{here.root} has no remote 'origin': add it, pass --repo URL or set CI_GITOPS_REPO."
    return "Pass --repo URL, set CI_GITOPS_REPO, or run inside a clone of it."


def same_project(url: str, project_url: str | None) -> bool:
    """Is `url` (HTTPS, SSH or scp-like) the project whose page is `project_url`? Ports and user are left aside."""
    return project_url is not None and _host_and_path(url) == _host_and_path(project_url)


def own_project(run: Run, url: str) -> bool:
    """Is it the pipeline's own? By SSH the server may have another host, and no path below which it is installed."""
    ci = run.ci
    if ci.project_url is None or same_project(url, ci.project_url):
        return ci.project_url is not None
    host, path = _host_and_path(url)
    hosts = {_host_and_path(ci.project_url)[0], (ci.ssh_host or "").lower()} - {""}
    return host in hosts and path == (ci.project or "").lower()


def identity(run: Run, url: str) -> str:
    """What a repository goes by: a checkout on this machine by the address that it came from, wherever it lies.

    Names of apps and marks in a cluster are made of it, so that every job and every machine makes the same.
    """
    if parse_git_url(url).remote:
        return url
    from ci_gitops.adapters.git import checkout_origin

    origin = checkout_origin(Path(url), run.environ) if Path(url).is_dir() else None
    return _absolute(origin, Path(url)) if origin else url


def app_name(run: Run, identity: str) -> str | None:
    """The name of an app that has no folder of its own, where the repository's says nothing: the CI project's."""
    project = run.ci.project
    return None if parse_git_url(identity).remote or project is None else project.rsplit("/", 1)[-1]


def _own_branch(run: Run, url: str) -> str | None:
    """Of the pipeline, where it is that repository's; in a merge request's the one that it would be merged into."""
    return run.ci.target_branch or run.ci.branch if own_project(run, url) else None


def _host_and_path(url: str) -> tuple[str, str]:
    scp = _SCP_LIKE.fullmatch(url)
    if scp and "://" not in url:
        host, path = scp["host"], scp["path"]
    else:
        parts = urllib.parse.urlsplit(url)
        host, path = parts.hostname or "", parts.path
    return host.lower(), path.strip("/").removesuffix(".git").lower()


def _absolute(url: str, cwd: Path) -> str:
    """A folder's path made absolute, so that it means the same from every working folder."""
    if "://" in url or _SCP_LIKE.fullmatch(url):
        return url
    return str((cwd / url).resolve())


_Found = tuple[str | None, str | None]  # address and branch


def _nothing(run: Run) -> _Found:
    return None, None


def _variable(run: Run) -> _Found:
    return run.environ.get("GITLAB_REMOTE_URL"), None


def _local_repository(run: Run) -> _Found:
    """`repository:` of the local configuration file."""
    if local_file(run) is None:
        return None, None
    from ci_gitops.steps.configuration import local_config

    config = local_config(run)
    repository = config.repository if config else None
    return (repository.url, repository.branch) if repository else (None, None)


def _origin(run: Run) -> _Found:
    from ci_gitops.adapters.git import checkout_origin

    return checkout_origin(run.cwd, run.environ), None


def _own_project(run: Run) -> _Found:
    return run.ci.repository_url, None


#: Where the repository may be named, first come first served; nothing is asked that an earlier one has answered.
_SOURCES: tuple[tuple[str, Callable[[Run], _Found]], ...] = (
    ("--repo", _nothing),
    ("GITLAB_REMOTE_URL", _variable),
    (f"repository.url of the local {CONFIG_FILE}", _local_repository),
    ("the checkout's origin", _origin),
    ("the pipeline's own project", _own_project),
)
