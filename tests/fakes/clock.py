"""A clock that moves only when somebody sleeps on it, so that an hour's wait is tested in a millisecond."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Clock:
    time: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.time += seconds
