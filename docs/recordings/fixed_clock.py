"""`ci-gitops` under a clock that stands still, so that a recording is the same whenever it is made.

    RECORDING_TIME=2026-11-16T09:30:00+00:00 python -m docs.recordings.fixed_clock deploy --environment staging

What waits goes on waiting for real: only what is written down as a date is fixed. A simulated cluster moves on from
that moment, and makes its names from a number that is always the same.
"""

from __future__ import annotations

import datetime as dates
import os
import time
import uuid
from typing import Any

_Real = dates.datetime
_MOMENT = _Real.fromisoformat(os.environ["RECORDING_TIME"])
_BEGAN = time.monotonic()


class _Kind(type):
    """What C code makes is of the real class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Real)


class _Fixed(_Real, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dates.tzinfo | None = None) -> Any:
        return _MOMENT.astimezone(tz)


def _fix() -> None:
    dates.datetime = _Fixed  # type: ignore[misc]
    time.time = _MOMENT.timestamp
    uuid.uuid4 = lambda: uuid.UUID(int=7)
    from ci_gitops.adapters.cluster.simulated import cluster

    cluster.Clock.now = lambda self: _MOMENT.timestamp() + time.monotonic() - _BEGAN  # type: ignore[method-assign]


if __name__ == "__main__":
    _fix()
    from ci_gitops.cli import main

    main()
