"""GitHub's REST and GraphQL APIs through PyGithub, over our own line.

PyGithub signs requests, knows the addresses of GitHub and of Enterprise servers, and takes answers apart. Its objects
are not used: they complete themselves by requests that nobody asked for, and follow a renamed repository without the
query of the request. Its retries and pauses are off (see `transport`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.forges.transport import Line, asked_for, line_to, session, until_known
from ci_gitops.errors import ForgeError, RefusedError, TemporaryError
from ci_gitops.output import clean

if TYPE_CHECKING:
    import requests
    from github import GithubException
    from github.Auth import Auth
    from github.Requester import Requester

API_VERSION = "2022-11-28"  # https://docs.github.com/en/rest/about-the-rest-api/api-versions
PAGE = 100
T = TypeVar("T")
_HIDDEN = "Is the address right, and may the token see it? To one without access, what is there is 'Not Found' too."
_DOCTOR = "Run it again; where that stays, `ci-gitops doctor` says what this token and repository allow."
_MOST_PAGES = 100
_PLACE = re.compile(r"^https?://[^/]+")
_NEXT = re.compile(r'rel="?next"?')


class AnswerError(ForgeError):
    """An answer of 400 and above: a fact to decide on, or else an error with a sentence of its own."""

    def __init__(self, message: str, status: int, words: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.words = words  # GitHub's own, cleaned, with those of `errors`


class DeniedError(RefusedError):
    """An answer of 401 or 403."""

    def __init__(self, message: str, status: int, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class GraphQLError(ForgeError):
    """A query or change that GraphQL did not take; `words` are GitHub's own."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message, hint=_DOCTOR)
        self.words = words


def open_api(site: Site) -> GitHubApi:
    """The API of a GitHub server: github.com and *.ghe.com have it at a host of its own, others below `/api/v3`.

    https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api
    """
    from github.Auth import Token

    line = replace(line_to(site, "GitHub", api_address(site.server)), reads=reads)
    return GitHubApi(line, Token(site.token) if site.token else None, site.source)


def api_address(server: str) -> str:
    """The API's address of a server's; one that is the API's already stays."""
    scheme, _, rest = server.rstrip("/").partition("://")
    if rest.startswith("api.") or rest.endswith("/api/v3"):
        return server.rstrip("/")
    own_host = rest == "github.com" or rest.endswith(".ghe.com")
    return f"{scheme}://api.{rest}" if own_host else f"{scheme}://{rest}/api/v3"


class GitHubApi:
    """Requests as one account. Paths begin below the API's address: `/repos/octo/config/pulls`."""

    def __init__(self, line: Line, auth: Auth | None, source: str | None = None) -> None:
        self.line = line
        self._auth, self._given = auth, source
        self._source = f"the token from {source}" if source else "no token"
        self._requester = _requester(line, auth)

    def another(self) -> GitHubApi:
        """The same account on a connection of its own, for another thread."""
        return GitHubApi(self.line, self._auth, self._given)

    @property
    def graphql_address(self) -> str:
        return self._requester.graphql_url

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """One object; AnswerError says why there is none."""
        return self.answer(path, **query)[1]

    def answer(self, path: str, **query: object) -> tuple[Mapping[str, str], dict[str, Any]]:
        """One object with the headers (lower case) that it came with."""
        headers, data = self._asked("GET", path, query=query)
        return headers, self._object(data, path)

    def pages(self, path: str, *, key: str | None = None, most: int | None = None, **query: object) -> list[Any]:
        """The items of all pages, at most `most`; with `key` each page is an object that holds them."""
        items: list[Any] = []
        for number in range(1, _MOST_PAGES + 1):
            asked = {"per_page": PAGE, **query, **({"page": number} if number > 1 else {})}
            headers, data = self._asked("GET", path, query=asked)
            page = self._object(data, path).get(key) if key else data
            if not isinstance(page, list) or not all(isinstance(one, dict) for one in page):
                raise self._nonsense(path)
            items += page
            if not _NEXT.search(headers.get("link", "")) or (most and len(items) >= most):
                return items[:most]
        raise ForgeError(
            f"{self.line.name} has more than {PAGE * _MOST_PAGES} entries at {self._what('GET', path)}.",
            hint="Close or delete what is not needed any more.",
        )

    def send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """A change; its answer."""
        return self._asked(method, path, body=body)[1]

    def sent(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """A change that is answered by an object."""
        return self._object(self.send(method, path, body), path)

    def again(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """A change that does no harm when it is made twice; its answer."""
        return self.until_known(lambda: self.send(method, path, body))

    def until_known(self, do: Callable[[], T], look: Callable[[], T | None] = lambda: None) -> T:
        """`do()`; where its answer was lost, what `look()` finds of it, else `do()` again."""
        return until_known(do, look, wait=self.line.wait, tries=self.line.tries)

    def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """The `data` of an answer without errors."""
        body = {"query": query, "variables": variables}
        answer = self._object(self._asked("POST", self.graphql_address, body=body)[1], "GraphQL")
        errors = answer.get("errors")
        if errors:
            words = "; ".join(clean(str(one.get("message", one))) for one in errors if isinstance(one, dict))
            if any(isinstance(one, dict) and one.get("type") == "RATE_LIMITED" for one in errors):
                told = f"{self.line.name} answered for {self.line.project}: {words.rstrip('.')}."
                raise TemporaryError(told, hint="Run it again later.")
            raise GraphQLError(f"{self.line.name} answered for {self.line.project}: {words.rstrip('.')}.", words)
        return self._object(answer.get("data"), "GraphQL")

    def _asked(
        self, method: str, path: str, *, query: Mapping[str, object] | None = None, body: object = None
    ) -> tuple[Mapping[str, str], Any]:
        from github import GithubException

        headers = {"Accept": "application/vnd.github+json"}
        try:
            return self._requester.requestJsonAndCheck(method, path, _given(query), headers, input=body)
        except GithubException as error:
            raise self._judged(error, method, path) from error

    def _judged(self, error: GithubException, method: str, path: str) -> Exception:
        words = _words(error.data)
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        said = (
            f"{self.line.name} answered {error.status}{f' ({words})' if words else ''} for {self._what(method, path)}"
        )
        if error.status == 401:
            another = "It may have expired or been revoked: give another one by CI_GITOPS_TOKEN or --token-file."
            return DeniedError(f"{said}: it does not take {self._source}.", 401, hint=another)
        if error.status == 403:
            return DeniedError(f"{said}, asked with {self._source}.", 403, hint=_permission(headers))
        hint = _HIDDEN if error.status == 404 else _DOCTOR
        return AnswerError(f"{said}.", error.status, words, hint=hint)

    def _what(self, method: str, path: str) -> str:
        return asked_for(method, _PLACE.sub("", path), self.line.project)

    def _object(self, data: object, path: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise self._nonsense(path)
        return data

    def _nonsense(self, path: str) -> ForgeError:
        return ForgeError(
            f"{self.line.name} answered something else than GitHub does for {self._what('a call of', path)}.",
            hint="Is that its address? --forge-url names it.",
        )


def _requester(line: Line, auth: Auth | None) -> Requester:
    """PyGithub's own, whose connections are ours. They are those of a class: hence one class for each line."""
    from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

    made = session(line)
    made.auth = Requester.noopAuth

    class OverHttp(HTTPRequestsConnectionClass):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self.session = made

        def close(self) -> None:
            """The session is kept for the next request."""

    class OverHttps(HTTPSRequestsConnectionClass):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self.session = made

        def close(self) -> None:
            """The session is kept for the next request."""

    class OverLine(Requester):
        pass

    OverLine.injectConnectionClasses(OverHttp, OverHttps)
    return OverLine(
        auth=auth, base_url=line.base, timeout=int(line.seconds), user_agent=str(made.headers["User-Agent"]),
        per_page=PAGE, verify=True, retry=None, pool_size=None, api_version=API_VERSION,
    )  # fmt: skip


def reads(request: requests.PreparedRequest) -> bool:
    """A POST that changes nothing: a query of GraphQL."""
    if request.method != "POST" or not (request.path_url or "").endswith("/graphql"):
        return False
    try:
        return str(json.loads(request.body or b"")["query"]).lstrip().startswith("query")
    except (ValueError, KeyError, TypeError):
        return False


def _given(query: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _words(data: object) -> str:
    """What GitHub says of a refusal: its message, and those of each field."""
    if not isinstance(data, dict):
        return ""
    said = [str(data["message"])] if isinstance(data.get("message"), str) else []
    errors = data.get("errors")
    for one in errors if isinstance(errors, list) else [errors] if isinstance(errors, str) else []:
        if isinstance(one, str):
            said.append(one)
        elif isinstance(one, dict):
            said.append(str(one.get("message") or f"{one.get('field', '')} {one.get('code', '')}".strip()))
    return clean("; ".join(part.strip().rstrip(".") for part in said if part.strip()))[:500]


def _permission(headers: Mapping[str, str]) -> str:
    """What must be granted; GitHub says so itself."""
    if sso := headers.get("x-github-sso", ""):
        return f"The organisation asks for single sign-on: authorise the token for it ({clean(sso)[:200]})."
    scopes = headers.get("x-accepted-oauth-scopes", "")
    if wanted := headers.get("x-accepted-github-permissions", scopes):
        return f"Grant the token or workflow: {clean(wanted)[:200]}."
    return "Grant the token contents, pull requests, statuses and deployments (write) and checks (read)."
