"""Side-by-side measurements against the tools that people use today.

Each module here has `measure() -> Iterable[Row]`; `make bench` runs them all and prints one table.
Whole processes are measured, in turns (ours, theirs, ours, …), and medians are compared.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: seconds of our runs, and of theirs or None; `bound` is the most that the ratio may be.

    Without `theirs`, `bound` is in seconds.
    """

    name: str
    ours: Sequence[float]
    theirs: Sequence[float] | None = None
    bound: float | None = None

    @property
    def figure(self) -> float:
        """What `bound` limits: the ratio of the medians, or our median alone."""
        own = statistics.median(self.ours)
        return own / statistics.median(self.theirs) if self.theirs else own

    @property
    def holds(self) -> bool:
        return self.bound is None or self.figure <= self.bound


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def process(*argv: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Callable[[], object]:
    """An action that runs a program, which must succeed."""
    words = [str(word) for word in argv]
    return lambda: subprocess.run(words, cwd=cwd, env=env, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], times: int = 5
) -> tuple[list[float], list[float]]:
    """Each action once to warm up, then `times` times, one after the other."""
    ours()
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(times)]
    return [own for own, _ in pairs], [other for _, other in pairs]
