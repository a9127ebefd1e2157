"""Requests to one API server: kept connections, bounds, what is tried again, and what is not.

Every request that brings no byte for 35 s ends, since the server's webhooks may take 30. What failed is tried three
times, and all trouble with the server together is given up after 100 s without one good answer. A request that was
sent and got no answer may have been carried out: it is sent again only where that does no harm.
"""

from __future__ import annotations

import json
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError, SSLError

from ci_gitops.adapters.cluster.kubernetes_errors import refusal, unauthorized
from ci_gitops.adapters.cluster.kubernetes_login import Grant, Login
from ci_gitops.adapters.patience import LONGEST_IN_ALL, AwayError, persist
from ci_gitops.core.text import plain
from ci_gitops.errors import CiGitopsError, ClusterError, TemporaryError

SILENCE = 35.0  # seconds without a byte
_CONNECT = 20.0
JSON = "application/json"
_ALERT = re.compile(r"(?i)\balert ((?:unknown ca|bad certificate|certificate \w+|unsupported certificate)\b)")
_WARNING = re.compile(r'\b299 \S+ "((?:[^"\\]|\\.)*)"')
_PERHAPS_DONE = (502, 504)  # a proxy or the server itself gave up on an answer


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `about` names the object in messages; `again` says that a second one like it does no harm."""

    method: str
    path: str
    query: Mapping[str, str | int] | None = None
    body: Any = None
    content: str = JSON
    accept: str = JSON
    about: str = ""
    again: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """`unsure`: a try before this one was sent and brought no answer, so it may have been carried out."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    unsure: bool = False

    def json(self) -> Any:
        return json.loads(self.body)


class LostError(TemporaryError):
    """A request was sent and brought no answer: nobody knows whether it was carried out."""


class BrokenError(TemporaryError):
    """A stream that had begun broke off."""


class _SilentError(AwayError):
    """The same, where sending it again does no harm."""


class Connection:
    """The HTTP side of one API server. Safe to use from several threads."""

    def __init__(
        self, login: Login, *, tell: Callable[[str], None] = lambda _: None,
        wait: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic,
        silence: float = SILENCE, patience: float = LONGEST_IN_ALL,
    ) -> None:  # fmt: skip
        self._login = login
        self._tell = tell
        self._wait, self._clock, self._silence = wait, clock, silence
        self._trouble = _Trouble(clock, patience)
        self._warned: set[str] = set()
        self.name = login.cluster

    def send(self, request: Request, *, allowed: tuple[int, ...] = ()) -> Answer:
        """The answer; ApiError where the server refuses, unless with a status in `allowed`."""
        unsure = False

        def once() -> Answer:
            nonlocal unsure
            try:
                answer = self._once(request)
            except _SilentError:
                unsure = True
                raise
            if answer.status >= 300 and answer.status not in allowed:
                if answer.status in _PERHAPS_DONE:
                    unsure = True
                raise self.refusal(request, answer)
            return answer

        answer: Answer = self._patiently(once)
        return replace(answer, unsure=unsure)

    def refusal(self, request: Request, answer: Answer) -> CiGitopsError:
        if answer.status in _PERHAPS_DONE and not request.again:
            return self._lost(request, f"answered {answer.status}")
        return refusal(self.name, answer.status, answer.headers, answer.body, request.about)

    def stream(self, request: Request) -> Iterator[bytes]:
        """The lines of an answer, as they come; BrokenError where the connection breaks or ends at once."""
        response, begun = self._patiently(lambda: self._opened(request)), self._clock()
        silent = True
        try:
            for line in _lines(response):
                silent = False
                yield line
        except (HTTPError, OSError) as error:
            raise BrokenError(f"{self.name} broke off {request.about}: {_reason(error)}.") from error
        finally:
            response.close()
        if silent and self._clock() - begun < 1:
            raise BrokenError(f"{self.name} ended {request.about} at once.")

    def ended(self, status: Mapping[str, Any], about: str) -> CiGitopsError:
        """What the server said in a stream when it ended it."""
        code = int(status.get("code") or 500)
        error = refusal(self.name, code, {}, json.dumps(status).encode(), about)
        return BrokenError(error.message) if isinstance(error, AwayError) else error

    def close(self) -> None:
        self._login.close()

    def _patiently(self, once: Callable[[], Any]) -> Any:
        def watched() -> Any:
            try:
                answer = once()
            except AwayError:
                self._trouble.note()
                raise
            self._trouble.over()
            return answer

        return persist(watched, tell=self._trouble.telling(self._tell), wait=self._wait, left=self._trouble.left)

    def _opened(self, request: Request) -> urllib3.BaseHTTPResponse:
        response = self._exchange(request)
        if response.status < 300:
            return response
        raise refusal(self.name, response.status, response.headers, response.read(), request.about)

    def _once(self, request: Request) -> Answer:
        response = self._exchange(request)
        try:
            body = response.read()
        except (HTTPError, OSError) as error:
            raise self._lost(request, _reason(error)) from error
        response.release_conn()
        self._warn(request, response.headers.getlist("Warning"))
        return Answer(response.status, response.headers, body)

    def _warn(self, request: Request, headers: Sequence[str]) -> None:
        """What the server warns of, each once: deprecated APIs, pods that a namespace's policy would not like
        (https://kubernetes.io/docs/reference/using-api/deprecation-policy/).
        """
        for text in (found[1] for header in headers for found in _WARNING.finditer(header)):
            if text not in self._warned:
                self._warned.add(text)
                said = plain(re.sub(r"\\(.)", r"\1", text))
                self._tell(f"{request.about}: {said}" if request.about else f"{self.name}: {said}")

    def _exchange(self, request: Request) -> urllib3.BaseHTTPResponse:
        """One request; a credential that ran out is had anew, once."""
        grant = self._login.grant()
        response = self._sent(request, grant)
        if response.status != 401:
            return response
        response.drain_conn()
        renewed = self._login.renew(grant)
        response = self._sent(request, renewed)
        if response.status == 401:
            response.drain_conn()
            raise unauthorized(self.name, self._login.source)
        return response

    def _sent(self, request: Request, grant: Grant) -> urllib3.BaseHTTPResponse:
        headers = grant.headers.copy()
        headers["Accept"] = request.accept
        data = None
        if request.body is not None:
            headers["Content-Type"] = request.content
            data = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
        query = f"?{urllib.parse.urlencode(request.query)}" if request.query else ""
        left = max(1.0, self._trouble.left())
        try:
            return grant.pool.request(
                request.method, f"{grant.host}{request.path}{query}", body=data, headers=headers,
                timeout=urllib3.Timeout(connect=min(_CONNECT, left), read=min(self._silence, left)),
                preload_content=False, redirect=False,
            )  # fmt: skip
        except (HTTPError, OSError) as error:
            raise self._failure(request, error) from error

    def _failure(self, request: Request, error: Exception) -> Exception:
        text = str(error)
        if alert := _ALERT.search(text):
            return ClusterError(
                f"{self.name} does not accept the client certificate of {self._login.source}: {alert[1]}.",
                hint="Has it run out, or is it of another cluster's authority?",
            )
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return _certificate(self.name, self._login.host, text)
        if isinstance(error, ProtocolError | ReadTimeoutError | SSLError):
            return self._lost(request, _reason(error))
        return AwayError(
            f"{self.name} cannot be reached: {_reason(error)}.",
            hint=f"By {self._login.source} it is at {self._login.host}.",
        )

    def _lost(self, request: Request, reason: str) -> TemporaryError:
        if request.again:
            return _SilentError(f"{self.name} gave no answer: {reason}.")
        about = request.about or f"{request.method} {request.path}"
        return LostError(
            f"{self.name} gave no answer to {about}: {reason}.",
            hint="It may have been carried out all the same; the next run looks first.",
        )


class _Trouble:
    """How long a server has given no good answer, over all threads, and what was said of it."""

    def __init__(self, clock: Callable[[], float], patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self._lock = Lock()
        self._since: float | None = None
        self._told: set[str] = set()

    def note(self) -> None:
        with self._lock:
            self._since = self._clock() if self._since is None else self._since

    def over(self) -> None:
        if self._since is not None:
            with self._lock:
                self._since = None
                self._told.clear()

    def left(self) -> float:
        """Seconds until the server is given up."""
        since = self._since
        return self._patience - (0.0 if since is None else self._clock() - since)

    def telling(self, tell: Callable[[str], None]) -> Callable[[str], None]:
        """Like `tell`, but what several threads meet at once is said once."""

        def once(text: str) -> None:
            with self._lock:
                known = text in self._told
                self._told.add(text)
            if not known:
                tell(text)

        return once


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(amt=None, decode_content=True):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)
    if rest:
        yield rest


def _certificate(cluster: str, host: str, text: str) -> ClusterError:
    said = re.sub(r"^.*(?:SSLCertVerificationError|SSLError)\(\d*,? ?|\(_ssl\.c.*$|['\")]+$", "", text).strip(" '\"")
    return ClusterError(
        f"{cluster}: the certificate of {host} is not trusted: {plain(said)}",
        hint="`certificate-authority-data` of the kubeconfig's cluster must hold the authority that signed it.",
    )


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = re.sub(r"^.*?>: |^\w+\(host=.*?\): ", "", str(reason)).strip("() ")
    return plain(text).rstrip(".") or type(error).__name__
