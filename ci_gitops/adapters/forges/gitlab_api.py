"""GitLab's REST API through python-gitlab: one call, one checked answer, one error that says what to change.

python-gitlab knows authentication, addresses and pages. Waiting and repeating are the transport's, so both are off
here. Its managers turn a refused merge into the same error whatever the status was; decisions need the status, so
what is called are its plain requests.
https://docs.gitlab.com/api/rest/
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.patience import TRIES, AwayError
from ci_gitops.core.tokens import kind_of
from ci_gitops.errors import CiGitopsError, ForgeError, RefusedError
from ci_gitops.output import clean

if TYPE_CHECKING:
    import gitlab

Json = Mapping[str, Any]
_T = TypeVar("_T")
_PAGE = 100
_OF_A_JOB = (
    "A CI job token reads merge requests and records deployments, and GitLab answers 404 for all else. Set"
    " CI_GITOPS_TOKEN to an access token of the project or group with the scopes api and write_repository."
)
_DOCTOR = "Run it again; where that stays, `ci-gitops doctor` says what this token and project allow."
_HIDDEN = "GitLab answers 404 for what the token may not see, too."
_SCOPES = "It needs the scope api, and a role (Developer or more) in this project that may do this."


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: 2xx, or one of the statuses that the caller said it decides on."""

    status: int
    data: Any  # JSON
    said: str = ""  # GitLab's words where it refused

    @property
    def ok(self) -> bool:
        return self.status < 300


class GitLabApi:
    """The API of one project, found by its path once and by its number from then on: paths may be renamed."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.name = f"GitLab at {site.server}"
        self.lists: set[str] = set()  # paths whose changes are answered with a list

    @property
    def job_token(self) -> bool:
        return self.site.source == "CI_JOB_TOKEN"

    @cached_property
    def _client(self) -> gitlab.Gitlab:
        import gitlab

        from ci_gitops.adapters.forges.transport import line_to, session

        token = self.site.token
        if not token:
            raise RefusedError(
                f"There is no token for the API of {self.name}.",
                hint="Set CI_GITOPS_TOKEN or --token-file: an access token with the scopes api and write_repository.",
            )
        name = "job_token" if self.job_token else "oauth_token" if token.startswith("gloas-") else "private_token"
        how: dict[str, Any] = {name: token}
        return gitlab.Gitlab(
            self.site.server, **how, session=session(line_to(self.site, "GitLab")),
            retry_transient_errors=False, keep_base_url=True,
        )  # fmt: skip

    @cached_property
    def project(self) -> Json:
        """The project as it is when it is first needed."""
        found = self.get(f"/projects/{quoted(self.site.project)}", accept=(404,))
        if not found.ok:
            why = f"{self.name} has no project {self.site.project!r}, or not for the token from {self.site.source}."
            if self.job_token:
                raise RefusedError(f"{why[:-1]}: a CI job token.", hint=_OF_A_JOB)
            raise ForgeError(why, hint=f"{_SCOPES} Is --forge-url right?")
        return self.record(found.data, "project", "id", "default_branch")

    def at(self, path: str) -> str:
        """A path below the project's own. A job's token may not ask for the number."""
        return f"/projects/{quoted(self.site.project) if self.job_token else self.project['id']}{path}"

    def get(self, path: str, query: Json | None = None, *, accept: Collection[int] = ()) -> Reply:
        return self._request("get", path, query, None, accept)

    def post(self, path: str, data: Json, *, accept: Collection[int] = ()) -> Reply:
        return self._request("post", path, None, data, accept)

    def put(self, path: str, data: Json, *, accept: Collection[int] = ()) -> Reply:
        return self._request("put", path, None, data, accept)

    def delete(self, path: str, *, accept: Collection[int] = ()) -> Reply:
        return self._request("delete", path, None, None, accept)

    def all(self, path: str, query: Json, *, most: int = 10_000, accept: Collection[int] = ()) -> Sequence[Json]:
        """All items of a list, page after page, at most `most`; () where the status is one of `accept`."""
        found: list[Json] = []
        page = 1
        while len(found) < most:
            reply = self.get(path, {**query, "per_page": _PAGE, "page": page}, accept=accept)
            if not reply.ok:
                return ()
            if not isinstance(reply.data, list):
                raise self._other(self._asked("GET", path), "a list")
            found += [self.record(item, "an entry of a list") for item in reply.data]
            if len(reply.data) < _PAGE:
                break
            page += 1
        return found[:most]

    def record(self, data: Any, what: str, *fields: str) -> Json:
        """`data` as an object that has these fields; ForgeError where it is something else."""
        if not isinstance(data, Mapping) or any(field not in data for field in fields):
            raise self._other(
                f"{what} of {self.site.project}", f"an object with {', '.join(fields)}" if fields else "an object"
            )
        return data

    def once(self, do: Callable[[], _T], look: Callable[[], _T | None]) -> _T:
        """`do()`; where its answer is lost, what `look()` finds of it, before it is done again."""
        from ci_gitops.adapters.forges.transport import until_known

        return until_known(do, look, wait=self.site.wait, tries=TRIES)

    def refused(self, what: str, reply: Reply) -> ForgeError:
        """The error for a refusal that the caller wanted to see first."""
        said = f"{self.name} does not take {what} of {self.site.project}: {reply.said or reply.status}."
        return ForgeError(said, hint=_DOCTOR)

    def _request(self, verb: str, path: str, query: Json | None, data: Json | None, accept: Collection[int]) -> Reply:
        import gitlab

        try:
            # Its own waiting is without bound, and is told so for each call.
            response = self._client.http_request(
                verb, path, query_data=dict(query or {}), post_data=dict(data) if data is not None else None,
                obey_rate_limit=False, retry_transient_errors=False, max_retries=0,
            )  # fmt: skip
        except gitlab.exceptions.RedirectError as error:
            raise ForgeError(f"{self.name} is elsewhere now: {clean(str(error))}") from error
        except gitlab.exceptions.GitlabError as error:
            status = error.response_code or 0
            said = _words(error.error_message)
            if status in accept:
                return Reply(status, None, said)
            raise self._refusal(verb, path, status, said) from error
        answer = response.json() if response.content else None
        if verb in ("post", "put") and not isinstance(answer, Mapping | None) and path not in self.lists:
            from ci_gitops.adapters.forges.transport import LOOKS_FIRST, LostAnswerError

            raise LostAnswerError(
                f"{self.name} answered something else than an object for {self._asked(verb, path)}; whether it was"
                " done is not known.", hint=LOOKS_FIRST,
            )  # fmt: skip
        return Reply(response.status_code, answer)

    def _other(self, what: str, wanted: str) -> ForgeError:
        return ForgeError(
            f"{self.name} answered something else than {wanted} for {what}.",
            hint="Is that its address (--forge-url)? A proxy in between answers like this, too.",
        )

    def _asked(self, verb: str, path: str) -> str:
        """What was asked, of the project by its name."""
        from ci_gitops.adapters.forges.transport import asked_for

        numbered = (
            f"/projects/{self.project['id']}" if path.startswith("/projects/") and "project" in vars(self) else ""
        )
        shown = path.replace(numbered, f"/projects/{self.site.project}", 1) if numbered else path
        return asked_for(verb.upper(), urllib.parse.unquote(shown), self.site.project)

    def _refusal(self, verb: str, path: str, status: int, said: str) -> CiGitopsError:
        what = f"{self.name} answered {status}{f' ({said})' if said else ''} for {self._asked(verb, path)}"
        token = f"the token from {self.site.source}"
        kind = kind_of(self.site.token or "")
        if kind:
            token += f" ({kind})"
        if self.job_token and status in (401, 403, 404):
            return RefusedError(f"{what}: the CI job token may not do this.", hint=_OF_A_JOB)
        if status == 401:
            return RefusedError(f"{what}: it does not take {token}.", hint=f"Has it expired? {_SCOPES}")
        if status == 403:
            return RefusedError(f"{what}: {token} may not do this.", hint=_SCOPES)
        if status == 409:
            return AwayError(f"{what}: another change was under way.", hint="Run the command again.")
        return ForgeError(f"{what}.", hint=f"{_HIDDEN} {_SCOPES}" if status == 404 else _DOCTOR)


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return urllib.parse.quote(name, safe="")


def _words(message: Any) -> str:
    """GitLab's own words: a text, a list, or lists by field."""
    if isinstance(message, bytes):
        message = message.decode(errors="replace")
    if isinstance(message, Mapping):
        message = "; ".join(f"{name} {_words(words)}" for name, words in message.items())
    if isinstance(message, Sequence) and not isinstance(message, str):
        message = "; ".join(map(_words, message))
    text = " ".join(clean(str(message or "")).split())
    return "" if text.startswith("<") else text[:300]
