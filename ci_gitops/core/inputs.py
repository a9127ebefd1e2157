"""What each target is rendered from: a change is judged by every environment that it can reach, and by no other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ci_gitops.core.targets import Target

_CHART = "Chart.yaml"


@dataclass(frozen=True, slots=True)
class Inputs:
    """By target the files that it is rendered from, with the links on their way; of one that is missing nobody knows.

    `others` are values files beside its chart that other targets alone are rendered with.
    """

    reads: Mapping[Target, Collection[str]] = field(default_factory=dict)
    others: Mapping[Target, Collection[str]] = field(default_factory=dict)

    def touches(self, target: Target, path: str) -> bool:
        """Whether a change of the file `path` may change what the target renders to.

        What is new counts where it lies in the target's folder, or in a chart, all of whose files are rendered.
        """
        reads = self.reads.get(target, ())
        if path in reads:
            return True
        if path in self.others.get(target, ()):
            return False
        return target.holds(path) or any(path.startswith(chart) for chart in _charts(reads))


def _charts(reads: Iterable[str]) -> Iterable[str]:
    return (path.removesuffix(_CHART) for path in reads if path == _CHART or path.endswith(f"/{_CHART}"))
