"""The configuration's `checks`, asked after health: that the application works, not only that its pods run.

All are asked at the same time, each again and again until it passes, its time is over, or the run's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from ci_gitops.adapters.certificates import ca_file
from ci_gitops.adapters.http_check import Address, ask
from ci_gitops.core.app_checks import Checked
from ci_gitops.core.hosts import proxy_for
from ci_gitops.errors import TemporaryError
from ci_gitops.run import Run
from ci_gitops.steps.waiting import Clock

_SIDE_BY_SIDE = 8
_ONE = 10.0  # seconds for one answer
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


class Check(Protocol):
    """As the settings have it."""

    @property
    def http(self) -> str: ...
    @property
    def expect(self) -> int: ...
    @property
    def within(self) -> timedelta: ...


def run_checks(
    run: Run, checks: Sequence[Check], *, deadline: float, authority: Path | None = None, clock: Clock | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Checked, ...]:  # fmt: skip
    """How each check ended, in their order. `authority` is `--ca-file`; the environment's own count without it."""
    if not checks:
        return ()
    trusted = ca_file(run.environ, authority)
    one = partial(_check, run, trusted, deadline, clock or Clock(), sleep)
    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(checks))) as pool:
        return tuple(pool.map(one, checks))


def _check(
    run: Run, trusted: Path | None, deadline: float, clock: Clock, sleep: Callable[[float], None], check: Check
) -> Checked:
    address = Address.of(check.http)
    began = clock.monotonic()
    own = began + check.within.total_seconds()
    end, pause, tries = min(own, deadline), _FIRST_PAUSE, 0
    while True:
        tries += 1
        passed, message = _asked(run, address, check.expect, trusted, max(0.1, min(_ONE, end - clock.monotonic())))
        now = clock.monotonic()
        if passed:
            return Checked(str(address), "passed", message, tries, now - began)
        if now + pause >= end:
            return Checked(str(address), "failed" if own <= deadline else "late", message, tries, now - began)
        run.output.step(f"Check {address}: {message}; asked again for {end - now:.0f} s")
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _asked(run: Run, address: Address, expect: int, trusted: Path | None, seconds: float) -> tuple[bool, str]:
    try:
        answer = ask(address, expect=expect, ca_file=trusted, proxy=partial(proxy_for, environ=run.environ),
                     seconds=seconds)  # fmt: skip
    except TemporaryError as error:
        return False, error.message.removeprefix(f"{address} ").rstrip(".")
    if answer.status == expect:
        return True, f"answered {expect}"
    where = "" if answer.place == str(address) else f" at {answer.place}"
    said = f": {answer.said}" if answer.said else ""
    return False, f"answered {answer.status}{where}, not {expect}{said}"
