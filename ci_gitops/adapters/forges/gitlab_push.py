"""GitLab where only pushing is possible: a deploy key or a person's SSH key, and no token for the API.

GitLab opens a merge request from options of the push that makes its branch; nothing more can be asked of it. What our
branches hold is read from their own commits, so a branch that is there counts as a merge request that is open.
https://docs.gitlab.com/topics/git/commit/#push-options-for-merge-requests
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ci_gitops.adapters.forges.base import MergeCall, MergeOutcome, NewMergeRequest, Project, Site, outgoing
from ci_gitops.adapters.forges.gitlab import GitLabForge
from ci_gitops.adapters.git import Person, Repository
from ci_gitops.core.mergerequest_text import Block, clipped, put_block
from ci_gitops.core.mergerequests import BRANCH_PREFIX, MergeRequest, State
from ci_gitops.core.trailers import split_trailers
from ci_gitops.errors import RefusedError

_HEADS = "refs/heads/"
_ADDRESS = re.compile(r"(https?://\S+/-/merge_requests/)(\d+)")
_WORDS = re.compile(r"\s+")


class GitLabByPush(GitLabForge):
    """Numbers are not known before the server has told them: until then they are negative, one for each branch."""

    def __init__(self, repository: Repository, person: Person, site: Site) -> None:
        super().__init__(repository, person, site)
        self._told: dict[str, MergeRequest] = {}

    def project(self) -> Project:
        return Project(self._repository.default_branch(), auto_merge=False)

    def may_push(self, branch: str) -> bool | None:
        return None

    def push_options(self, new: NewMergeRequest) -> tuple[str, ...]:
        title = ("Draft: " if new.draft else "") + clipped(outgoing(new.title))
        said = ["create", f"target={new.target}", f"title={title}"]
        said += [f"label={label}" for label in new.labels]
        # Users only: names of groups and reviewers are not taken here.
        said += [f"assign={name.removeprefix('@')}" for name in new.assignees if "/" not in name]
        said += ["remove_source_branch"] if new.remove_source_branch else []
        said += ["squash"] if new.squash else []
        return tuple(f"merge_request.{_WORDS.sub(' ', one)}" for one in said)

    def find(
        self, *, source: str | None = None, target: str | None = None, state: State = "open"
    ) -> tuple[MergeRequest, ...]:
        if state != "open":
            return ()
        wanted = target or self._repository.default_branch()
        refs = self._repository.remote_refs(f"{_HEADS}{source or BRANCH_PREFIX + '*'}")
        names = sorted(ref.removeprefix(_HEADS) for ref in refs)
        ours = [name for name in names if name.startswith(BRANCH_PREFIX)]
        found = [self._branch(-number, name, wanted) for number, name in enumerate(ours, 1)]
        return tuple(one for one in found if one)

    def get(self, iid: int) -> MergeRequest:
        known = [*self._told.values(), *self.find()]
        return next((one for one in known if one.iid == iid), None) or super().get(iid)

    def open(self, new: NewMergeRequest) -> MergeRequest:
        found = next((address for line in new.said if (address := _ADDRESS.search(line))), None)
        made = self._branch(-1, new.source, new.target)
        if made is None:
            raise RefusedError(f"{new.source} holds nothing that {new.target} lacks.")
        made = replace(made, title=new.title, labels=new.labels, assignees=new.assignees)
        if found:
            made = replace(made, iid=int(found[2]), url=found[0])
        self._told[new.source] = made
        return made

    def update(
        self,
        iid: int,
        *,
        title: str | None = None,
        description: str | None = None,
        add_labels: Sequence[str] = (),
        remove_labels: Sequence[str] = (),
        reviewers: Sequence[str] = (),
        assignees: Sequence[str] = (),
        draft: bool | None = None,
    ) -> MergeRequest:
        """The branch is what a push can change; text and labels stay as they were when it was opened."""
        return self.get(iid)

    def close(self, iid: int, *, superseded_by: int | None = None) -> MergeRequest:
        """GitLab closes it when its branch is deleted, which is what follows."""
        return replace(self.get(iid), state="closed", superseded_by=superseded_by)

    def merge(self, iid: int, call: MergeCall) -> MergeOutcome:
        return MergeOutcome("waiting", self.get(iid), "without a token for GitLab's API people merge it")

    def _branch(self, number: int, name: str, target: str) -> MergeRequest | None:
        """The branch as a merge request; None where the target holds all of it."""
        repository = self._repository
        head, base = repository.fetch(name), repository.fetch(target)
        own = repository.only_in(head, base)
        if not own:
            return None
        block = Block()
        for commit in reversed(own):
            for trailers in split_trailers(commit.message):
                block = block.updated(trailers)
        page = f"{self._api.site.server}/{self._api.site.project}/-/merge_requests?source_branch={name}"
        told = self._told.get(name)
        return MergeRequest(
            told.iid if told else number,
            name,
            target,
            own[-1].subject,
            put_block("", block, limit=self.description_limit),
            head_sha=head,
            url=told.url if told else page,
        )
