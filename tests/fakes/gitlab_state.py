"""What the fake of GitLab knows: one project with its people, merge requests, pipelines and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

DEVELOPER, MAINTAINER = 30, 40


@dataclass
class User:
    id: int
    username: str
    role: int = MAINTAINER
    kind: str = "personal"  # of its token: personal, job
    scopes: tuple[str, ...] = ("api", "write_repository")
    state: str = "active"

    @property
    def token(self) -> str:
        return f"glcbt-64_{self.username}" if self.kind == "job" else f"glpat-{self.username}"

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id, "username": self.username, "name": self.username.title(), "state": self.state,
            "web_url": f"https://gitlab.example.com/{self.username}",
        }  # fmt: skip


@dataclass
class Rules:
    """The project's settings, and how slow its server is."""

    merge_method: str = "merge"  # merge, rebase_merge, ff
    squash_option: str = "default_off"
    remove_source_branch: bool = True
    jobs_enabled: bool = True
    pipelines_must_succeed: bool = False
    approvals: int = 0
    reset_approvals: bool = False  # on a push, as the paid tiers can
    dated_approvals: bool = True  # approved_at, of newer servers
    trains: bool = False
    version: str = "18.5.0-ee"
    merge_role: int = DEVELOPER  # who may merge into the protected target
    push_role: int = DEVELOPER  # who may push to it
    checking: int = 0  # so many reads of a merge request find its mergeability still being computed
    lag: int = 0  # so many reads find its last push not seen yet
    locked: int = 0  # so many reads find a merge still under way
    late_sha: int = 0  # so many reads of a merged one find no commit named
    protected: str = "main"  # the branch, or a pattern; "": none
    force_push: bool = False
    inbound: bool = True  # job tokens of the allowlist alone
    registry: str = "enabled"
    merge_requests: str = "enabled"
    unguarded: bool = False  # two merge requests may be opened for one branch, as in a race
    begins: int = 0  # the so many-th question for the pipelines of a head finds one that runs; 0: never
    stubborn: int = 0  # so many merges are turned away although all looks well


@dataclass
class Version:
    head: str
    at: float


@dataclass
class Note:
    id: int
    user: User
    body: str
    at: float
    system: bool = False


@dataclass
class Pipeline:
    id: int
    sha: str
    ref: str
    status: str
    source: str
    at: float


@dataclass
class Status:
    id: int
    sha: str
    name: str
    state: str
    pipeline: Pipeline
    description: str = ""
    url: str | None = None
    allow_failure: bool = False
    at: float = 0.0


@dataclass
class Mr:
    iid: int
    source: str
    target: str
    title: str
    author: User
    at: float
    description: str = ""
    state: str = "opened"
    head: str = ""  # as the server knows it
    labels: list[str] = field(default_factory=list)
    reviewers: list[int] = field(default_factory=list)
    assignees: list[int] = field(default_factory=list)
    squash: bool = False
    remove_source: bool = False
    versions: list[Version] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    approved: dict[str, float] = field(default_factory=dict)
    armed: dict[str, Any] | None = None
    merge_commit: str | None = None
    squash_commit: str | None = None
    updated: float = 0.0
    merged: float | None = None
    closed: float | None = None
    source_project: int = 7
    checking: int = 0
    lag: int = 0
    locked: int = 0
    late_sha: int = 0
    train: bool = False

    @property
    def draft(self) -> bool:
        return self.title.lower().startswith(("draft:", "[draft]", "(draft)"))


@dataclass
class Deployed:
    id: int
    environment: str
    sha: str
    ref: str
    status: str
    at: float
    updated: float


@dataclass
class Environment:
    id: int
    name: str
    url: str | None = None


@dataclass
class State:
    id: int = 7
    path: str = "group/config"
    repository: str = "config"
    rules: Rules = field(default_factory=Rules)
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    old_paths: set[str] = field(default_factory=set)
    requests: list[Mr] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    deployments: list[Deployed] = field(default_factory=list)
    environments: list[Environment] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)  # whose jobs' tokens get in
    locks: dict[str, str] = field(default_factory=dict)  # resource group -> process mode
    freezes: list[Mapping[str, str]] = field(default_factory=list)
    tags: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)  # image -> tag -> digest, time
    pushers: dict[str, str] = field(default_factory=dict)  # head -> who pushed it, where that was not robot
    last_id: int = 100

    def user(self, username: str) -> User:
        """Somebody by that name; whoever is asked for is there."""
        if username not in self.users:
            self.users[username] = User(len(self.users) + 1, username)
        return self.users[username]

    def by_id(self, number: int) -> User:
        return next(one for one in self.users.values() if one.id == number)

    def names(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return [self.by_id(number).json() for number in ids]

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def pushes(self) -> list[dict[str, Any]]:
        """Events of the pushes to the branches of merge requests, newest first."""
        found = []
        for mr in self.requests:
            for number, version in enumerate(mr.versions):
                user = self.user(self.pushers.get(version.head, "robot"))
                found.append({
                    "id": 5000 + 100 * mr.iid + number, "project_id": self.id, "created_at": iso(version.at),
                    "action_name": "pushed to" if number else "pushed new", "author_id": user.id,
                    "author": user.json(), "author_username": user.username,
                    "push_data": {
                        "commit_count": 1, "action": "pushed" if number else "created", "ref_type": "branch",
                        "commit_from": mr.versions[number - 1].head if number else None, "commit_to": version.head,
                        "ref": mr.source, "commit_title": "A commit",
                    },
                })  # fmt: skip
        return sorted(found, key=lambda one: str(one["created_at"]), reverse=True)

    def newest_pipeline(self, sha: str, *, external: bool = False) -> Pipeline | None:
        fits = [one for one in self.pipelines if one.sha == sha and (external or one.source != "external")]
        return max(fits, key=lambda one: one.id, default=None)


def iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
