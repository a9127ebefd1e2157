"""What is spoken to at one host in one round of `scan`: its registry, its chart repositories, the GitLab that keeps it.

What one of them was asked for one target is not asked again for another.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci_gitops.adapters.certificates import ca_file
from ci_gitops.adapters.chart_index import chart_versions, login_at
from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.kept_answers import KeptAnswers
from ci_gitops.adapters.registry import Registry
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.adapters.registry_login import login_for, same_host
from ci_gitops.core.chart_sources import ChartSource
from ci_gitops.core.images import ImageRef
from ci_gitops.core.scanning import Facts, versions_among
from ci_gitops.core.versions import Version
from ci_gitops.errors import CiGitopsError, RegistryError, TemporaryError
from ci_gitops.run import Run


@dataclass(slots=True)
class Servers:
    """All that is spoken to at one host, and what it said in this round."""

    run: Run
    host: str
    authority: Path | None = None  # --ca-file
    kept: KeptAnswers | None = None
    site: Site | None = None  # GitLab, where the host is its registry
    _away: TemporaryError | None = None
    _registry: Registry | None = None
    _tags: dict[str, list[str]] = field(default_factory=dict)
    _facts: dict[tuple[str, bool, bool], Facts | None] = field(default_factory=dict)
    _versions: dict[ChartSource, Mapping[str, Facts]] = field(default_factory=dict)
    _gitlab: dict[str, GitLabTimes] = field(default_factory=dict)

    def must_answer(self) -> None:
        """What is away, or asks us to wait, is not asked again in this round."""
        if self._away:
            raise self._away

    def failed(self, error: CiGitopsError) -> None:
        if isinstance(error, TemporaryError):
            self._away = error

    @property
    def registry(self) -> Registry:
        if self._registry is None:
            http = self._http(self.host)
            http.login = login_for(self.host, self.run.environ)
            self._registry = Registry(http, self.kept)
        return self._registry

    def _http(self, host: str) -> RegistryHttp:
        environ = self.run.environ
        server = environ.get("CI_SERVER_HOST")
        flag = self.run.cwd / self.authority if self.authority else None
        return RegistryHttp(
            host, None, ca_file(environ, flag), environ=environ, trusted_hosts=(server,) if server else (),
            tell=self.run.output.warn,
        )  # fmt: skip

    def tags(self, repository: str) -> list[str]:
        """RegistryError where there is no such repository."""
        if repository not in self._tags:
            self.run.output.detail(f"Asking {self.host} for the tags of {repository}")
            self._tags[repository] = versions_among(self.registry.tags(repository))
        if not self._tags[repository]:
            raise RegistryError(
                f"{self.host} has no tags of {repository}.",
                hint="Is the name right? A registry that does not let us look answers like this, too.",
            )
        return self._tags[repository]

    def facts(self, ref: ImageRef, *, times: bool = False, platforms: bool = False) -> Facts | None:
        asked = (str(ref), times, platforms)
        if asked not in self._facts:
            self._facts[asked] = self.registry.facts(ref, times=times, platforms=platforms)
        return self._facts[asked]

    def pushed(self, ref: ImageRef) -> Facts | None:
        """When a tag was pushed, as GitLab says where the registry is its own; None where nobody else says it."""
        if ref.repository not in self._gitlab:
            self._gitlab[ref.repository] = GitLabTimes(self.run, self.site, ref.repository)
        return self._gitlab[ref.repository].facts(str(ref.tag))

    def versions(self, source: ChartSource) -> Mapping[str, Facts]:
        """Those of a chart in a repository with an index."""
        if source not in self._versions:
            self._versions[source] = self._of_index(source)
        return self._versions[source]

    def _of_index(self, source: ChartSource) -> Mapping[str, Facts]:
        parts = urllib.parse.urlsplit(source.url)
        http = self._http(parts.netloc)
        http.scheme, http.login = parts.scheme, login_at(source.url, self.run.environ)
        self.run.output.detail(f"Asking {source.url} for the versions of {source.chart}")
        found = chart_versions(http, source.url, source.chart, self.kept)
        return {each.version: each.facts for each in found if Version.read(each.version)}


class GitLabTimes:
    """What GitLab says of the tags of one image of its registry; nothing where it does not let us ask."""

    def __init__(self, run: Run, site: Site | None, repository: str) -> None:
        from ci_gitops.adapters.forges.gitlab_registry import GitLabTags

        self._run = run
        self._tags = GitLabTags(site, repository) if site else None

    def facts(self, tag: str) -> Facts | None:
        if self._tags is None:
            return None
        try:
            found = self._tags.facts(tag)
        except CiGitopsError as error:
            self._run.output.detail(f"GitLab does not say when tags were pushed: {error.message}")
            found = None
        if found is None and not self._tags.known:
            self._tags = None
        return found if found and found.created is not None else None


def servers_for(
    run: Run, authority: Path | None, site: Callable[[], Site | None], kept: KeptAnswers | None
) -> Callable[[str], Servers]:
    """What makes the speakers of a round. `site` is GitLab's, asked for where a host is its registry."""
    own = run.environ.get("CI_REGISTRY", "")
    gitlab = site() if own else None
    return lambda host: Servers(run, host, authority, kept, gitlab if own and same_host(own, host) else None)
