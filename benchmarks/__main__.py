"""`make bench [ARGS=name…]`: run the measurements, print ratios and medians, fail where a bound is passed."""

from __future__ import annotations

import pkgutil
import statistics
import sys
from collections.abc import Sequence
from importlib import import_module

import benchmarks
from benchmarks import Row
from ci_gitops.output import Output, table


def main(chosen: Sequence[str]) -> int:
    modules = [found.name for found in pkgutil.iter_modules(benchmarks.__path__) if found.name != "__main__"]
    rows: list[Row] = []
    for name in chosen or modules:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += import_module(f"benchmarks.{name}").measure()
    header = ("measured", "ours", "theirs", "ratio", "bound", "")
    print(Output().render(table(header, [cells(row) for row in rows])))
    return 0 if all(row.holds for row in rows) else 1


def cells(row: Row) -> tuple[str, ...]:
    theirs = f"{statistics.median(row.theirs):.3f} s" if row.theirs else "-"
    ratio = f"{row.figure:.2f}" if row.theirs else "-"
    bound = "-" if row.bound is None else f"{row.bound:g}" + ("" if row.theirs else " s")
    return (row.name, f"{statistics.median(row.ours):.3f} s", theirs, ratio, bound, "ok" if row.holds else "MISSED")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
