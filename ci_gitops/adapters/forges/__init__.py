"""The forges: one table, filled in by hand, so that everybody sees what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from ci_gitops.adapters.forges.base import Forge, Site
from ci_gitops.adapters.forges.documents import Documents
from ci_gitops.adapters.forges.local import LocalForge
from ci_gitops.adapters.git import Person, Repository
from ci_gitops.core.ci import CiFacts
from ci_gitops.core.git_urls import GitUrl
from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import UsageError

Kind = Literal["gitlab", "github", "local"]
KINDS: tuple[str, ...] = get_args(Kind)


def _local(repository: Repository, person: Person, site: Site | None) -> Forge:
    return LocalForge(repository, Documents(repository, person))


def _github(repository: Repository, person: Person, site: Site | None) -> Forge:
    from ci_gitops.adapters.forges.github import GitHubForge

    return GitHubForge(_needed(site, "github"), repository)


def _needed(site: Site | None, kind: str) -> Site:
    if site is None:
        raise UsageError(f"Nothing says where the API of {kind} is.", hint="Name its address: --forge-url URL.")
    return site


def _gitlab(repository: Repository, person: Person, site: Site | None) -> Forge:
    from ci_gitops.adapters.forges.gitlab import GitLabForge
    from ci_gitops.adapters.forges.gitlab_push import GitLabByPush

    site = _needed(site, "gitlab")
    key_only = repository.url.scheme == "ssh" and (site.token is None or site.source == "CI_JOB_TOKEN")
    return (GitLabByPush if key_only else GitLabForge)(repository, person, site)


FORGES: dict[str, Callable[[Repository, Person, Site | None], Forge]] = {
    "github": _github,
    "gitlab": _gitlab,
    "local": _local,
}


def forge_kind(asked: str | None, repository: GitUrl, ci: CiFacts, environ: Mapping[str, str]) -> str:
    """Which forge the config repository is on: as asked, else local for a folder, else as the CI system implies.

    A host's name says nothing: `gitlab.example.com` may be anything, and most GitLab servers are called otherwise.
    """
    if asked:
        return asked
    if not repository.remote:
        return "local"
    if ci.gitlab:
        return "gitlab"
    if environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    raise UsageError(
        f"Nothing says which forge {repository.clean} is on.",
        hint=f"Pass --forge or set CI_GITOPS_FORGE: {', '.join(KINDS)}.",
    )


def open_forge(kind: str, repository: Repository, person: Person, site: Site | None = None) -> Forge:
    """The forge of `kind` for a config repository.

    `person` is who acts where the forge has no accounts; `site` is where it is, for one on a server.
    """
    if kind not in KINDS:
        raise UsageError(f"There is no forge {kind!r}.", hint=did_you_mean(kind, KINDS, "Forges"))
    return FORGES[kind](repository, person, site)
