"""Asking Git, the forge and the registry where images came from. Who does not answer in time is left out, and told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.adapters.git import CommitInfo, Repository
from ci_gitops.core.family import Node
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.object_images import named_images
from ci_gitops.core.provenance import (
    Commit,
    Consent,
    Provenance,
    Written,
    built_by,
    digests_of,
    request_of,
    shown_labels,
    written_by,
)
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import Trailers, split_trailers
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.labels import labels_of
from ci_gitops.steps.locate import identity
from ci_gitops.steps.workplace import Workplace, Workplaces

_HISTORY_STEPS = (0, 50, 250, 700)  # commits; 1,000 in all
_MOST_COMMITS = 1_000
_HEAD = "HEAD"


@dataclass(slots=True)
class Origins:
    """Of one target at one revision. `forge` and `forge_url` are as the command line names them."""

    run: Run
    places: Workplaces
    place: Workplace
    target: Target
    revision: str
    ask: Ask
    forge: str | None = None
    forge_url: str | None = None
    _requests: tuple[MergeRequest, ...] | None = None
    _forge: Forge | None = field(default=None)

    def of(self, roots: Sequence[Node]) -> tuple[Provenance, ...]:
        """Where each image of these objects came from, in their order."""
        users: dict[str, list[Node]] = {}
        for root in roots:
            for image in named_images(root.document):
                users.setdefault(image, []).append(root)
        labels = self._labels(users)
        written = self.written(users)
        return tuple(
            self._one(image, nodes, written.get(image), labels.get(image, {})) for image, nodes in users.items()
        )

    def _one(self, image: str, nodes: Sequence[Node], written: Written | None, labels: Mapping[str, str]) -> Provenance:
        exact = written if written and written.exact else None
        through = self._built(image, exact.commit) if exact and exact.source is None else None
        built = exact.source or (through.source if through else None) if exact else None
        return Provenance(
            image=image,
            objects=tuple(node.key for node in nodes),
            digests=digests_of(nodes, image),
            commit=written.commit if written else None,
            exact=written.exact if written else False,
            source=built,
            through=through,
            consent=self._consent(written.commit) if written else None,
            labels=shown_labels(labels),
        )

    # Git

    def written(self, images: Iterable[str], *, since: str | None = None) -> dict[str, Written]:
        """The commits that wrote them; history is fetched until each is found, in bounded steps.

        They are looked for as far back as the revision `since`, where one is named.
        """
        wanted = list(images)
        name = f"{self.target.environment}/{self.target.app}"
        found: dict[str, Written] = {}
        repository = self._origin()
        try:
            repository.fetch(self.revision)
            for count in _HISTORY_STEPS if wanted else ():
                if count and not repository.deepen(self.revision, count):
                    break
                history = self._history(repository)
                found = {image: each for image in wanted if (each := written_by(history, name, image))}
                if all(image in found and found[image].exact for image in wanted):
                    break
                if any(commit.sha == since for commit in history):
                    break
        except CiGitopsError as error:
            self.run.output.detail(f"The history of {self.revision[:12]} is not to be had: {error.message}")
        return found

    def _built(self, image: str, promoted: Commit) -> Written | None:
        """The commit of an environment before this one that brought the image from its build; None where none tells."""
        asked: set[str] = set()
        for environment in self._before():
            try:
                repository, revision = self._head_of(environment, promoted)
                found = self._built_at(repository, revision, image) if revision not in asked else None
            except CiGitopsError as error:
                self.run.output.detail(f"What was written to {environment.name} is not to be had: {error.message}")
                continue
            asked.add(revision)
            if found:
                return found
        return None

    def _before(self) -> Iterator[EnvironmentSettings]:
        """The environments that a promotion may have come from, the nearest first."""
        known, seen = self.place.settings.environments, {self.target.environment}
        here = known.get(self.target.environment)
        while here and (here := known.get(here.from_ or "")) and here.name not in seen:
            seen.add(here.name)
            yield here

    def _head_of(self, environment: EnvironmentSettings, promoted: Commit) -> tuple[Repository, str]:
        """Where that environment is written; on the branch of this one it was written before what was promoted."""
        own = self.place.settings.environment(self.target.environment)
        if (environment.url, environment.branch) == (own.url, own.branch):
            return self._origin(), promoted.sha
        url = environment.url
        repository = self.places.repository(url, environment.name) if url else self._origin()
        return repository, repository.fetch(environment.branch or repository.fetch_default())

    def _built_at(self, repository: Repository, revision: str, image: str) -> Written | None:
        repository.fetch(revision)
        for count in _HISTORY_STEPS:
            if count and not repository.deepen(revision, count):
                break
            log = repository.log(revision, _MOST_COMMITS)
            history = [_commit(each, split_trailers(each.message)) for each in log]
            if found := built_by(history, image):
                return found
        return None

    def _history(self, repository: Repository) -> list[Commit]:
        log = repository.log(self.revision, _MOST_COMMITS)
        moved = {each.sha: split_trailers(each.message) for each in log}
        if not any(moved.values()) and log:
            moved |= {each.merge_sha: each.block.commits for each in self._merged() if each.merge_sha and each.block}
        return [_commit(each, moved[each.sha]) for each in log]

    def _origin(self) -> Repository:
        """Where the checkout came from: that has the whole history, and the merge requests."""
        url = identity(self.run, self.place.url)
        return self.place.repository if url == self.place.url else self.places.repository(url)

    # The forge

    def _consent(self, commit: Commit) -> Consent | None:
        request = request_of(self._merged(), commit, f"{self.target.environment}/{self.target.app}")
        if request is None or self._forge is None:
            return None
        try:
            approvals = self._forge.approvals(request.iid)
        except CiGitopsError as error:
            self.run.output.detail(f"Who approved !{request.iid} is not to be had: {error.message}")
            approvals = ()
        return Consent(request, tuple(dict.fromkeys(each.user for each in approvals)))

    def _merged(self) -> tuple[MergeRequest, ...]:
        if self._requests is None:
            branch = None if self.place.branch in (_HEAD, self.revision) else self.place.branch
            try:
                config = self.place.settings.config
                self._forge = forge_for(self.run, self._origin(), self.forge, url=self.forge_url, config=config)
                self._requests = self._forge.find(target=branch, state="merged")
            except CiGitopsError as error:
                self.run.output.detail(f"Merge requests are not to be had: {error.message}")
                self._requests = ()
        return self._requests

    # Registries

    def _labels(self, images: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """The labels of images whose registry answers in time; of others the image says nothing."""
        asked = labels_of(self.run, images, self.ask.ca_file)
        return {image: {} if isinstance(labels, CiGitopsError) else labels for image, labels in asked.items()}


def _commit(each: CommitInfo, moved: tuple[Trailers, ...]) -> Commit:
    return Commit(each.sha, each.author, each.email, each.time, each.subject, moved)
