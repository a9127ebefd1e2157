"""The merge request that a preview is for: a promotion in the config repository, or one of an application.

Without `--mr` it is the one whose pipeline this is. A number alone is one of the config repository; in the pipeline of
an application's merge request its own number is that one. Whose else is meant says PROJECT!NUMBER, or its address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.git_urls import GitUrl, parse_git_url
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.previews import Asked
from ci_gitops.core.sources import source_name
from ci_gitops.errors import CiGitopsError, RefusedError, UsageError
from ci_gitops.run import Run
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.locate import same_project
from ci_gitops.steps.workplace import RepositoryTree, Workplace, Workplaces

_ADDRESS = re.compile(r"(?P<project>https?://[^?#]+?)(?:/-/merge_requests|/pull)/(?P<iid>[1-9]\d*)(?:[/?#].*)?")
_REFERENCE = re.compile(r"(?P<project>\S+)!(?P<iid>[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Requests:
    """Finds merge requests and speaks on them; `kind` and `url` are `--forge` and `--forge-url`."""

    places: Workplaces
    place: Workplace
    kind: str | None = None
    url: str | None = None

    def named(self, text: str | None) -> Asked | None:
        """What `--mr` names; without it the one whose pipeline this is."""
        own = _of_pipeline(self.places.run, self.place)
        if text is None:
            return own
        if text.isascii() and text.isdigit() and int(text):
            return own if own and own.iid == int(text) else Asked(self.place.url, int(text))
        if found := _ADDRESS.fullmatch(text):
            return Asked(f"{found['project']}.git", int(found["iid"]), text)
        if found := _REFERENCE.fullmatch(text):
            return Asked(self._address(found["project"]), int(found["iid"]))
        raise UsageError(
            f"--mr {text!r} names no merge request.",
            hint="Write its number (in the config repository), PROJECT!NUMBER such as group/shop!12, or its address.",
        )

    def _address(self, project: str) -> str:
        """A project by its path at the server of the config repository, or by its own address."""
        if "://" in project or project.startswith(("/", ".")) or not parse_git_url(self.place.url).remote:
            return project if "://" in project else str((self.places.run.cwd / project).resolve())
        server = self.places.run.ci.server_url or self._server()
        return f"{server.rstrip('/')}/{project.strip('/')}.git"

    def _server(self) -> str:
        address = parse_git_url(self.place.url)
        return f"https://{address.host}" if address.scheme == "ssh" else f"{address.scheme}://{address.authority}"

    def is_own(self, asked: Asked) -> bool:
        """Whether it is one of the config repository itself."""
        return asked.repository == self.place.url or same_project(self.place.url, asked.repository)

    def opened(self, asked: Asked) -> tuple[MergeRequest, RepositoryTree]:
        """A merge request of the config repository, and what it would leave: the tree of its head."""
        repository = self.place.repository
        request = self._forge(asked).get(asked.iid)
        head = repository.fetch(request.source) if request.head_sha else ""
        if not head or head != request.head_sha:
            why = "its branch is gone" if not request.head_sha else "its head is not that of its branch here"
            raise RefusedError(
                f"Merge request {asked.iid} of {self.place.url} cannot be shown: {why}.",
                hint="A preview shows branches of the config repository; run again if it has just moved.",
            )
        return request, RepositoryTree(repository, head)

    def say(self, asked: Asked, key: str, text: str, *, recorded: bool = False) -> tuple[str, ...]:
        """Keep our one comment up to date; notes on what went wrong: the preview itself is there nevertheless.

        `recorded`: a file of the repository says where, and a file may send our token to no server of its choice.
        """
        if recorded and not self._is_known(asked):
            return (f"No comment on merge request {asked.iid} of {asked.repository}: it is on another server.",)
        try:
            self._forge(asked).comment(asked.iid, key, text)
        except CiGitopsError as error:
            return (f"No comment on merge request {asked.iid} of {asked.repository}: {error.message}",)
        return ()

    def _is_known(self, asked: Asked) -> bool:
        """Whether our token is at home there: the same server, by the same port, and never without encryption."""
        server = self.places.run.ci.server_url
        known = [parse_git_url(each) for each in (self.place.url, f"{server}/" if server else "") if each]
        address = parse_git_url(asked.repository)
        return any(_place(address) in (_place(each), _place(each, web=True)) for each in known)

    def _forge(self, asked: Asked) -> Forge:
        repository = self.place.repository if self.is_own(asked) else self.places.repository(asked.repository)
        return forge_for(self.places.run, repository, self.kind, url=self.url, config=self.place.settings.config)


def _place(address: GitUrl, *, web: bool = False) -> tuple[str, str]:
    """What a token is for; `web`: where the forge of a repository that is cloned over SSH is."""
    return ("https", address.host) if web and address.scheme == "ssh" else (address.scheme, address.authority)


def _of_pipeline(run: Run, place: Workplace) -> Asked | None:
    """The merge request whose pipeline this is."""
    ci = run.ci
    project = ci.target_url or ci.repository_url
    if ci.merge_request is None or project is None:
        return None
    page = "/-/merge_requests/" if ci.gitlab else "/pull/"
    address = f"{project.removesuffix('.git')}{page}{ci.merge_request}"
    return Asked(place.url if same_project(place.url, project) else project, ci.merge_request, address)


def shown(asked: Asked) -> str:
    """How a person would name it."""
    return asked.url or f"{source_name(asked.repository)}!{asked.iid}"
