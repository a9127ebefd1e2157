"""What the fake of GitHub knows: people, one repository with its rules, and pull requests."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Person:
    login: str
    permission: str = "write"  # at the repository: admin, write, read, none
    kind: str = "User"  # or Bot

    @property
    def json(self) -> dict[str, Any]:
        return {"login": self.login, "id": abs(hash(self.login)) % 10**8, "type": self.kind, "site_admin": False}


@dataclass
class Pull:
    number: int
    head: str
    base: str
    title: str
    body: str
    author: str
    draft: bool
    head_sha: str
    created: float
    owner: str = ""  # of the fork that it comes from
    state: str = "open"
    updated: float = 0
    merged: float = 0
    merge_commit: str = ""
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    armed: dict[str, Any] | None = None
    heads: list[str] = field(default_factory=list)  # that its branch had before, the oldest first
    queued: str = ""  # the head that waits in the merge queue
    looked_at: tuple[str, str] = ("", "")  # head and base for which it is known whether they merge

    @property
    def node(self) -> str:
        return f"PR_{self.number}"


@dataclass
class Rules:
    """What the target branch demands before a merge."""

    statuses: list[str] = field(default_factory=list)
    older_statuses: list[str] = field(default_factory=list)  # by branch protection instead of a ruleset
    approvals: int = 0
    up_to_date: bool = False
    queue: bool = False
    kinds: list[str] = field(default_factory=list)  # other rules of the ruleset: pull_request, non_fast_forward
    classic: dict[str, Any] | None = None  # the older protection, as administrators see it

    @property
    def contexts(self) -> list[str]:
        return [*self.statuses, *self.older_statuses]


def stamp(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def label(name: str) -> dict[str, Any]:
    return {"id": abs(hash(name)) % 10**8, "node_id": "L", "url": "https://x/l", "name": name, "description": "",
            "color": "ededed", "default": False}  # fmt: skip


def users(logins: Iterable[str], people: Mapping[str, Person]) -> list[dict[str, Any]]:
    return [people[login].json for login in logins]


def refusal(message: str, **error: str) -> dict[str, Any]:
    """The body of a 422."""
    return {"message": "Validation Failed", "errors": [{"code": "custom", "message": message, **error}],
            "documentation_url": "https://docs.github.com/rest"}  # fmt: skip
