"""The one way to a forge's server: bounded, patient, and sure of what it does not know.

Both provider libraries speak through a `requests` session. Their own retries sleep as long as a server asks and
repeat a POST whose answer was lost; so they are off, and the session that they are given has this adapter:

- A read is tried three times. A write is repeated only where the server surely has not taken it (no connection, or
  a refusal for the rate); otherwise LostAnswerError says that nobody knows, and the caller looks before it acts.
- `Retry-After` and rate limits are obeyed up to 60 s; a longer wait ends the run as temporary at once.
- Nothing is sent to another origin: credentials are headers that `requests` would carry along.
- An answer that should be JSON and is not (a proxy's sign-in page) is no answer.
"""

from __future__ import annotations

import email.utils
import io
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from ci_gitops import __version__
from ci_gitops.adapters.certificates import tls_context
from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.patience import LONGEST_REQUEST, TRIES, AwayError, persist
from ci_gitops.adapters.time_limit import TimeLimit, TooLongError, limited, running
from ci_gitops.core.hosts import origin, proxy_for
from ci_gitops.errors import CiGitopsError, ForgeError, TemporaryError
from ci_gitops.output import clean

SECONDS = 20.0  # without a byte
#: GitHub's secondary limits may come without a time; "wait for at least one minute" is its rule then:
#: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
_UNSAID = 60.0
_LATER = "Run it again later."
#: What is always true of us: a call that may have been done is looked for before it is made again.
LOOKS_FIRST = "Run it again: it looks first whether that was done."
_MOST_BYTES = 64 * 1024 * 1024
_T = TypeVar("_T")
_READS = ("GET", "HEAD", "OPTIONS")
_MOVED = (301, 302, 303, 307, 308)


class LostAnswerError(TemporaryError):
    """A write was sent, and nobody knows whether it was done: look before doing it again."""


@dataclass(frozen=True, slots=True)
class Line:
    """How one forge's server is reached, and on whose clock."""

    name: str  # for messages: `GitLab at https://gitlab.example.com`
    base: str  # its address; nothing is sent to another scheme, host or port
    project: str = ""  # for messages
    ca_file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)  # for proxies
    tell: Callable[[str], None] = lambda _: None
    wait: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time  # rate limits name an hour of the clock
    clock: Callable[[], float] = time.monotonic
    seconds: float = SECONDS
    tries: int = TRIES
    longest: float = LONGEST_REQUEST  # seconds for one request, with all that it takes
    reads: Callable[[requests.PreparedRequest], bool] | None = None  # others that change nothing, by POST


def asked_for(method: str, path: str, project: str) -> str:
    """What was asked, of which project, for messages."""
    named = f"/{project}".lower() in path.lower()
    return clean(f"{method} {path}" if named or not project else f"{method} {path} of {project}")


def until_known(
    do: Callable[[], _T], look: Callable[[], _T | None], *, wait: Callable[[float], None], tries: int = TRIES
) -> _T:
    """`do()`; after a lost answer what `look()` finds of it, and only where that is None again."""
    pause = 1.0
    for attempt in range(1, tries + 1):
        try:
            return do()
        except LostAnswerError:
            wait(pause)  # what was taken may take a moment to show
            pause *= 3
            found = look()
            if found is not None:
                return found
            if attempt == tries:
                raise
    raise AssertionError("tries must be at least 1")


def line_to(site: Site, name: str, base: str | None = None) -> Line:
    """The line to a site's API; `base` is its address where that is not the server's."""
    return Line(
        f"{name} at {site.server}", base or site.server, site.project, site.ca_file, site.environ, site.tell,
        site.wait, site.now, site.clock, site.seconds,
    )  # fmt: skip


def session(line: Line) -> requests.Session:
    """A session for a provider's library, that goes nowhere but over `line`."""
    made = requests.Session()
    made.trust_env = False  # proxies and certificates are the run's, and no .netrc adds credentials
    made.headers["User-Agent"] = f"ci-gitops/{__version__}"
    adapter = PatientAdapter(line)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made


class PatientAdapter(HTTPAdapter):
    """Sends what a library has prepared, as the rules at the top of this module say."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        # Nothing is sent to another origin, so a plain one needs no authorities; reading them all takes a while.
        context = tls_context(self._line.ca_file) if self._line.base.startswith("https:") else None
        super().init_poolmanager(*arguments, ssl_context=context, **settings)
        limited(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **settings: Any) -> Any:
        context = tls_context(self._line.ca_file)
        return limited(super().proxy_manager_for(proxy, ssl_context=context, **settings))

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The authorities are those of the context; nothing else is added, and nothing is left unchecked."""

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None, verify: Any = True,
        cert: Any = None, proxies: Any = None,
    ) -> requests.Response:  # fmt: skip
        line = self._line
        if origin(request.url or "") != origin(line.base):
            raise ForgeError(
                f"{line.name} sent us on to {clean(request.url or '')}, which is another place; that is not followed.",
                hint="If the server has moved, give its new address: --forge-url or CI_GITOPS_FORGE_URL.",
            )
        with TimeLimit(line.longest) as limit:
            return persist(
                lambda: self._once(request), tell=line.tell, wait=line.wait, tries=line.tries, left=limit.left
            )

    def _once(self, request: requests.PreparedRequest) -> requests.Response:
        try:
            response = self._exchanged(request)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, requests.exceptions.SSLError) and not running().over:
                raise self._untrusted(error) from error
            reason = self._trouble(request, error)
            if _never_sent(error):
                raise AwayError(reason, hint=_LATER) from error
            raise self._unsure(request, reason) from error
        self._judge(request, response)
        return response

    def _trouble(self, request: requests.PreparedRequest, error: Exception) -> str:
        name, what, limit = self._line.name, self._asked(request), running()
        if limit.over:
            return f"{name} did not end its answer to {what} within {limit.seconds:g} s: {limit.how_far()}."
        return f"{name} cannot be reached for {what}: {_reason(error)}."

    def _exchanged(self, request: requests.PreparedRequest) -> requests.Response:
        """The answer with its whole body, which must come within the bounds."""
        line = self._line
        url = request.url or ""
        proxy = proxy_for(url, line.environ)
        response = super().send(
            request, stream=True, timeout=(line.seconds, line.seconds), verify=True,
            proxies={url.split(":", 1)[0]: proxy} if proxy else {},
        )  # fmt: skip
        try:
            body = running().read(response.raw, _MOST_BYTES)
        except TooLongError as error:
            raise requests.exceptions.ChunkedEncodingError(f"the answer exceeds {_MOST_BYTES} bytes") from error
        response.raw.release_conn()
        response.raw = io.BytesIO(body)  # what the library reads
        return response

    def _judge(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        """Raise what is no answer to decide on; an error with a meaning of its own goes to the caller."""
        status, what = response.status_code, self._asked(request)
        said = f"{self._line.name} answered {status}"
        asked = _asked_to_wait(response, self._line.now())
        if status == 403 and asked is None and b"rate limit" in response.content[:2000].lower():
            asked = _UNSAID
        if status == 429 or (status == 403 and asked is not None):
            limit = f"{said} for {what}: too many requests{f'; it asks to wait {asked:.0f} s' if asked else ''}."
            raise AwayError(limit, hint=_LATER, retry_after=asked)
        if status >= 500 or status == 408:
            raise self._unsure(request, f"{said} ({response.reason}) for {what}.", asked)
        if status in _MOVED and request.method not in _READS:
            there = clean(response.headers.get("Location", "another place"))
            raise ForgeError(
                f"{self._line.name} sent us on to {there} for {what}; a change is not sent on.",
                hint="Give the address that it has now: --forge-url, or the repository's in --repo.",
            )
        if status < 300 and not _is_json(response):
            raise self._no_json(request, response)

    def _no_json(self, request: requests.PreparedRequest, response: requests.Response) -> CiGitopsError:
        kind = response.headers.get("Content-Type", "no type").split(";")[0]
        got = "JSON that breaks off" if "json" in kind else f"{clean(kind)}, which is no JSON,"
        what = f"{self._line.name} answered {got} for {self._asked(request)}"
        hint = "Is that its address (--forge-url)? A proxy or a sign-in page in between answers like this, too."
        if self._changes_nothing(request):
            return ForgeError(f"{what}.", hint=hint)
        return LostAnswerError(f"{what}; whether it was done is not known.", hint=hint)

    def _unsure(
        self, request: requests.PreparedRequest, reason: str, retry_after: float | None = None
    ) -> CiGitopsError:
        if self._changes_nothing(request):
            return AwayError(reason, hint=_LATER, retry_after=retry_after)
        return LostAnswerError(f"{reason} Whether the {request.method} was done is not known.", hint=LOOKS_FIRST)

    def _asked(self, request: requests.PreparedRequest) -> str:
        path = urllib.parse.unquote(urllib.parse.urlsplit(request.url or "").path)
        return asked_for(request.method or "", path, self._line.project)

    def _changes_nothing(self, request: requests.PreparedRequest) -> bool:
        return request.method in _READS or bool(self._line.reads and self._line.reads(request))

    def _untrusted(self, error: Exception) -> CiGitopsError:
        return ForgeError(
            f"{self._line.name} shows a certificate that is not trusted: {_reason(error)}.",
            hint="Name the authority that signed it: --ca-file, or CI_SERVER_TLS_CA_FILE.",
        )


def _is_json(response: requests.Response) -> bool:
    """Nothing at all (204, HEAD), or JSON that can be read to its end."""
    if not response.content:
        return True
    try:
        json.loads(response.content)
    except ValueError:
        return False
    return True


def _asked_to_wait(response: requests.Response, now: float) -> float | None:
    """Seconds until the server wants to hear from us again; None where it says nothing of that."""
    headers = response.headers
    after = headers.get("Retry-After", "")
    if after.isdigit():
        return float(after)
    if after:
        date = email.utils.parsedate_to_datetime(after) if _is_date(after) else None
        return max(date.timestamp() - now, 0.0) if date else float("inf")
    spent = headers.get("X-RateLimit-Remaining") == "0" or response.status_code == 429
    reset = headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset") or ""
    return max(float(reset) - now, 0.0) if spent and reset.isdigit() else None


def _is_date(text: str) -> bool:
    return email.utils.parsedate_tz(text) is not None


def _never_sent(error: Exception) -> bool:
    """Whether there was no connection that the request could have gone over."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)


def _reason(error: Exception) -> str:
    """The innermost words: what urllib3 wraps around them names objects of its own."""
    cause: Any = error.args[0] if error.args else error
    cause = getattr(cause, "reason", None) or cause
    if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return "no answer came in time"
    text = (
        clean(str(cause)).split(": ", 1)[-1] if isinstance(cause, urllib3.exceptions.HTTPError) else clean(str(cause))
    )
    return text.split("(Caused by")[0].strip().rstrip(".") or type(error).__name__
