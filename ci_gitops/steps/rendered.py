"""What targets declare at a revision, rendered: all of a pass at once, and single ones of the past when asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.tree import laid_out
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, RenderError
from ci_gitops.run import Run
from ci_gitops.steps.rendering import render_target, say_level
from ci_gitops.steps.workplace import Workplace


class RenderedSets:
    """The rendered sets of one environment. `level` is that of the box around the renderers."""

    def __init__(self, run: Run, place: Workplace, destination: Callable[[Target], Cluster]) -> None:
        self._run = run
        self._place = place
        self._destination = destination
        self.level = say_level(run, place.settings).name

    def of(self, targets: Sequence[Target]) -> dict[Target, tuple[Manifest, ...] | RenderError]:
        """What each target declares at the place's revision, or why it does not render."""
        found: dict[Target, tuple[Manifest, ...] | RenderError] = {}
        with laid_out(self._place.repository, self._place.revision) as tree:
            for target in targets:
                where = partial(self._destination, target)
                try:
                    found[target] = render_target(self._run, self._place.settings, tree, target, where)
                except RenderError as error:
                    found[target] = error
        return found

    def at(self, revision: str, target: Target) -> tuple[Manifest, ...]:
        """What a target declared at another revision, under the settings of now; nothing where that cannot be told."""
        where = partial(self._destination, target)
        try:
            fetched = self._place.repository.fetch(revision)
            with laid_out(self._place.repository, fetched) as tree:
                return render_target(self._run, self._place.settings, tree, target, where)
        except CiGitopsError as error:
            self._run.output.detail(f"{target} at {revision[:12]} cannot be rendered: {error.message}")
            return ()
