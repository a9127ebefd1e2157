"""The story of `deploy`: which revision, which targets, rendered all before the first write, applied one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ci_gitops.adapters.cluster.base import Applied, Destination
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.git import find_checkout, uncommitted
from ci_gitops.adapters.tree import laid_out
from ci_gitops.core.manifests import Manifest, in_apply_order
from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError, GitError, UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.deploy_report import Deployed, deploy_result
from ci_gitops.steps.locate import Place, find_place
from ci_gitops.steps.rendering import render_target, say_level
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces

_FOLDER = "dir:"
_HEAD = "HEAD"  # of the checkout that we stand in


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployCall:
    """The options of one call, as the command line gives them."""

    environment: str | None = None
    apps: tuple[str, ...] = ()
    repo: str | None = None
    branch: str | None = None
    revision: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    destination: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A target and the objects that it declares, in the order to apply."""

    target: Target
    manifests: tuple[Manifest, ...] = field(repr=False)


def deploy(run: Run, call: DeployCall) -> Result:
    """Bring the destination of one environment to what Git declares."""
    reach = Reach(call.repo, call.branch, call.ca_file, call.token_file)
    with Workplaces(run, reach) as places:
        place, environment = declared_at(places, call)
        targets = place.settings.targets([environment.name], call.apps, paths=place.tree.files())
        rendered = render_targets(run, place, targets, partial(destination_of, run, call, environment))
    done: list[Deployed] = []
    for each in rendered:
        deployed, failure = _apply(run, destination_of(run, call, environment, each.target), each, call.dry_run)
        done.append(deployed)
        if failure:
            failure.result = deploy_result(environment.name, place.revision, done, dry_run=call.dry_run)
            raise failure
    return deploy_result(environment.name, place.revision, done, dry_run=call.dry_run)


def declared_at(places: Workplaces, call: DeployCall) -> tuple[Workplace, EnvironmentSettings]:
    """The environment of the call, and the revision that declares it."""
    place = revision_place(places, call)
    environment = place.settings.environment(_chosen(places.run, place, call.environment))
    if environment.repository and not wanted_revision(places.run, call) and place.branch != _HEAD:
        place = places.of(environment, place)  # a repository or branch of its own
    return place, place.settings.environment(environment.name)


def _apply(
    run: Run, destination: Destination, rendered: Rendered, dry_run: bool
) -> tuple[Deployed, CiGitopsError | None]:
    """What was applied of a target, and why not the rest."""
    applied: list[Applied] = []
    try:
        for manifest in rendered.manifests:
            run.output.step(f"{rendered.target}: {manifest}")
            applied.append(destination.apply(manifest, dry_run=dry_run))
    except CiGitopsError as error:
        return Deployed(rendered.target, str(destination), tuple(applied), error.message), error
    return Deployed(rendered.target, str(destination), tuple(applied)), None


def revision_place(places: Workplaces, call: DeployCall) -> Workplace:
    """The revision to deploy, with the settings that rule there.

    Without `--repo` it is the checkout's HEAD, or the commit that an `update` before us handed on: that one may
    be younger than the checkout, and then comes from where the checkout came from.
    """
    run = places.run
    revision = wanted_revision(run, call)
    checkout = None if call.repo or call.branch else find_checkout(run.cwd, run.environ)
    if checkout is None:
        place = find_place(run, call.repo, call.branch)
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


def wanted_revision(run: Run, call: DeployCall) -> str | None:
    """The revision that the call names, or an `update` before it; None for the newest."""
    return call.revision or run.environ.get("CI_GITOPS_COMMIT") or None


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


def destination_of(run: Run, call: DeployCall, environment: EnvironmentSettings, target: Target) -> Destination:
    """Where one target goes: by the command line, else by the environment's settings."""
    declared = environment.destination
    asked = call.destination or (None if call.context or call.kubeconfig or declared is None else declared.to)
    if asked:
        folder = asked.removeprefix(_FOLDER)
        if not asked.startswith(_FOLDER) or not folder:
            raise UsageError(f"The destination {asked!r} is not known.", hint="Write dir:PATH, or use --context.")
        return Directory(run.cwd / folder / target.environment / target.app)
    if not (call.context or call.kubeconfig or declared):
        raise UsageError(
            f"The environment {environment.name!r} has no destination.",
            hint="Pass --context NAME or --destination dir:PATH, or set `destination` in .ci-gitops.yaml.",
        )
    context = call.context or (declared.context if declared and not call.kubeconfig else None)
    access = Access.from_environ(run.environ, context=context, kubeconfig=call.kubeconfig)
    return Kubernetes(access, declared.namespace if declared else None)


def _chosen(run: Run, place: Workplace, named: str | None) -> str:
    settings = place.settings
    found = (named,) if named else settings.environments_for_branch(run.ci.branch) if run.ci.branch else ()
    if len(found) != 1:
        known = ", ".join(settings.environments) or "none"
        raise UsageError("No environment is named.", hint=f"Pass --environment; there are: {known}.")
    return found[0]
