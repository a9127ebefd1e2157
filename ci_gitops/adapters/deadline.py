"""When a run's time is over: at its deadline, or when somebody stops it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time on a clock that only goes forwards, in its seconds."""

    end: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    stopped: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        return cls(clock() + seconds, clock)

    def now(self) -> float:
        """On its clock; past its end as soon as it was stopped."""
        return max(self.clock(), self.end) if self.stopped.is_set() else self.clock()

    def left(self) -> float:
        """Seconds until it is over; never negative."""
        return max(0.0, self.end - self.now())

    @property
    def over(self) -> bool:
        return self.left() == 0.0

    def stop(self) -> None:
        """Nothing more is waited for: the person or the CI system wants us to end."""
        self.stopped.set()

    def within(self, seconds: float) -> Deadline:
        """This deadline, or one `seconds` from now where that is sooner."""
        return Deadline(min(self.end, self.clock() + seconds), self.clock, self.stopped)
