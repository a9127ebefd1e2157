"""The forge of a config repository that was opened: which kind it is, where its API is, and who acts there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ci_gitops.adapters import certificates
from ci_gitops.adapters.forges import forge_kind, open_forge
from ci_gitops.adapters.forges.base import Forge, Site
from ci_gitops.adapters.git import Repository
from ci_gitops.core.git_urls import GitUrl, parse_git_url
from ci_gitops.errors import UsageError
from ci_gitops.run import Run
from ci_gitops.steps import people

if TYPE_CHECKING:
    from ci_gitops.settings import Config


def forge_for(
    run: Run,
    repository: Repository,
    asked: str | None,
    *,
    url: str | None = None,
    config: Config | None = None,
    project: str | None = None,
) -> Forge:
    """`asked` and `url` are `--forge` and `--forge-url`, their variables count too; UsageError where nothing says it.

    `config` may name the kind. It may not name the address: tokens are sent there. `project` is another one on the
    same server.
    """
    asked = asked or run.environ.get("CI_GITOPS_FORGE") or (config.forge if config else None)
    kind = forge_kind(asked, repository.url, run.ci, run.environ)
    run.output.detail(f"Merge requests of {repository.url.clean}: {kind} forge")
    site = None if kind == "local" else site_of(run, repository, url or run.environ.get("CI_GITOPS_FORGE_URL"))
    if project and site:
        site = replace(site, project=project)
    return open_forge(kind, repository, people.author(run), site)


def site_of(run: Run, repository: Repository, asked: str | None) -> Site:
    """Where the forge's API is: as asked, the CI server's address where the repository is there, else its host."""
    address, access = repository.url, repository.access
    if not address.remote:
        raise UsageError(
            f"{address.clean} is a folder, and no forge on a server has it.", hint="Take `--forge local` for it."
        )
    server = (asked or _ci_server(run, address) or _host(address)).rstrip("/")
    place = parse_git_url(f"{server}/")
    if place.scheme not in ("https", "http"):
        raise UsageError(f"{server!r} is no address of a forge.", hint="It looks like https://gitlab.example.com.")
    return Site(
        place.clean.rstrip("/"), _project(address, place), access.api_token, access.api_source,
        access.ca_file or certificates.ca_file(run.environ), run.environ, run.output.step,
    )  # fmt: skip


def _ci_server(run: Run, address: GitUrl) -> str | None:
    server = run.ci.server_url
    hosts = (run.environ.get("CI_SERVER_HOST"), run.environ.get("CI_SERVER_SHELL_SSH_HOST"))
    return server if server and address.host in (*hosts, parse_git_url(f"{server}/").host) else None


def _host(address: GitUrl) -> str:
    """The address of a repository without its path; who clones over SSH finds the API at the same host."""
    return f"https://{address.host}" if address.scheme == "ssh" else f"{address.scheme}://{address.authority}"


def _project(address: GitUrl, server: GitUrl) -> str:
    """`group/config`: the path below the forge's own, without `.git`."""
    path = address.path.strip("/").removesuffix(".git")
    root = server.path.strip("/")
    return path.removeprefix(f"{root}/") if root and server.host == address.host else path
