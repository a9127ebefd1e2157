"""How long to wait before another try: spread out, growing, bounded."""

from __future__ import annotations

from collections.abc import Callable

_SHORTEST = 0.1  # seconds: less than one fetch and push takes
_LONGEST = 20.0


def race_pause(losses: int, took: float, uniform: Callable[[float, float], float]) -> float:
    """Seconds to wait after the `losses`-th lost race (1 is the first), when that attempt took `took` seconds.

    Among many writers of one branch at most one wins in the time that an attempt takes. So the window in which
    the losers spread out is measured in attempts, and doubles with each loss: a busy server or machine, which
    makes attempts long, widens it by itself. `uniform(a, b)` draws a number.
    """
    window = min(max(took, _SHORTEST) * 2.0**losses, _LONGEST)
    return uniform(0.0, window)
