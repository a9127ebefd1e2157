"""People at GitHub: who reviews, to whom it is assigned, whose approval counts, and who we are.

Names are logins, and for teams `organisation/team`. Whoever GitHub does not take is told and left out: a promotion does
not wait for a person who has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ci_gitops.adapters.forges.base import Account, Approval, Push
from ci_gitops.adapters.forges.github_api import AnswerError, DeniedError, GitHubApi
from ci_gitops.adapters.forges.github_records import opinions
from ci_gitops.core.tokens import kind_of

_MOST_ASSIGNEES = 10
_MOST_PUSHES = 100  # one page: the next one would have to be asked for by a cursor
_WRITERS = ("admin", "maintain", "write")
_VIEWER = "query Viewer { viewer { login } }"


@dataclass(frozen=True, slots=True)
class GitHubPeople:
    api: GitHubApi
    path: str  # /repos/octo/config

    def whoami(self, token: str | None) -> Account:
        """An app's or workflow's token has no user of its own; GraphQL knows its name."""
        kind = kind_of(token or "") or ""
        try:
            headers, user = self.api.answer("/user")
        except DeniedError as error:
            if not token or error.status == 401:
                raise
            return Account(str(self.api.graphql(_VIEWER)["viewer"]["login"]), kind=kind)
        scopes = tuple(scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",") if scope.strip())
        expires = headers.get("github-authentication-token-expiration", "")[:10]
        return Account(str(user["login"]), user.get("name") or "", kind, scopes, expires)

    def stand_for(self, name: str) -> tuple[str, ...]:
        """A user's login, those of a team's members, or nothing."""
        organisation, _, team = name.rpartition("/")
        try:
            if organisation:
                members = self.api.pages(f"/orgs/{quote(organisation)}/teams/{quote(team)}/members")
                return tuple(str(one["login"]) for one in members)
            return (str(self.api.get(f"/users/{quote(name)}")["login"]),)
        except AnswerError as error:
            if error.status != 404:
                raise
            return ()

    def ask_for_review(self, iid: int, names: Sequence[str]) -> None:
        """All at once; where GitHub refuses that, one by one, so that one wrong name does not cost the others."""
        if not names:
            return
        try:
            self._review(iid, names)
        except AnswerError as error:
            if error.status != 422:
                raise
            if len(names) == 1:
                self._left_out(iid, "a reviewer", names[0], error.words)
                return
            for name in names:
                self.ask_for_review(iid, [name])

    def _review(self, iid: int, names: Sequence[str]) -> None:
        teams = [name.rpartition("/")[2] for name in names if "/" in name]
        users = [name for name in names if "/" not in name]
        body = {"reviewers": users} if users else {}
        self.api.again(
            "POST", f"{self.path}/pulls/{iid}/requested_reviewers",
            {**body, "team_reviewers": teams} if teams else body,
        )  # fmt: skip

    def assign(self, iid: int, names: Sequence[str]) -> None:
        """GitHub takes those it can and says nothing of the others."""
        people = [login for name in names for login in (self.stand_for(name) if "/" in name else (name,))]
        if not people:
            return
        wanted = list(dict.fromkeys(people))
        body = {"assignees": wanted[:_MOST_ASSIGNEES]}
        answer = self.api.until_known(lambda: self.api.sent("POST", f"{self.path}/issues/{iid}/assignees", body))
        taken = {str(one["login"]).lower() for one in answer.get("assignees") or ()}
        for name in wanted:
            if name.lower() not in taken:
                self._left_out(iid, "an assignee", name, "it has no access, or there are ten already")

    def approvals(self, iid: int) -> tuple[Approval, ...]:
        """Those of people who may write here: anybody may press the button on a public repository."""
        standing = opinions(self.api.pages(f"{self.path}/pulls/{iid}/reviews"))
        return tuple(one for one in standing if self._may_write(one.user))

    def pushes(self, branch: str) -> tuple[Push, ...]:
        """https://docs.github.com/en/rest/repos/repos#list-repository-activities : older servers have none."""
        try:
            told = self.api.pages(f"{self.path}/activity", ref=f"refs/heads/{branch}", most=_MOST_PUSHES)
        except (AnswerError, DeniedError) as error:
            if error.status not in (403, 404):
                raise
            return ()
        return tuple(
            Push(str(one["actor"]["login"]), str(one.get("before") or ""), str(one.get("after") or ""))
            for one in told
            if one.get("actor")
        )

    def _may_write(self, login: str) -> bool:
        try:
            answer = self.api.get(f"{self.path}/collaborators/{quote(login)}/permission")
        except AnswerError as error:
            if error.status != 404:
                raise
            return False
        return answer.get("permission") in _WRITERS

    def _left_out(self, iid: int, role: str, name: str, why: str) -> None:
        self.api.line.tell(f"{name} is not {role} of !{iid}: {why}.")


def missing(wanted: Iterable[str], there: Iterable[str]) -> list[str]:
    """Of the names those that are not there yet; GitHub does not mind capitals."""
    known = {name.lower() for name in there}
    return [name for name in dict.fromkeys(wanted) if name.lower() not in known]
