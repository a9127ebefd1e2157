"""What every forge can do for us. GitLab, GitHub and the local forge stand behind this one Protocol.

For who writes on top of it:

    forge = open_forge(kind, repository, person, site)      # adapters.forges
    forge.find(target="main")                               # open merge requests, lowest number first
    forge.find(source=branch, target="main", state="merged")
    forge.open(NewMergeRequest(source, target, title, description, labels=(...)))   # opens, or adopts the open one
    forge.update(iid, title=..., description=..., add_labels=(...))                 # what is None stays
    forge.comment(iid, "gates", text)                       # one comment for each key, kept current
    forge.close(iid, superseded_by=7)                       # with a link; the branch stays
    forge.merge(iid, MergeCall(head_sha, method=..., message=...)) -> MergeOutcome

Rules that all of them keep (tests/contracts checks them):
- The source branch must be pushed before `open`. There is at most one open merge request from a source to a target
  branch: `open` again, from any process, gives the same one back and changes nothing of its text.
- `head_sha` is always read from the source branch itself. What is merged is exactly `MergeCall.head_sha`.
- A group as reviewer or assignee stands for its members where they are at most five, else the text names it.
- Nothing that another process or a person wrote is lost: labels are added, records are changed by compare and swap.
- Every text that goes out is cleaned (`outgoing`): secrets masked, escape sequences gone.
- An answer of the server that is a fact about the merge request is a value (`MergeOutcome`), not an error. Errors:
  ForgeError (1) for a merge request that is not there or an answer without sense, RefusedError (5) for what this
  forge or this account may not do, TemporaryError (75) for trouble that may pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ci_gitops.core.approvals import Push
from ci_gitops.core.forge_settings import Needs, Setting
from ci_gitops.core.freezes import Freeze
from ci_gitops.core.gates import Approval, Checks, CheckState, CommitStatus
from ci_gitops.core.mergerequests import MergeMethod, MergeRequest, State
from ci_gitops.output import clean

DeploymentState = Literal["running", "success", "failed", "canceled"]
OutcomeState = Literal["merged", "armed", "waiting", "blocked"]


@dataclass(frozen=True, slots=True)
class Site:
    """Where the API of a forge on a server is, what opens it, and whose clock rules."""

    server: str  # https://gitlab.example.com, with the path where it has one
    project: str  # group/config
    token: str | None = field(default=None, repr=False)
    source: str | None = None  # where the token came from, for messages; CI_JOB_TOKEN is a kind of its own
    ca_file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)  # for proxies
    tell: Callable[[str], None] = lambda _: None
    wait: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    seconds: float = 20.0  # without a byte


@dataclass(frozen=True, slots=True)
class Account:
    """Who acts: the token's user, or the person at this machine."""

    login: str
    name: str = ""
    kind: str = ""  # of the token, where the forge tells: `a project access token`
    scopes: tuple[str, ...] = ()  # of the token, where the forge tells
    expires: str = ""  # its last day, as 2027-01-31


@dataclass(frozen=True, slots=True)
class Project:
    """What the forge's project says about merging; it holds where neither call nor config says otherwise."""

    default_branch: str
    merge_method: MergeMethod = "merge"
    squash: bool = False
    remove_source_branch: bool = True
    auto_merge: bool = True  # a merge can be armed
    trains: bool = False  # there are merge trains or queues


@dataclass(frozen=True, slots=True)
class NewMergeRequest:
    source: str
    target: str
    title: str
    description: str = ""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    draft: bool = False
    squash: bool | None = None  # None: the project's setting
    remove_source_branch: bool | None = None
    said: tuple[str, ...] = ()  # what the server said when the branch was pushed


@dataclass(frozen=True, slots=True)
class MergeCall:
    """How to merge. The source branch must still be at `head_sha`, else nothing is merged."""

    head_sha: str
    method: MergeMethod | None = None  # None: the project's
    message: str = ""  # of the merge or squash commit; "": the forge's own words
    remove_source_branch: bool | None = None  # None: the project's setting


@dataclass(frozen=True, slots=True)
class MergeOutcome:
    """What is true after the call: merged, armed, waiting (may pass by itself), or blocked (somebody must act)."""

    state: OutcomeState
    request: MergeRequest
    reason: str = ""  # one sentence: what it waits for, what blocks it
    conflicts: tuple[str, ...] = ()  # paths
    behind: bool = False  # blocked only since its target has moved on: made anew on top of that it can be merged


@dataclass(frozen=True, slots=True)
class Comment:
    key: str  # "" for people's
    author: str
    text: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Deployment:
    """The forge's own record that a commit was brought to an environment."""

    number: int
    environment: str
    sha: str
    ref: str
    state: DeploymentState
    url: str = ""  # of the environment
    created_at: int = 0
    finished_at: int = 0  # 0 while it runs


__all__ = [
    "Account", "Approval", "CheckState", "Checks", "Comment", "CommitStatus", "Deployment", "DeploymentState",
    "Forge", "Freeze", "MergeCall", "MergeOutcome", "NewMergeRequest", "OutcomeState", "Project", "Push", "Site",
    "outgoing",
]  # fmt: skip


class Forge(Protocol):
    kind: str
    description_limit: int  # characters that a description may have
    #: What is armed waits for our gates (`merge` judges them again); else for CI and the forge's own rules alone.
    keeps_gates: bool
    has_accounts: bool  # it knows its people: who opens and who approves is not just a name that anybody may take

    def whoami(self) -> Account: ...

    def project(self) -> Project: ...

    def may_push(self, branch: str) -> bool | None:
        """Whether its protection lets this account push to a branch; None where the forge does not tell."""
        ...

    def settings(self, needs: Needs) -> tuple[Setting, ...]:
        """What its own settings mean for these needs; what this account may not see is said as such."""
        ...

    def find(
        self, *, source: str | None = None, target: str | None = None, state: State = "open"
    ) -> tuple[MergeRequest, ...]:
        """Those that fit, lowest number first."""
        ...

    def get(self, iid: int) -> MergeRequest: ...

    def push_options(self, new: NewMergeRequest) -> tuple[str, ...]:
        """Options for the push of its branch, where that opens it."""
        ...

    def open(self, new: NewMergeRequest) -> MergeRequest: ...

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
        """What is None stays; reviewers and assignees (users and groups) are added to those that are there."""
        ...

    def comment(self, iid: int, key: str, text: str) -> None:
        """Our one comment of this key: written, or brought up to date; the same text again changes nothing."""
        ...

    def comments(self, iid: int) -> tuple[Comment, ...]: ...

    def approvals(self, iid: int) -> tuple[Approval, ...]: ...

    def pushes(self, request: MergeRequest) -> tuple[Push, ...]:
        """Who moved its branch, newest first, as far as the forge tells; () where it does not."""
        ...

    def approve(self, iid: int, head_sha: str) -> None:
        """Approve as a person; a forge that knows its people refuses this to us."""
        ...

    def merge(self, iid: int, call: MergeCall) -> MergeOutcome: ...

    def arm(self, iid: int, call: MergeCall) -> MergeOutcome:
        """Merge when green, by the forge (the local one: by the next `merge`); new commits disarm it."""
        ...

    def disarm(self, iid: int) -> MergeRequest:
        """Nobody merges it by itself any more."""
        ...

    def join_train(self, iid: int, call: MergeCall) -> MergeOutcome: ...

    def close(self, iid: int, *, superseded_by: int | None = None) -> MergeRequest: ...

    def checks(self, sha: str) -> Checks: ...

    def set_status(self, sha: str, status: CommitStatus, *, ref: str = "") -> None:
        """Post a status; the same state again is no error."""
        ...

    def record_deployment(
        self, environment: str, sha: str, ref: str, state: DeploymentState, *, number: int | None = None, url: str = ""
    ) -> Deployment:
        """A new deployment record, or with `number` the next state of one."""
        ...

    def deployments(self, environment: str) -> tuple[Deployment, ...]:
        """Newest first."""
        ...

    def people(self, name: str) -> tuple[str, ...]:
        """The logins that a name stands for: a user's own, or those of a group's members; () where there is none."""
        ...

    def freezes(self) -> tuple[Freeze, ...] | None:
        """The times in which nothing is to be deployed; None where the forge keeps no such."""
        ...


def outgoing(text: str) -> str:
    """Text as it may leave for a forge."""
    return clean(text)
