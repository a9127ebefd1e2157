"""Trying again, with a bound: three tries, a little longer between each, and never past what a server asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ci_gitops.errors import TemporaryError

TRIES = 3
LONGEST_WAIT = 60.0  # seconds that a server's Retry-After may ask for
LONGEST_IN_ALL = 100.0  # seconds of waiting for one server
LONGEST_REQUEST = 180.0  # seconds for one request with its redirects, logins, tries and waits
_FIRST_WAIT = 1.0
_GROWTH = 4.0

Answer = TypeVar("Answer")


class AwayError(TemporaryError):
    """Trouble that may pass; `retry_after` is what the server asked for, in seconds."""

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


def persist(
    call: Callable[[], Answer],
    *,
    tell: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
    tries: int = TRIES,
    left: Callable[[], float] | None = None,
) -> Answer:
    """`call()`, again after an AwayError; the last one, or one that asks for too long a wait, is raised.

    `left` says for how many seconds more there may be trouble, where others wait for the same server.
    """
    pause, waited = _FIRST_WAIT, 0.0
    for attempt in range(1, tries + 1):
        try:
            return call()
        except AwayError as error:
            asked = error.retry_after or 0.0
            pause = max(pause, asked)
            waited += pause
            patient = waited <= LONGEST_IN_ALL and (left is None or pause < left())
            if attempt == tries or asked > LONGEST_WAIT or not patient:
                raise
            tell(f"{error.message} Try {attempt} of {tries}; again in {pause:.0f} s.")
            wait(pause)
            pause *= _GROWTH
    raise AssertionError("tries must be at least 1")
