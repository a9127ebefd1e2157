"""When GitLab's own registry got its tags: asked of GitLab, which keeps it, instead of each image.

https://docs.gitlab.com/api/container_registry/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.forges.gitlab_api import GitLabApi, quoted
from ci_gitops.core.scanning import Facts, seconds_of

_REFUSALS = (401, 403, 404)


class GitLabTags:
    """The tags of one image, whose project is the beginning of its name. `known` is False where GitLab has none."""

    def __init__(self, site: Site, repository: str) -> None:
        self._site = site
        self._repository = repository

    @property
    def known(self) -> bool:
        return self._found is not None

    def facts(self, tag: str) -> Facts | None:
        """Digest and time of a tag; None where it is not there."""
        if self._found is None:
            return None
        api, path = self._found
        reply = api.get(f"{path}/tags/{quoted(tag)}", accept=(404,))
        if not reply.ok:
            return None
        record = api.record(reply.data, "tag of the registry", "name")
        digest, created = record.get("digest"), record.get("created_at")
        return Facts(str(digest) if digest else None, seconds_of(str(created or "")))

    @cached_property
    def _found(self) -> tuple[GitLabApi, str] | None:
        """The API of the project, and the path of the image's repository in it."""
        for project in self._projects():
            api = GitLabApi(replace(self._site, project=project))
            path = f"/projects/{quoted(project)}/registry/repositories"
            for found in api.all(path, {}, most=1_000, accept=_REFUSALS):
                if str(found.get("path", "")).lower() == self._repository and isinstance(found.get("id"), int):
                    return api, f"{path}/{found['id']}"
        return None

    def _projects(self) -> Iterator[str]:
        """An image may have two names below its project's, and a project is in one group at least."""
        parts = self._repository.split("/")
        for length in range(len(parts), max(1, len(parts) - 3), -1):
            yield "/".join(parts[:length])
