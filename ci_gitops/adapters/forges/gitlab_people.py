"""Users and groups on GitLab: names become the ids that its API wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ci_gitops.adapters.forges.base import Account
from ci_gitops.adapters.forges.gitlab_api import GitLabApi, quoted

_BEFORE = timedelta(days=2)  # a branch is there before its merge request, and days are told by the server's zone
_MOST_PUSHES = 1000  # of all branches
MOST = 5  # members of a group that are asked one by one


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom names stand for, and the groups that are too large to be asked one by one."""

    ids: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass
class People:
    """What has been asked once is kept: names are the same for a whole run."""

    api: GitLabApi
    _known: dict[str, Sequence[Mapping[str, Any]] | None] = field(default_factory=dict)
    _groups: set[str] = field(default_factory=set)
    _me: Account | None = None

    def of(self, name: str) -> Sequence[Mapping[str, Any]]:
        """The user of that name, else the members of that group."""
        name = name.removeprefix("@")
        if name not in self._known:
            self._known[name] = self._looked_up(name)
        return self._known[name] or ()

    def chosen(self, names: Sequence[str], role: str) -> Chosen:
        """`role` is for the message about a name that nobody bears: it keeps no merge request from being opened."""
        ids: list[int] = []
        large: list[str] = []
        for name in dict.fromkeys(names):
            found = self.of(name)
            if not found:
                self.api.site.tell(f"{self.api.name} knows no user or group {name!r}: nobody is asked as {role}.")
            elif name.removeprefix("@") in self._groups and len(found) > MOST:
                large.append(name.removeprefix("@"))
            else:
                ids += [one["id"] for one in found]
        return Chosen(tuple(dict.fromkeys(ids)), tuple(large))

    def pushed(self, since: int) -> Sequence[Mapping[str, Any]]:
        """What was pushed to the project since some days before; () where that is not for this token.

        https://docs.gitlab.com/api/events/#list-all-visible-events-for-a-project
        """
        day = datetime.fromtimestamp(since, UTC) - _BEFORE
        asked = {"action": "pushed", "after": f"{day:%Y-%m-%d}"}
        return self.api.all(self.api.at("/events"), asked, most=_MOST_PUSHES, accept=(401, 403, 404))

    def me(self) -> Account:
        """Who the token is, and what kind of token it is."""
        if self._me is None:
            self._me = self._job_account() if self.api.job_token else self._account()
        return self._me

    def _looked_up(self, name: str) -> Sequence[Mapping[str, Any]] | None:
        if "/" not in name:
            users = self.api.all("/users", {"username": name}, most=1, accept=(403, 404))
            if users:
                return users
        group = self.api.get(f"/groups/{quoted(name)}", {"with_projects": False}, accept=(403, 404))
        if not group.ok:
            return None
        self._groups.add(name)
        path = f"/groups/{self.api.record(group.data, 'group', 'id')['id']}/members/all"
        members = self.api.all(path, {"state": "active"}, accept=(403, 404))
        return [one for one in members if one.get("state", "active") == "active"]

    def _account(self) -> Account:
        user = self.api.record(self.api.get("/user").data, "user", "username")
        told = self.api.get("/personal_access_tokens/self", accept=(401, 403, 404))
        token = self.api.record(told.data, "token") if told.ok else {}
        return Account(
            user["username"],
            user.get("name") or user["username"],
            _kind(user["username"]) if token else "",
            tuple(token.get("scopes") or ()),
            token.get("expires_at") or "",
        )

    def _job_account(self) -> Account:
        job = self.api.record(self.api.get("/job").data, "job")
        user = job.get("user") or {}
        return Account(user.get("username", ""), user.get("name", ""), "a CI job token")


def _kind(username: str) -> str:
    """https://docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects"""
    for prefix, kind in (("project_", "a project access token"), ("group_", "a group access token")):
        if username.startswith(prefix) and "_bot" in username:
            return kind
    return "a service account's token" if username.startswith("service_account_") else "a personal access token"
