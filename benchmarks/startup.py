"""What every call pays: `--help` against a bare Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks import Row, in_turns, process


def measure() -> Iterator[Row]:
    bare = process(sys.executable, "-c", "pass")
    ours, theirs = in_turns(process(sys.executable, "-m", "ci_gitops", "--help"), bare, times=15)
    yield Row("--help", ours, bound=0.1)
    yield Row("--help, against Python alone", ours, theirs)
