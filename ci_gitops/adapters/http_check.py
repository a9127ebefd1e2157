"""One question to an application over HTTP, bounded in every direction: time, redirects, bytes.

An address may hold a user and password, which are sent to that host alone; neither they nor its query are shown.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from ci_gitops.adapters.certificates import tls_context
from ci_gitops.core.hosts import origin
from ci_gitops.core.text import plain
from ci_gitops.errors import TemporaryError
from ci_gitops.masking import register_login

_SECONDS = 10.0
_REDIRECTS = 5
_BODY = 2048
_SHOWN = 200
_MOVED = frozenset({301, 302, 303, 307, 308})
_USER_AGENT = "ci-gitops"


@dataclass(frozen=True, slots=True)
class Answer:
    """The status that was answered, where redirects led, and the first line of what it said."""

    status: int
    place: str  # fit to be shown
    said: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """An address without the login that it may have held."""

    url: str
    login: tuple[str, str] | None = None

    @classmethod
    def of(cls, written: str) -> Address:
        parts = urlsplit(written)
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        if not parts.username and not parts.password:
            return cls(bare)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        register_login(user, password)
        return cls(bare, (user, password))

    def __str__(self) -> str:
        return shown(self.url)


def shown(url: str) -> str:
    """An address as messages have it: a query may hold a token."""
    parts = urlsplit(url)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return plain(bare)[:_SHOWN] + ("?…" if parts.query else "")


def ask(
    address: Address, *, expect: int = 200, ca_file: Path | None = None,
    proxy: Callable[[str], str | None] = lambda _: None, seconds: float = _SECONDS, same_host: bool = False,
) -> Answer:  # fmt: skip
    """What the application answers; redirects are followed unless one is expected. TemporaryError: it does not.

    `same_host`: what another host says is no answer.
    """
    told: queue.SimpleQueue[Answer | TemporaryError] = queue.SimpleQueue()

    def run() -> None:
        try:
            with TimeLimit(seconds):
                told.put(_followed(address, expect, ca_file, proxy, seconds, same_host))
        except TemporaryError as error:
            told.put(error)
        except ValueError as error:  # it sends us to what is no address
            told.put(TemporaryError(f"{address} names an address that is none: {plain(str(error))}."))

    from ci_gitops.adapters.time_limit import TimeLimit

    # In a thread, since finding a name's address takes as long as it takes.
    threading.Thread(target=run, daemon=True, name="check").start()
    try:
        answer = told.get(timeout=seconds)
    except queue.Empty:
        answer = _late(str(address), seconds)
    if isinstance(answer, TemporaryError):
        raise answer
    return answer


def _followed(
    address: Address, expect: int, ca_file: Path | None, proxy: Callable[[str], str | None], seconds: float,
    same_host: bool,
) -> Answer:  # fmt: skip
    url = address.url
    for _ in range(_REDIRECTS + 1):
        login = address.login if origin(url) == origin(address.url) else None
        answer, location = _one(url, login, ca_file, proxy(url), seconds)
        if answer.status not in _MOVED or answer.status == expect or not location:
            return answer
        url = urljoin(url, location)
        if urlsplit(url).scheme not in ("http", "https"):
            raise TemporaryError(f"{address} sends us to {shown(url)}, which is no web address.")
        if same_host and urlsplit(url).hostname != urlsplit(address.url).hostname:
            raise TemporaryError(f"{address} sends us to {shown(url)}, which is another host; that is not followed.")
    raise TemporaryError(f"{address} sends us on more than {_REDIRECTS} times.")


def _one(
    url: str, login: tuple[str, str] | None, ca_file: Path | None, proxy: str | None, seconds: float
) -> tuple[Answer, str]:
    import urllib3

    from ci_gitops.adapters.time_limit import limited, running

    context = tls_context(ca_file)
    headers = {"User-Agent": _USER_AGENT, "Accept": "*/*", "Connection": "close"}
    if login:
        headers |= urllib3.make_headers(basic_auth=":".join(login))
    manager = urllib3.ProxyManager(proxy, ssl_context=context) if proxy else urllib3.PoolManager(ssl_context=context)
    with limited(manager):
        try:
            answer = manager.request(
                "GET", url, headers=headers, redirect=False, retries=False, preload_content=False,
                timeout=urllib3.Timeout(total=seconds),
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            if running().over:
                raise _late(shown(url), seconds) from error
            raise TemporaryError(f"{shown(url)} does not answer: {_reason(error)}.") from error
        try:
            said = answer.read(_BODY, decode_content=False).decode(errors="replace")
        except urllib3.exceptions.HTTPError:
            said = ""  # the status is what counts
        finally:
            answer.close()
        if running().over:
            raise _late(shown(url), seconds)
        first = next((line.strip() for line in plain(said).splitlines() if line.strip()), "")
        return Answer(answer.status, shown(url), first[:_SHOWN]), answer.headers.get("Location", "")


def _late(what: str, seconds: float) -> TemporaryError:
    return TemporaryError(f"{what} did not answer within {seconds:g} s.")


def _reason(error: Exception) -> str:
    """The innermost words of urllib3's nested errors."""
    words = str(getattr(error, "reason", None) or error) or type(error).__name__
    return plain(re.sub(r"^(?:<[^>]*>|HTTPS?Connection\([^)]*\)): ", "", words)).rstrip(".")
