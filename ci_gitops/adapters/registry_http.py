"""Requests to one registry: authentication, redirects, bounds, and what each refusal means.

Credentials go to the registry and to the token server of the same organisation, nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import time
import urllib.parse
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci_gitops import __version__, masking
from ci_gitops.adapters.certificates import tls_context
from ci_gitops.adapters.patience import LONGEST_REQUEST, TRIES, AwayError, persist
from ci_gitops.adapters.registry_errors import certificate_error, login_error
from ci_gitops.adapters.registry_login import DOCKER_HUB, Login
from ci_gitops.core.hosts import is_loopback, origin, proxy_for, same_organisation
from ci_gitops.errors import CiGitopsError, RegistryError

if TYPE_CHECKING:
    import urllib3

SECONDS = 20.0  # without a byte
_MOST_REDIRECTS = 5
_TOKEN_LIMIT = 256 * 1024
_PARAMETER = re.compile(r'([a-zA-Z_]+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class RegistryHttp:
    """The HTTP side of one registry."""

    host: str  # as in image references: `registry.example.com:5000`, `docker.io`
    login: Login | None = None
    ca_file: Path | None = None
    insecure: bool = False  # take any certificate, or none
    environ: Mapping[str, str] = field(default_factory=dict)  # for proxies
    trusted_hosts: tuple[str, ...] = ()  # token servers that may see the credentials although they are elsewhere
    scheme: str | None = None  # https or http; None is found out
    tries: int = TRIES
    longest: float = LONGEST_REQUEST  # seconds for one request, with all that it takes
    tell: Callable[[str], None] = lambda _: None
    wait: Callable[[float], None] = time.sleep
    _pools: dict[str | None, urllib3.PoolManager] = field(default_factory=dict)  # proxy -> connections
    _authorization: dict[str, str] = field(default_factory=dict)  # scope -> header

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        limit: int = _TOKEN_LIMIT,
        missing_ok: bool = False,
    ) -> Answer | None:
        """One request, with the login's authority for `scope`. None: not there, where that is `missing_ok`.

        304 is an answer where the request asked for what is newer than an ETag.
        """

        def once() -> Answer:
            return self._authorized(method, path, scope, dict(headers or {}), limit)

        from ci_gitops.adapters.time_limit import TimeLimit

        try:
            with TimeLimit(self.longest) as time_limit:
                answer = persist(once, tell=self.tell, wait=self.wait, tries=self.tries, left=time_limit.left)
        except ValueError as error:  # of urllib.parse: `https://[`, a port that is none
            raise RegistryError(f"The registry {self.host} named an address that is none: {error}.") from error
        if answer.status == 404 and missing_ok:
            return None
        unchanged = answer.status == 304 and "If-None-Match" in (headers or {})
        if answer.status >= 300 and not unchanged:
            raise self._refusal(answer, path)
        return answer

    def _authorized(self, method: str, path: str, scope: str, headers: dict[str, str], limit: int) -> Answer:
        url = urllib.parse.urljoin(f"{self._base()}/", path)
        self._must_be_here(url)
        if scope in self._authorization:
            headers["Authorization"] = self._authorization[scope]
        answer = self._follow(method, url, headers, limit)
        if answer.status != 401:
            return answer
        # The first request without a token, or a token that ran out while an image was built.
        self._authorization.pop(scope, None)
        granted = self._authenticate(answer, scope)
        if granted is None or granted == headers.get("Authorization"):
            return answer
        self._authorization[scope] = headers["Authorization"] = granted
        return self._follow(method, url, headers, limit)

    def _must_be_here(self, url: str) -> None:
        if origin(url) != origin(self._base()):
            raise RegistryError(f"{self.host} sent us on to {url} for its own list; that is not followed.")

    # How to speak to it

    def _base(self) -> str:
        name = "registry-1.docker.io" if self.host == DOCKER_HUB else self.host
        if self.scheme is None:
            self.scheme = self._find_scheme(name)
        return f"{self.scheme}://{name}"

    def _find_scheme(self, name: str) -> str:
        """https; plain http where that is allowed and the port does not speak TLS."""
        if not (self.insecure or is_loopback(self.host)):
            return "https"
        import urllib3

        try:
            self._send("GET", f"https://{name}/v2/", {}, _TOKEN_LIMIT)
        except urllib3.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return "https"  # the request itself will say what is wrong with it
            return "http"
        except urllib3.exceptions.HTTPError:
            return "http"
        return "https"

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        import urllib3

        from ci_gitops.adapters.time_limit import limited

        proxy = proxy_for(url, self.environ)
        if proxy not in self._pools:
            context = tls_context(self.ca_file)
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            settings: dict[str, Any] = {
                "timeout": urllib3.Timeout(connect=SECONDS, read=SECONDS), "retries": False, "ssl_context": context,
                "headers": {"User-Agent": f"ci-gitops/{__version__}"},
            }  # fmt: skip
            manager = urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
            self._pools[proxy] = limited(manager)
        return self._pools[proxy]

    def _follow(self, method: str, url: str, headers: Mapping[str, str], limit: int) -> Answer:
        """Send, and follow redirects; other hosts (blob stores) get no credentials."""
        here, sent = url, dict(headers)
        for _ in range(_MOST_REDIRECTS):
            answer = self._try(method, here, sent, limit)
            location = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308) or not location:
                return answer
            there = urllib.parse.urljoin(here, location)
            if urllib.parse.urlsplit(there).scheme not in ("https", self.scheme):
                raise RegistryError(f"{self.host} sent us on to {there}, which is not encrypted; that is not followed.")
            if origin(there) != origin(here):
                sent.pop("Authorization", None)
            here = there
        raise RegistryError(f"{self.host} sent us on {_MOST_REDIRECTS} times for {url}.")

    def _try(self, method: str, url: str, headers: Mapping[str, str], limit: int, form: str | None = None) -> Answer:
        """One exchange. Trouble that may pass is an AwayError."""
        import urllib3

        try:
            answer = self._send(method, url, headers, limit, form)
        except urllib3.exceptions.HTTPError as error:
            raise self._trouble(url, error) from error
        if answer.status == 429 or answer.status >= 500:
            raise AwayError(
                f"The registry {self.host} answered {answer.status}{_said(answer)}.",
                retry_after=_seconds(answer.headers.get("Retry-After", "")),
            )
        return answer

    def _send(self, method: str, url: str, headers: Mapping[str, str], limit: int, form: str | None = None) -> Answer:
        import urllib3

        from ci_gitops.adapters.time_limit import TooLongError, running

        with warnings.catch_warnings():
            # --insecure-registry asked for exactly that.
            warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
            response = self._pool_for(url).request(
                method, url, headers=dict(headers), body=form, preload_content=False, redirect=False
            )
        try:
            body = running().read(response, limit)
        except TooLongError as error:
            raise RegistryError(f"The registry {self.host} answered more than {limit} bytes for {url}.") from error
        response.release_conn()
        return Answer(response.status, response.headers, body)

    def _trouble(self, url: str, error: Exception) -> CiGitopsError:
        import urllib3

        from ci_gitops.adapters.time_limit import running

        if (limit := running()).over:
            return AwayError(
                f"The registry {self.host} did not end its answer for {_bare(url)} within {limit.seconds:g} s: "
                f"{limit.how_far()}.",
                hint="Run this again when it answers faster; `ci-gitops doctor` tells how it does.",
            )
        if isinstance(error, urllib3.exceptions.LocationParseError | urllib3.exceptions.LocationValueError):
            return RegistryError(f"{url} is not an address.")
        if isinstance(error, urllib3.exceptions.SSLError) or "SSL" in str(error) or "CERTIFICATE" in str(error):
            return certificate_error(self.host, str(error))
        return AwayError(
            f"The registry {self.host} cannot be reached: {_reason(error)}.",
            hint="Run this again when it answers; `ci-gitops doctor` tells whether it does, and by which settings.",
        )

    # Who we are

    def _authenticate(self, answer: Answer, scope: str) -> str | None:
        """The Authorization header that the registry's challenge asks for; None where we have nothing to show."""
        challenge = answer.headers.get("WWW-Authenticate", "")
        kind = challenge.split(" ", 1)[0].lower()
        if kind == "basic":
            return f"Basic {self.login.basic}" if self.login and self.login.user else None
        if kind != "bearer":
            return None
        parameters = {found[1].lower(): found[2] or found[3] or "" for found in _PARAMETER.finditer(challenge)}
        return f"Bearer {self._token(parameters, scope)}"

    def _token(self, parameters: Mapping[str, str], scope: str) -> str:
        """https://distribution.github.io/distribution/spec/auth/token/"""
        realm = parameters.get("realm", "")
        self._check_realm(realm)
        fields = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or scope}
        if self.login and self.login.identity_token:
            answer = self._exchange(realm, fields, self.login.identity_token)
        else:
            headers = {"Authorization": f"Basic {self.login.basic}"} if self.login else {}
            separator = "&" if "?" in realm else "?"
            query = urllib.parse.urlencode({name: value for name, value in fields.items() if value})
            answer = self._follow("GET", f"{realm}{separator}{query}", headers, _TOKEN_LIMIT)
        if answer.status != 200:
            raise self._refusal(answer, realm)
        with contextlib.suppress(ValueError, AttributeError, RecursionError):
            document = json.loads(answer.body)
            token = document.get("token") or document.get("access_token")
            if isinstance(token, str) and token:
                masking.register(token)
                return token
        raise RegistryError(f"The token server {realm} of {self.host} answered without a token.")

    def _exchange(self, realm: str, fields: Mapping[str, str], identity_token: str) -> Answer:
        """An identity token is exchanged by POST (https://distribution.github.io/distribution/spec/auth/oauth/)."""
        form = {**fields, "grant_type": "refresh_token", "client_id": "ci-gitops", "refresh_token": identity_token}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._try("POST", realm, headers, _TOKEN_LIMIT, urllib.parse.urlencode(form))

    def _check_realm(self, realm: str) -> None:
        parts = urllib.parse.urlsplit(realm)
        if parts.scheme != "https" and not (parts.scheme == "http" and self.scheme == "http"):
            raise RegistryError(
                f"The registry {self.host} wants credentials sent to {realm!r}, which is not encrypted."
            )
        if self.login is None or same_organisation(self._base(), realm):
            return
        if (parts.hostname or "") not in self.trusted_hosts:
            raise RegistryError(
                f"The registry {self.host} wants the credentials of {self.login.source} sent to {parts.hostname}, "
                "which is another organisation's host; they were not sent."
            )

    def _refusal(self, answer: Answer, path: str) -> CiGitopsError:
        if answer.status in (401, 403):
            return login_error(self.host, self.login, f"{answer.status}{_said(answer)}")
        return RegistryError(f"The registry {self.host} answered {answer.status}{_said(answer)} for {path}.")


def _said(answer: Answer) -> str:
    """The registry's own words, from the error document of the specification."""
    try:
        errors = json.loads(answer.body)["errors"]
        words = "; ".join(str(error.get("message") or error.get("code")) for error in errors[:3])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return f" ({words[:300]})" if words else ""


def _seconds(header: str) -> float | None:
    """A Retry-After in seconds; a date counts as too long to wait for."""
    if not header:
        return None
    return float(header) if header.isdigit() else float("inf")


def _bare(url: str) -> str:
    """Without its query, which may be a key to a blob."""
    return url.partition("?")[0]


def _reason(error: Exception) -> str:
    text = re.sub(r"^(?:.*?>|\w+\(host=[^)]*\)): ", "", str(error))
    return text.split("(Caused by")[0].strip().rstrip(".") or type(error).__name__
