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
from ci_gitops.adapters.forges.transport import LostAnswerError
from ci_gitops.core.comment_keys import marked, unmarked

_CUT = "\n\n_The rest is left out: GitHub takes no longer comment._"


@dataclass(frozen=True, slots=True)
class GitHubComments:
    api: GitHubApi
    path: str  # /repos/octo/config

    def all(self, iid: int) -> tuple[Comment, ...]:
        return tuple(
            Comment(*_key_first((one.get("user") or {}).get("login") or "", one.get("body") or ""),
                    seconds(one.get("created_at")))
            for one in self._list(iid)
        )  # fmt: skip

    def keep(self, iid: int, key: str, text: str) -> None:
        """The one comment of `key` says `text`; where it does already, nothing is written."""
        body = _fitting(marked(key, outgoing(text)))
        there = self._of(iid, key)
        if there:
            self._bring(there[0], body)
            return
        made: Mapping[str, Any]
        try:
            made = self.api.sent("POST", f"{self.path}/issues/{iid}/comments", {"body": body})
        except LostAnswerError:
            there = self._of(iid, key)
            if not there:
                raise
            made = there[-1]
        first = min(self._of(iid, key), key=lambda one: int(one["id"]), default=made)
        if first["id"] != made["id"]:
            self._bring(first, body)
            self._remove(made)

    def _bring(self, comment: Mapping[str, Any], body: str) -> None:
        if (comment.get("body") or "").replace("\r\n", "\n") != body:
            self._changed("PATCH", comment, {"body": body})

    def _remove(self, comment: Mapping[str, Any]) -> None:
        try:
            self._changed("DELETE", comment, None)
        except AnswerError as error:
            if error.status != 404:
                raise

    def _changed(self, method: str, comment: Mapping[str, Any], body: Mapping[str, object] | None) -> None:
        """Doing it twice does no harm, so it is done again where its answer was lost."""
        for last in (False, True):
            try:
                self.api.send(method, f"{self.path}/issues/comments/{comment['id']}", body)
                return
            except LostAnswerError:
                if last:
                    raise

    def _of(self, iid: int, key: str) -> list[Mapping[str, Any]]:
        return [one for one in self._list(iid) if unmarked(one.get("body") or "")[0] == key]

    def _list(self, iid: int) -> list[Mapping[str, Any]]:
        return self.api.pages(f"{self.path}/issues/{iid}/comments")


def _key_first(author: str, body: str) -> tuple[str, str, str]:
    key, text = unmarked(body)
    return key, author, text


def _fitting(body: str) -> str:
    return body if len(body) <= TEXT_LIMIT else body[: TEXT_LIMIT - len(_CUT)] + _CUT
