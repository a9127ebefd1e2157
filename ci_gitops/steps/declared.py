"""What a call of the Deploy Operator is about: which revision, which targets, rendered how, living where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ci_gitops.adapters.cluster.base import Destination
from ci_gitops.adapters.cluster.folder_writer import FolderWriter
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.git import find_checkout, uncommitted
from ci_gitops.adapters.tree import laid_out
from ci_gitops.core.manifests import Manifest, in_apply_order
from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted
from ci_gitops.errors import GitError, UsageError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.locate import Place, find_place
from ci_gitops.steps.rendering import render_target, say_level
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces

_FOLDER = "dir:"
_HEAD = "HEAD"  # of the checkout that we stand in


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The options of `commands/target_options.py`, as the command line gives them."""

    environment: str | None = None
    apps: tuple[str, ...] = ()
    repo: str | None = None
    branch: str | None = None
    revision: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    destination: str | None = None
    record_namespace: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None

    @property
    def reach(self) -> Reach:
        return Reach(self.repo, self.branch, self.ca_file, self.token_file)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A target and the objects that it declares, in the order to apply."""

    target: Target
    manifests: tuple[Manifest, ...] = field(repr=False)


def declared_at(places: Workplaces, ask: Ask) -> tuple[Workplace, EnvironmentSettings]:
    """The environment of the call, and the revision that declares it."""
    place = revision_place(places, ask)
    environment = place.settings.environment(_chosen(places.run, place, ask.environment))
    if environment.repository and not wanted_revision(places.run, ask) and place.branch != _HEAD:
        place = places.of(environment, place)  # a repository or branch of its own
    return place, place.settings.environment(environment.name)


def revision_place(places: Workplaces, ask: Ask) -> Workplace:
    """The revision to deploy, with the settings that rule there.

    Without `--repo` it is the checkout's HEAD, or the commit that an `update` before us handed on: that one may
    be younger than the checkout, and then comes from where the checkout came from.
    """
    run = places.run
    revision = wanted_revision(run, ask)
    checkout = None if ask.repo or ask.branch else find_checkout(run.cwd, run.environ)
    if checkout is None:
        place = find_place(run, ask.repo, ask.branch)
        return places.at(Place(place.url, revision or place.branch, place.said_by))
    if left_out := uncommitted(checkout, run.environ):
        run.output.note(f"{counted(len(left_out), 'uncommitted change')} of {checkout.root} are left out.")
    try:
        return places.at(Place(str(checkout.root), revision or _HEAD, "the checkout"))
    except GitError:
        if revision is None:
            raise
        place = find_place(run, None, None)
        return places.at(Place(place.url, revision, place.said_by))


def wanted_revision(run: Run, ask: Ask) -> str | None:
    """The revision that the call names, or an `update` before it; None for the newest."""
    return ask.revision or run.environ.get("CI_GITOPS_COMMIT") or None


def render_targets(
    run: Run, place: Workplace, targets: Sequence[Target], destination: Callable[[Target], Destination] | None = None
) -> tuple[Rendered, ...]:
    """Every target's objects; RenderError names the target that does not render."""
    say_level(run, place.settings)
    with laid_out(place.repository, place.revision) as tree:
        rendered = []
        for target in targets:
            where = partial(destination, target) if destination else None
            rendered.append(Rendered(target, in_apply_order(render_target(run, place.settings, tree, target, where))))
        return tuple(rendered)


def destination_of(run: Run, ask: Ask, environment: EnvironmentSettings, target: Target) -> Destination:
    """Where one target goes: by the command line, else by the environment's settings."""
    declared = environment.destination
    asked = ask.destination or (None if ask.context or ask.kubeconfig or declared is None else declared.to)
    if asked:
        folder = asked.removeprefix(_FOLDER)
        if not asked.startswith(_FOLDER) or not folder:
            raise UsageError(f"The destination {asked!r} is not known.", hint="Write dir:PATH, or use --context.")
        return FolderWriter(run.cwd / folder / target.environment / target.app)
    if not (ask.context or ask.kubeconfig or declared):
        raise UsageError(
            f"The environment {environment.name!r} has no destination.",
            hint="Pass --context NAME or --destination dir:PATH, or set `destination` in .ci-gitops.yaml.",
        )
    context = ask.context or (declared.context if declared and not ask.kubeconfig else None)
    access = Access.from_environ(run.environ, context=context, kubeconfig=ask.kubeconfig)
    return Kubernetes(access, declared.namespace if declared else None)


def _chosen(run: Run, place: Workplace, named: str | None) -> str:
    settings = place.settings
    found = (named,) if named else settings.environments_for_branch(run.ci.branch) if run.ci.branch else ()
    if len(found) != 1:
        known = ", ".join(settings.environments) or "none"
        raise UsageError("No environment is named.", hint=f"Pass --environment; there are: {known}.")
    return found[0]
