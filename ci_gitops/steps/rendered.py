"""What targets declare at a revision, rendered: all of a pass at once, and single ones of the past when asked.

What was rendered before of the same tree, under the same settings, with the same programs and in the same box, is taken
from the cache; the tree is laid out only for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path

from ci_gitops import __version__
from ci_gitops.adapters import render_cache
from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.render_cache import RenderCache
from ci_gitops.adapters.tree import laid_out
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.recipes import Recipe
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, RefusedError, RenderError
from ci_gitops.run import Run
from ci_gitops.steps.rendering import for_cluster, make, recipe_of, say_level
from ci_gitops.steps.workplace import Workplace

_CHART = "chart"  # kept in place of manifests: what the cluster can do counts too


class RenderedSets:
    """The rendered sets of one environment. `level` is that of the box around the renderers; `fresh`: no cache."""

    def __init__(
        self, run: Run, place: Workplace, destination: Callable[[Target], Cluster] | None = None, *, fresh: bool = False
    ) -> None:
        self._run = run
        self._place = place
        self._destination = destination
        self._fresh = fresh
        self._trees: dict[str, str] = {}  # by revision
        self.box = say_level(run, place.settings)
        self.level = self.box.name

    def of(self, targets: Sequence[Target]) -> dict[Target, tuple[Manifest, ...] | CiGitopsError]:
        """What each target declares at the place's revision, or why it does not render."""
        return self._rendered(self._place.revision, targets)

    def all(self, targets: Sequence[Target]) -> dict[Target, tuple[Manifest, ...]]:
        """The same where nothing is done unless all of them render."""
        found: dict[Target, tuple[Manifest, ...]] = {}
        for target, each in self.of(targets).items():
            if isinstance(each, CiGitopsError):
                raise each
            found[target] = each
        return found

    def at(self, revision: str, target: Target) -> tuple[Manifest, ...]:
        """What a target declared at another revision, under the settings of now; nothing where that cannot be told."""
        try:
            found = self._rendered(self._place.repository.fetch(revision), [target])[target]
            if isinstance(found, CiGitopsError):
                raise found
            return found
        except CiGitopsError as error:
            self._run.output.detail(f"{target} at {revision[:12]} cannot be rendered: {error.message}")
            return ()

    def _rendered(
        self, revision: str, targets: Sequence[Target]
    ) -> dict[Target, tuple[Manifest, ...] | CiGitopsError]:  # fmt: skip
        found: dict[Target, tuple[Manifest, ...] | CiGitopsError] = {}
        with ExitStack() as stack:
            tree: Path | None = None
            for target in targets:
                kept = self._kept(revision, target)
                if kept is not None:
                    found[target] = kept
                    continue
                tree = tree or stack.enter_context(laid_out(self._place.repository, revision))
                try:
                    found[target] = self._anew(revision, tree, target)
                except (RenderError, RefusedError) as error:
                    found[target] = error
        return found

    # The cache

    @cached_property
    def _cache(self) -> RenderCache | None:
        return None if self._fresh else RenderCache.open(self._run.environ)

    @cached_property
    def _around(self) -> list[object]:
        """What a rendering depends on besides the tree and the target."""
        level = [self.box.name, *self.box.parts]
        return [__version__, level, render_cache.programs(self._run.environ)]

    def _key(self, cache: RenderCache, revision: str, target: Target, recipe: Recipe, *, chart: bool = False) -> str:
        """A chart has two: one that says that it is one, and one with what its cluster is told to be."""
        if revision not in self._trees:
            self._trees[revision] = self._place.repository.tree_id(revision)
        return cache.key(self._around, self._trees[revision], target.path, asdict(recipe), chart)

    def _kept(self, revision: str, target: Target) -> tuple[Manifest, ...] | None:
        if self._cache is None:
            return None
        recipe = recipe_of(self._run, self._place.settings, target)
        found = self._cache.get(self._key(self._cache, revision, target, recipe))
        if found == _CHART:
            where = self._destination
            recipe = for_cluster(recipe, where(target)) if where else recipe
            found = self._cache.get(self._key(self._cache, revision, target, recipe, chart=True))
        if not isinstance(found, list):
            return None
        self._run.output.step(f"{target}: rendered before")
        return render_cache.manifests(found)

    def _anew(self, revision: str, tree: Path, target: Target) -> tuple[Manifest, ...]:
        settings = self._place.settings
        where = partial(self._destination, target) if self._destination else None
        made = make(self._run, settings, tree, target, where)
        if made.rendering.opened and where:
            _refuse_to_publish(target, where())
        if self._cache is not None and made.rendering.reusable:
            key = partial(self._key, self._cache, revision, target)
            self._cache.put(key(made.recipe, chart=made.chart), render_cache.documents(made.rendering.manifests))
            if made.chart:
                self._cache.put(key(recipe_of(self._run, settings, target)), _CHART)
        return made.rendering.manifests


def _refuse_to_publish(target: Target, destination: Cluster) -> None:
    """Secrets that are encrypted in Git are not written back into Git as they are."""
    if isinstance(destination, Directory) and destination.files.pushed:
        raise RefusedError(
            f"{target} holds what SOPS decrypted: it would be pushed in clear to {destination.files}.",
            hint="Let what reads that branch decrypt it (leave the files out of the target), or deploy to a cluster.",
        )
