"""How long to wait before another try: spread out, growing, bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_FIRST = 0.25  # seconds: about one fetch and push
_LONGEST = 8.0


def race_pauses(uniform: Callable[[float, float], float]) -> Iterator[float]:
    """Seconds to wait after each lost race, without an end.

    `uniform(a, b)` draws a number. The window doubles up to 8 s: many writers on one branch need room in
    proportion to their number, and a loser does not know it. The wait stands before the fetch, so that what
    follows (fetch, edit, push) is as short as it can be.
    """
    window = _FIRST
    while True:
        yield uniform(0.0, window)
        window = min(window * 2, _LONGEST)
