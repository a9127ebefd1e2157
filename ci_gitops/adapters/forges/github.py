"""The GitHub forge, github.com and Enterprise: pull requests are merge requests here.

What goes on beside a pull request itself is in modules of its own: `github_merge`, `github_comments`, `github_people`,
`github_checks`, `github_deployments`. The heads of branches are read from Git, which knows of a push at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from ci_gitops.adapters.forges import github_records as records
from ci_gitops.adapters.forges.base import (
    Account,
    Approval,
    Checks,
    Comment,
    CommitStatus,
    Deployment,
    DeploymentState,
    MergeCall,
    MergeOutcome,
    NewMergeRequest,
    Project,
    Push,
    Site,
    outgoing,
)
from ci_gitops.adapters.forges.github_api import AnswerError, GitHubApi, GraphQLError, open_api
from ci_gitops.adapters.forges.github_checks import GitHubChecks
from ci_gitops.adapters.forges.github_comments import GitHubComments
from ci_gitops.adapters.forges.github_deployments import GitHubDeployments
from ci_gitops.adapters.forges.github_merge import GitHubMerge
from ci_gitops.adapters.forges.github_people import GitHubPeople, missing
from ci_gitops.adapters.forges.github_records import TEXT_LIMIT, Pull, Wishes
from ci_gitops.adapters.forges.github_settings import GitHubSettings
from ci_gitops.adapters.git import Repository
from ci_gitops.core.forge_settings import Needs, Setting
from ci_gitops.core.mergerequests import MergeRequest, State
from ci_gitops.errors import ForgeError, RefusedError, UsageError

_HEADS = "refs/heads/"
_MOST_ENDED = 1000  # merged or closed ones that are looked through, the newest first
_SUPERSEDED = "superseded"


class GitHubForge:
    kind = "github"
    description_limit = TEXT_LIMIT - 200  # room for what we keep unseen
    keeps_gates = True  # armed only where the branch's rules require our status
    has_accounts = True

    def __init__(self, site: Site, repository: Repository) -> None:
        self._site = site
        self._repository = repository
        self._api: GitHubApi = open_api(site)

    @cached_property
    def _data(self) -> Mapping[str, Any]:
        """The repository as GitHub describes it, by the name that it has now: a change is not sent on to a new one."""
        asked = self._site.project
        if asked.count("/") != 1:
            hint = "It looks like https://github.com/OWNER/REPOSITORY; is --forge right?"
            raise UsageError(f"{asked!r} names no repository of GitHub.", hint=hint)
        data = self._api.get(f"/repos/{asked}")
        name = str(data.get("full_name") or asked)
        if name.lower() != asked.lower():
            self._site.tell(f"{asked} is called {name} now: change its address where it is configured.")
        return data

    @property
    def _path(self) -> str:
        return f"/repos/{self._data.get('full_name') or self._site.project}"

    @cached_property
    def _people(self) -> GitHubPeople:
        return GitHubPeople(self._api, self._path)

    @cached_property
    def _comments(self) -> GitHubComments:
        return GitHubComments(self._api, self._path)

    @cached_property
    def _checks(self) -> GitHubChecks:
        return GitHubChecks(self._api, self._path, self._site.environ)

    @cached_property
    def _deployments(self) -> GitHubDeployments:
        return GitHubDeployments(self._api, self._path)

    @cached_property
    def _merging(self) -> GitHubMerge:
        return GitHubMerge(self._api, self._repository, self._path, self._read, self._settings)

    def whoami(self) -> Account:
        return self._people.whoami(self._site.token)

    def project(self) -> Project:
        return self._settings(queue=self._merging.has_queue(str(self._data["default_branch"])))

    def may_push(self, branch: str) -> bool | None:
        return None

    def settings(self, needs: Needs) -> tuple[Setting, ...]:
        workflow = self._site.source == "GITHUB_TOKEN"
        return tuple(GitHubSettings(self._api, self._path, self._data, needs, workflow).judged())

    def _settings(self, *, queue: bool = False) -> Project:
        return records.to_project(self._data, queue=queue)

    # Pull requests

    def find(
        self, *, source: str | None = None, target: str | None = None, state: State = "open"
    ) -> tuple[MergeRequest, ...]:
        owner = self._path.split("/")[2]
        found = self._api.pages(
            f"{self._path}/pulls",
            state="open" if state == "open" else "closed",
            head=f"{owner}:{source}" if source else None,  # without the owner GitHub looks at nothing
            base=target,
            most=None if state == "open" else _MOST_ENDED,
            sort="created" if state == "open" else "updated",
            direction="asc" if state == "open" else "desc",
        )
        branches = self._repository.remote_refs(f"{_HEADS}*") if found else {}
        requests = [records.to_pull(one, branches).request for one in found]
        fitting = (
            one
            for one in requests
            if one.state == state and source in (None, one.source) and target in (None, one.target)
        )
        return tuple(sorted(fitting, key=lambda one: one.iid))

    def get(self, iid: int) -> MergeRequest:
        request = self._read(iid).request
        if request.state == "merged":
            return self._merging.proved(request)
        return self._with_successor(request) if request.state == "closed" else request

    def _read(self, iid: int) -> Pull:
        pull = self._pull(self._described(iid))
        if pull.request.state == "open" and not pull.request.head_sha:
            # Between the two questions it was merged or its branch deleted; GitHub closes it then.
            pull = self._pull(self._described(iid))
        return pull

    def _described(self, iid: int) -> Mapping[str, Any]:
        try:
            return self._api.get(f"{self._path}/pulls/{iid}")
        except AnswerError as error:
            if error.status != 404:
                raise
            name = self._path.removeprefix("/repos/")
            raise ForgeError(
                f"There is no merge request !{iid} in {name}.",
                hint=f"Those that are there: {self._site.server}/{name}/pulls",
            ) from error

    def _pull(self, data: Mapping[str, Any]) -> Pull:
        return records.to_pull(data, self._repository.remote_refs(f"{_HEADS}*"))

    def push_options(self, new: NewMergeRequest) -> tuple[str, ...]:
        return ()

    def open(self, new: NewMergeRequest) -> MergeRequest:
        made = self._open_one(new)
        if made is None:
            self._must_be_there(new)
            made = self._api.until_known(lambda: self._made(new), lambda: self._open_one(new))
        # GitHub takes these by calls of their own: a run that was cut off in between may have left them out.
        return self.update(made.iid, add_labels=new.labels, reviewers=new.reviewers, assignees=new.assignees)

    def _open_one(self, new: NewMergeRequest) -> MergeRequest | None:
        return next(iter(self.find(source=new.source, target=new.target)), None)

    def _made(self, new: NewMergeRequest) -> MergeRequest:
        try:
            made = self._pull(self._api.sent("POST", f"{self._path}/pulls", self._opening(new))).request
        except AnswerError as error:
            there = self._open_one(new) if "already exists" in error.words.lower() else None
            if there is None:
                raise self._not_opened(error, new) from error
            return there
        self._told_of_workflows(made)
        return made

    def _told_of_workflows(self, made: MergeRequest) -> None:
        """https://docs.github.com/en/actions/concepts/security/github_token"""
        if self._site.source == "GITHUB_TOKEN":
            self._site.tell(
                f"!{made.iid} was opened with GITHUB_TOKEN: no workflow runs for it, so its checks never come. Give "
                "CI_GITOPS_TOKEN or a GitHub App (CI_GITOPS_GITHUB_APP_ID) instead."
            )

    def _opening(self, new: NewMergeRequest) -> dict[str, object]:
        wishes = Wishes(new.squash, new.remove_source_branch)
        return {
            "head": new.source,
            "base": new.target,
            "title": outgoing(new.title),
            "body": wishes.put(outgoing(new.description)),
            "draft": new.draft,
        }

    def _must_be_there(self, new: NewMergeRequest) -> None:
        refs = self._repository.remote_refs(f"{_HEADS}{new.source}", f"{_HEADS}{new.target}")
        for branch in (new.source, new.target):
            if _HEADS + branch not in refs:
                raise ForgeError(
                    f"There is no branch {branch!r} in {self._repository.url.clean}: push it first.",
                    hint="Somebody may have deleted it just now: run it again.",
                )

    def _not_opened(self, error: AnswerError, new: NewMergeRequest) -> ForgeError:
        if "no commits between" in error.words.lower():
            return ForgeError(f"{new.source} holds nothing that {new.target} does not hold: there is nothing to merge.")
        if "draft pull requests are not supported" in error.words.lower():
            hint = "Leave out `draft`; GitHub has drafts in public repositories and in paid plans."
            return ForgeError(f"{error.message}", hint=hint)
        return error

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
        pull = self._read(iid)
        request = pull.request
        self._edit(pull, title, description)
        if labels := missing(add_labels, request.labels):
            self._api.again("POST", f"{self._path}/issues/{iid}/labels", {"labels": labels})
        for label in remove_labels:
            if not missing([label], request.labels):
                self._without(iid, label)
        self._people.ask_for_review(iid, missing(reviewers, (*request.reviewers, request.author)))
        self._people.assign(iid, missing(assignees, request.assignees))
        if draft is not None and draft != request.draft:
            self._change("convertPullRequestToDraft" if draft else "markPullRequestReadyForReview", pull)
        return self._read(iid).request

    def _edit(self, pull: Pull, title: str | None, description: str | None) -> None:
        request = pull.request
        body: dict[str, object] = {}
        if title is not None and outgoing(title) != request.title:
            body["title"] = outgoing(title)
        if description is not None and outgoing(description) != request.description:
            body["body"] = pull.wishes.put(outgoing(description))
        if body:
            self._api.again("PATCH", f"{self._path}/pulls/{request.iid}", body)

    def _without(self, iid: int, label: str) -> None:
        try:
            self._api.again("DELETE", f"{self._path}/issues/{iid}/labels/{quote(label, safe='')}", None)
        except AnswerError as error:
            if error.status != 404:  # somebody else has taken it off
                raise

    def _change(self, change: str, pull: Pull) -> None:
        """A change that only GraphQL has, of one pull request; making it twice does no harm."""
        kind = f"{change[:1].upper()}{change[1:]}Input"
        query = f"mutation Change($input: {kind}!) {{ {change}(input: $input) {{ clientMutationId }} }}"
        self._api.until_known(lambda: self._api.graphql(query, input={"pullRequestId": pull.node}))

    def close(self, iid: int, *, superseded_by: int | None = None) -> MergeRequest:
        request = self._read(iid).request
        if request.state == "open":
            if superseded_by is not None:
                self.comment(iid, _SUPERSEDED, f"Superseded by #{superseded_by}.")
            self._api.again("PATCH", f"{self._path}/pulls/{iid}", {"state": "closed"})
        return self.get(iid)

    def _with_successor(self, request: MergeRequest) -> MergeRequest:
        return records.with_successor(request, self.comments(request.iid), _SUPERSEDED)

    # What is said and thought of one

    def comment(self, iid: int, key: str, text: str) -> None:
        self._comments.keep(iid, key, text)

    def comments(self, iid: int) -> tuple[Comment, ...]:
        return self._comments.all(iid)

    def approvals(self, iid: int) -> tuple[Approval, ...]:
        return self._people.approvals(iid)

    def pushes(self, request: MergeRequest) -> tuple[Push, ...]:
        return self._people.pushes(request.source)

    def approve(self, iid: int, head_sha: str) -> None:
        raise RefusedError(
            "GitHub knows its people: who approves does it there, as oneself.",
            hint="Open the pull request and review it; `--approve` is for the local forge.",
        )

    def people(self, name: str) -> tuple[str, ...]:
        return self._people.stand_for(name)

    # Merging

    def merge(self, iid: int, call: MergeCall) -> MergeOutcome:
        return self._merging.merge(iid, call)

    def arm(self, iid: int, call: MergeCall) -> MergeOutcome:
        return self._merging.arm(iid, call)

    def disarm(self, iid: int) -> MergeRequest:
        pull = self._read(iid)
        if pull.armed:
            with contextlib.suppress(GraphQLError):  # merged or disarmed meanwhile: what is true is read below
                self._change("disablePullRequestAutoMerge", pull)
        if self._merging.has_queue(pull.request.target):
            self._merging.leave_queue(pull)
        return self.get(iid)

    def join_train(self, iid: int, call: MergeCall) -> MergeOutcome:
        return self._merging.join_queue(iid, call)

    # Commits and environments

    def checks(self, sha: str) -> Checks:
        return self._checks.of(sha)

    def set_status(self, sha: str, status: CommitStatus, *, ref: str = "") -> None:
        self._checks.set(sha, status)

    def record_deployment(
        self, environment: str, sha: str, ref: str, state: DeploymentState, *, number: int | None = None, url: str = ""
    ) -> Deployment:
        return self._deployments.record(environment, sha, ref, state, number=number, url=url)

    def deployments(self, environment: str) -> tuple[Deployment, ...]:
        return self._deployments.all(environment)

    def freezes(self) -> None:
        return None
