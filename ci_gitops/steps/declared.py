"""What a call of the Deploy Operator is about: which revision of which environment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ci_gitops.adapters.git import Checkout, commit_of, find_checkout, uncommitted
from ci_gitops.core.git_refs import is_object_id
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.text import counted
from ci_gitops.errors import GitError, UsageError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.locate import Place, find_place
from ci_gitops.steps.pinned import pinned_place
from ci_gitops.steps.ruling import Stand, ruled
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces

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
    no_cache: bool = False

    @property
    def reach(self) -> Reach:
        return Reach(self.repo, self.branch, self.ca_file, self.token_file)


#: An environment, and the revision that declares it, under the rules that count for it.
Declared = tuple[Workplace, EnvironmentSettings]


def declared_at(places: Workplaces, ask: Ask) -> Declared:
    """The environment of the call."""
    taken, stand = _taken(places, ask)
    place = ruled(places, taken, stand)
    return _at(places, taken, stand, place, _chosen(places.run, place, ask.environment))


def all_declared(places: Workplaces, ask: Ask) -> tuple[Declared, ...]:
    """The environment of the call or of the CI branch; where neither names one, all of them."""
    taken, stand = _taken(places, ask)
    place = ruled(places, taken, stand)
    branch = places.run.ci.branch
    named = (ask.environment,) if ask.environment else place.settings.environments_for_branch(branch) if branch else ()
    return tuple(_at(places, taken, stand, place, name) for name in named or place.settings.environments)


def _taken(places: Workplaces, ask: Ask) -> tuple[Workplace, Stand]:
    run = places.run
    checkout = None if ask.repo or ask.branch else find_checkout(run.cwd, run.environ)
    stand = Stand(checkout, wanted_revision(run, ask) is not None, ask.revision is not None)
    return revision_place(places, ask, checkout), stand


def _at(places: Workplaces, taken: Workplace, stand: Stand, place: Workplace, name: str) -> Declared:
    environment = place.settings.environment(name)
    if environment.repository and not stand.named and place.branch != _HEAD:
        place = places.of(environment, place)  # a repository or branch of its own
    elif environment.branch:
        place = ruled(places, taken, stand, environment.branch)
    environment = place.settings.environment(name)
    return (place if stand.asked else pinned_place(places, place, environment)), environment


def revision_place(places: Workplaces, ask: Ask, checkout: Checkout | None) -> Workplace:
    """The revision to deploy, with the settings that rule there.

    Without `--repo` it is the checkout's HEAD, or the commit that an `update` before us handed on: that one may
    be younger than the checkout, and then comes from where the checkout came from.
    """
    run = places.run
    revision = wanted_revision(run, ask)
    if checkout is None:
        return _on_server(places, find_place(run, ask.repo, ask.branch), revision)
    if left_out := uncommitted(checkout, run.environ, new=run.ci.commit is None):  # artifacts lie in a job's checkout
        are = "is" if len(left_out) == 1 else "are"
        settings = f"; to count, {CONFIG_FILE} must be committed" if CONFIG_FILE in left_out else ""
        run.output.note(f"{counted(len(left_out), 'uncommitted change')} of {checkout.root} {are} left out{settings}.")
    here = commit_of(checkout, revision, run.environ) if revision else _HEAD
    if here is None:
        return _on_server(places, find_place(run, None, None), revision)
    return places.at(Place(str(checkout.root), here, "the checkout"))


def _on_server(places: Workplaces, place: Place, revision: str | None) -> Workplace:
    """A revision by its branch, tag or full commit id; the place's branch where none is named."""
    try:
        return places.at(replace(place, branch=revision or place.branch))
    except GitError as error:
        if revision is None or is_object_id(revision):
            raise
        try:
            return places.at(replace(place, branch=f"refs/tags/{revision}"))
        except GitError:
            raise error from None


def wanted_revision(run: Run, ask: Ask) -> str | None:
    """The revision that the call names, or an `update` before it; None for the newest."""
    return ask.revision or run.environ.get("CI_GITOPS_COMMIT") or None


def _chosen(run: Run, place: Workplace, named: str | None) -> str:
    settings = place.settings
    found = (named,) if named else settings.environments_for_branch(run.ci.branch) if run.ci.branch else ()
    if len(found) != 1:
        known = ", ".join(settings.environments) or "none"
        raise UsageError("No environment is named.", hint=f"Pass --environment; there are: {known}.")
    return found[0]
