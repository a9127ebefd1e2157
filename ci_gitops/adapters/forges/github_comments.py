"""Comments of a pull request, ours with a key that people do not see.

There is no compare and swap at GitHub. So who has written the first comment of a key looks again: where two have, the
earlier one stays, and who wrote the later one takes it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.adapters.forges.base import Comment, outgoing
from ci_gitops.adapters.forges.github_api import AnswerError, GitHubApi
from ci_gitops.adapters.forges.github_records import TEXT_LIMIT, seconds
from ci_gitops.core.comment_keys import marked, unmarked

_INSIDERS = ("OWNER", "MEMBER", "COLLABORATOR")
_CUT = "\n\n_The rest is left out: GitHub takes no longer comment._"


@dataclass(frozen=True, slots=True)
class GitHubComments:
    api: GitHubApi
    path: str  # /repos/octo/config

    def all(self, iid: int) -> tuple[Comment, ...]:
        return tuple(map(_to_comment, self._list(iid)))

    def keep(self, iid: int, key: str, text: str) -> None:
        """The one comment of `key` says `text`; where it does already, nothing is written."""
        body = _fitting(marked(key, outgoing(text)))
        there = self._of(iid, key)
        if there:
            self._bring(there[0], body)
            return
        made = self.api.until_known(lambda: self._written(iid, body), lambda: next(iter(self._of(iid, key)), None))
        first = min(self._of(iid, key), key=lambda one: int(one["id"]), default=made)
        if first["id"] != made["id"]:
            self._bring(first, body)
            self._remove(made)

    def _written(self, iid: int, body: str) -> Mapping[str, Any]:
        return self.api.sent("POST", f"{self.path}/issues/{iid}/comments", {"body": body})

    def _bring(self, comment: Mapping[str, Any], body: str) -> None:
        if (comment.get("body") or "").replace("\r\n", "\n") != body:
            self.api.again("PATCH", f"{self.path}/issues/comments/{comment['id']}", {"body": body})

    def _remove(self, comment: Mapping[str, Any]) -> None:
        try:
            self.api.again("DELETE", f"{self.path}/issues/comments/{comment['id']}")
        except AnswerError as error:
            if error.status != 404:
                raise

    def _of(self, iid: int, key: str) -> list[Mapping[str, Any]]:
        return [one for one in self._list(iid) if _to_comment(one).key == key]

    def _list(self, iid: int) -> list[Mapping[str, Any]]:
        return self.api.pages(f"{self.path}/issues/{iid}/comments")


def _to_comment(data: Mapping[str, Any]) -> Comment:
    """Anybody may write our mark on a public repository: from a stranger it is a comment like any other."""
    user, body = data.get("user") or {}, data.get("body") or ""
    trusted = data.get("author_association") in _INSIDERS or user.get("type") == "Bot"
    key, text = unmarked(body) if trusted else ("", body)
    return Comment(key, user.get("login") or "", text, seconds(data.get("created_at")))


def _fitting(body: str) -> str:
    return body if len(body) <= TEXT_LIMIT else body[: TEXT_LIMIT - len(_CUT)] + _CUT
